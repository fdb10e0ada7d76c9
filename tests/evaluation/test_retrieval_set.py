"""What is relevant to what in a retrieval set: by codes, or by pairs that take their place."""

from dataclasses import replace

import numpy as np
import torch
from tied_retrieval import tied_set

from simtrain.evaluation.judged_pairs import JudgedPairs


def test_equal_codes_are_relevant() -> None:
    retrieval = tied_set(seed=3, items=30, protocol="overlapping")
    asking = np.flatnonzero(retrieval.query_groups >= 0)
    codes = retrieval.gallery_groups.tolist()
    expected = [[code == retrieval.query_groups[query] for code in codes] for query in asking]
    found = set(zip(*(part.tolist() for part in retrieval.relevant_to(asking)), strict=True))
    assert found == {(place, column) for place, row in enumerate(expected) for column, held in enumerate(row) if held}
    some = torch.arange(3).expand(len(asking), 3)
    assert retrieval.relevant_among(asking, some).tolist() == [row[:3] for row in expected]
    columns = np.arange(len(asking)) % len(codes)
    assert retrieval.relevant_pairs(asking, columns).tolist() == [
        row[column] for row, column in zip(expected, columns, strict=True)
    ]


def test_pairs_take_the_place_of_codes() -> None:
    pairs = JudgedPairs.of(np.array([0, 2, 2]), np.array([4, 0, 5]))
    retrieval = replace(tied_set(seed=3, items=30, protocol="overlapping"), judged=pairs)
    found = retrieval.relevant_to(np.array([2, 1, 0]))
    assert np.transpose(found).tolist() == [[0, 0], [0, 5], [2, 4]]
    assert retrieval.relevant_pairs(np.array([0, 0, 2]), np.array([4, 5, 5])).tolist() == [True, False, True]

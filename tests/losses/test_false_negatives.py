"""Pairs that are no negatives, against loops over what is known of their rows."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from simtrain.losses.false_negatives import FalseNegatives, PairMask

GROUPS = torch.tensor([3, -1, 3, 8, -1, 8, 8])


def references(precision: torch.dtype = torch.float32) -> Tensor:
    """(7, 5) unit vectors; rows 1 and 4 are near each other, row 6 is not embedded."""
    vectors = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    vectors[4] = vectors[1] + 0.05
    vectors[6] = 0
    return F.normalize(vectors, dim=1).to(precision)


def whole(mask: PairMask, count: int, others: int | None = None) -> list[list[bool]]:
    found: list[list[bool]] = mask.block(slice(0, count), slice(0, others or count)).tolist()
    return found


def test_images_of_one_duplicate_group_are_no_negatives() -> None:
    rows = [0, 1, 2, 4, 5, 6]
    mask = FalseNegatives(duplicate_groups=GROUPS, reference=None, max_similarity=None).of(torch.tensor(rows))
    alike = [{0, 2}, {5, 6}]
    assert whole(mask, 6) == [[a == b or any({a, b} <= some for some in alike) for b in rows] for a in rows]


@pytest.mark.parametrize("precision", [torch.float16, torch.float32])
def test_images_that_the_untouched_encoder_finds_similar_are_no_negatives(precision: torch.dtype) -> None:
    vectors = references(precision)
    rows = [6, 1, 4, 0, 2]
    mask = FalseNegatives(duplicate_groups=None, reference=vectors, max_similarity=0.9).of(torch.tensor(rows))
    exact = vectors.double()
    assert whole(mask, 5) == [[a == b or float(exact[a] @ exact[b]) > 0.9 for b in rows] for a in rows]
    assert whole(mask, 5)[1][2]


def test_the_same_image_twice_is_no_negative() -> None:
    rows = [4, 5, 4, -1, -1]
    mask = FalseNegatives(duplicate_groups=None, reference=None, max_similarity=None).of(torch.tensor(rows))
    assert whole(mask, 5) == [[a == b != -1 for b in rows] for a in rows]


def test_nothing_is_known_of_an_unknown_row() -> None:
    source = FalseNegatives(duplicate_groups=torch.tensor([1, 1]), reference=torch.ones(2, 1), max_similarity=0.5)
    assert whole(source.of(torch.tensor([-1, 0, 1])), 3)[0] == [False, False, False]


def test_without_a_bound_references_are_not_looked_at() -> None:
    source = FalseNegatives(duplicate_groups=None, reference=torch.ones(3, 1), max_similarity=None)
    assert whole(source.of(torch.arange(3)), 3) == torch.eye(3).bool().tolist()


def test_blocks_and_pairs_are_parts_of_the_whole() -> None:
    rows = torch.randint(-1, 7, (20,), generator=torch.Generator().manual_seed(1))
    mask = FalseNegatives(duplicate_groups=GROUPS, reference=references(), max_similarity=0.8).of(rows)
    everything = mask.block(slice(0, 20), slice(0, 20))
    assert torch.equal(mask.block(slice(3, 9), slice(11, 20)), everything[3:9, 11:20])
    first, second = torch.randint(0, 20, (2, 50), generator=torch.Generator().manual_seed(2))
    assert torch.equal(mask.pairs(first, second), everything[first, second])
    assert mask.rows is rows


def test_many_pairs_are_told_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simtrain.losses.false_negatives._PAIRS_AT_ONCE", 7)
    mask = FalseNegatives(duplicate_groups=None, reference=references(), max_similarity=0.8).of(torch.arange(7))
    first, second = torch.randint(0, 7, (2, 50), generator=torch.Generator().manual_seed(2))
    assert torch.equal(mask.pairs(first, second), mask.block(slice(0, 7), slice(0, 7))[first, second])


def test_a_batch_can_be_held_against_other_rows() -> None:
    source = FalseNegatives(duplicate_groups=GROUPS, reference=references(), max_similarity=0.8)
    rows, others = torch.tensor([0, 1, 6]), torch.tensor([0, 1, 6, 2, 5, -1, 4])
    every = source.of(torch.cat([rows, others])).block(slice(0, 10), slice(0, 10))
    mask = source.of(rows).against(others)
    assert torch.equal(mask.block(slice(0, 3), slice(0, 7)), every[:3, 3:])
    first, second = torch.tensor([0, 2, 1, 2]), torch.tensor([3, 4, 6, 5])
    assert mask.pairs(first, second).tolist() == [True, True, True, False]


def test_a_bound_without_references_is_an_error() -> None:
    message = "max_similarity: got 0.9 without references to compare"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FalseNegatives(duplicate_groups=None, reference=None, max_similarity=0.9)

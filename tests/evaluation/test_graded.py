"""nDCG against scikit-learn, torchmetrics, plain loops and arithmetic."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import ndcg_score
from tied_retrieval import graded_set, level_of, loop_grades, retrieval_set, tied_graded, tied_set
from torchmetrics.functional.retrieval import retrieval_normalized_dcg

from simtrain.evaluation.graded import GradedSet, Level, grade_counts, score_graded
from simtrain.evaluation.metrics import score_queries

KS = (1, 3, 10, 1000)


def falling(size: int) -> NDArray[np.float64]:
    """Scores that put a list in the order in which it is: the libraries break ties of similarities otherwise."""
    return np.arange(size, 0, -1.0)


@pytest.mark.parametrize("protocol", ["leave-one-out", "overlapping"])
@pytest.mark.parametrize("seed", [0, 1])
def test_ndcg_equals_scikit_learn_where_most_similarities_are_tied(seed: int, protocol: str) -> None:
    retrieval, graded = tied_graded(seed=seed, items=60, protocol=protocol)
    scores = score_graded(graded, ks=KS)
    expected: dict[int, list[float]] = {}
    for query in range(len(retrieval.query_ids)):
        grades = np.array(loop_grades(retrieval, graded, query))
        if grades.any():
            expected[query] = [ndcg_score([2.0**grades - 1], [falling(len(grades))], k=k) for k in KS]
    assert scores.query_rows.tolist() == list(expected)
    assert scores.lone_queries == len(retrieval.query_ids) - len(expected)
    assert list(scores.values) == [f"ndcg_at_{k}" for k in KS]
    np.testing.assert_allclose(np.stack(list(scores.values.values()), axis=1), list(expected.values()), rtol=1e-12)


def test_ndcg_equals_torchmetrics() -> None:
    retrieval, graded = tied_graded(seed=3, items=50, protocol="leave-one-out")
    scores = score_graded(graded, ks=[7])
    for place, query in enumerate(scores.query_rows):
        grades = torch.tensor(loop_grades(retrieval, graded, query))
        found = retrieval_normalized_dcg(torch.tensor(falling(len(grades))), (2**grades - 1).long(), top_k=7)
        assert scores.values["ndcg_at_7"][place] == pytest.approx(float(found), rel=1e-5)


def test_grade_counts_equal_a_plain_loop() -> None:
    retrieval, graded = tied_graded(seed=5, items=50, protocol="overlapping")
    own = [retrieval.gallery_ids.index(name) if name in retrieval.gallery_ids else -1 for name in retrieval.query_ids]
    counts = grade_counts(graded.levels, own_columns=np.array(own))
    for query in range(len(own)):
        grades = loop_grades(retrieval, graded, query)
        assert counts[query].tolist() == [grades.count(3), grades.count(2), grades.count(1)]


def test_the_same_product_is_better_than_colour_and_colour_than_category() -> None:
    query, gallery = (
        torch.eye(4)[[0]],
        torch.nn.functional.normalize(torch.tensor([[3.0, 1, 0, 0], [2, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0]]), dim=1),
    )
    graded = GradedSet(
        query_embeddings=query,
        gallery_embeddings=gallery,
        query_ids=["q"],
        gallery_ids=list("abcd"),
        # product, category + colour, category: the ranking has grades 1, 3, 0, 2
        levels=[level_of([0], [1, 0, 2, 3]), level_of([0], [1, 0, 2, 0]), level_of([0], [0, 0, 5, 0])],
    )
    found = 1 / np.log2(2) + 7 / np.log2(3) + 3 / np.log2(5)
    best = 7 / np.log2(2) + 3 / np.log2(3) + 1 / np.log2(4)
    scores = score_graded(graded, ks=[1, 10])
    assert scores.values["ndcg_at_1"].tolist() == pytest.approx([1 / 7])
    assert scores.values["ndcg_at_10"].tolist() == pytest.approx([found / best])


def test_one_level_asks_the_same_queries_as_the_other_metrics() -> None:
    retrieval = tied_set(seed=7, items=40, protocol="leave-one-out")
    graded = graded_set(
        retrieval, [Level(query_groups=retrieval.query_groups, gallery_groups=retrieval.gallery_groups)]
    )
    plain, scores = score_queries(retrieval), score_graded(graded, ks=[1])
    assert scores.query_rows.tolist() == plain.query_rows.tolist()
    assert scores.values["ndcg_at_1"].tolist() == plain.values["recall_at_1"].tolist()


def test_chunk_size_does_not_change_any_bit() -> None:
    _, graded = tied_graded(seed=2, items=60, protocol="overlapping")
    whole = score_graded(graded, ks=KS)
    for chunk_elements in (1, 333):
        for name, values in score_graded(graded, ks=KS, chunk_elements=chunk_elements).values.items():
            np.testing.assert_array_equal(values, whole.values[name])


@pytest.mark.parametrize(
    ("changes", "ks", "message"),
    [
        ({}, [], "ks is []; allowed: one or more numbers of 1 or more"),
        ({}, [0], "ks is [0]; allowed: one or more numbers of 1 or more"),
        ({"levels": []}, [1], "levels is empty; allowed: one or more, the most alike first"),
        (
            {"levels": [level_of([0, 0], [0, 0]), level_of([0], [0, 0])]},
            [1],
            "levels[1]: query_groups has shape (1,), but query_ids has 2",
        ),
        (
            {"levels": [level_of([0, 1], [0, 2])]},
            [1],
            "levels[0]: id 'item-1' has group 1 as a query, but group 2 in the gallery",
        ),
        (
            {"levels": [level_of([0, -1], [0, -1])]},
            [1],
            "none of 2 queries is alike to an item in the gallery of 2",
        ),
    ],
)
def test_wrong_input_is_named(changes: dict[str, Any], ks: list[int], message: str) -> None:
    correct = graded_set(retrieval_set(torch.eye(2), [0, 0]), [level_of([0, 0], [0, 0])])
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        score_graded(replace(correct, **changes), ks=ks)

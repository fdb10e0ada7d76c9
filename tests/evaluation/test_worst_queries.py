"""Queries of the lowest average precision, against a loop over cosines."""

from pathlib import Path

import torch
from tiny_training import catalog_of

from simtrain.evaluation.protocol import RetrievalTask, retrieval_task
from simtrain.evaluation.relevance import same
from simtrain.evaluation.worst_queries import worst_queries

PRODUCTS = ["a", "a", "b", "b", "c", "c", "d", "d"]
DEGREES = [0, 1, 40, 44, 80, 160, 42, 100]


def task() -> RetrievalTask:
    catalog = catalog_of(Path("shop"), product=["x", *PRODUCTS], split=["train"] + ["val"] * 8)
    return retrieval_task(catalog, split="val", gallery_splits=None, relevance=same(["product"]))


def embeddings() -> torch.Tensor:
    angles = torch.deg2rad(torch.tensor(DEGREES, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin()], dim=1).float()


def average_precision(query: int) -> float:
    """Of the one relevant image: 1 where it is the nearest, else 0, as MAP@R asks for R = 1."""
    others = [row for row in range(8) if row != query]
    nearest = min(others, key=lambda row: abs(DEGREES[row] - DEGREES[query]))
    return float(PRODUCTS[nearest] == PRODUCTS[query])


def test_the_worst_come_first_and_ties_by_row() -> None:
    found = worst_queries(task(), embeddings(), task().score(embeddings()), count=5)
    expected = sorted(range(8), key=average_precision)[:5]
    assert [query.row - 1 for query in found] == expected
    assert [query.average_precision for query in found] == [average_precision(row) for row in expected]


def test_neighbours_are_the_five_nearest_with_their_relevance() -> None:
    first = worst_queries(task(), embeddings(), task().score(embeddings()), count=1)[0]
    query = first.row - 1
    others = [row for row in range(8) if row != query]
    nearest = sorted(others, key=lambda row: abs(DEGREES[row] - DEGREES[query]))[:5]
    assert [row - 1 for row in first.neighbours] == nearest
    assert list(first.relevant) == [PRODUCTS[row] == PRODUCTS[query] for row in nearest]


def test_no_more_are_told_than_asked_for() -> None:
    scores = task().score(embeddings())
    assert worst_queries(task(), embeddings(), scores, count=0) == []
    assert len(worst_queries(task(), embeddings(), scores, count=99)) == 8

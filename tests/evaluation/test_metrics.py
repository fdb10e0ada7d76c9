"""Ranking and metrics against plain loops and the published example of pytorch-metric-learning."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tied_retrieval import KS, assert_equals_loop, loop_scores, retrieval_set, tied_set

from simtrain.evaluation.leading import nearest_neighbours
from simtrain.evaluation.metrics import ranked_relevance_metrics, score_queries
from simtrain.evaluation.ranking import Ranking


@pytest.mark.parametrize("protocol", ["leave-one-out", "overlapping"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_metrics_equal_a_plain_loop_where_most_similarities_are_tied(protocol: str, seed: int) -> None:
    assert_equals_loop(tied_set(seed=seed, items=90, protocol=protocol))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    items=st.integers(12, 40),
    chunk_elements=st.integers(1, 2000),
    protocol=st.sampled_from(["leave-one-out", "overlapping"]),
)
def test_metrics_equal_a_plain_loop_for_any_size_and_chunk(
    seed: int, items: int, chunk_elements: int, protocol: str
) -> None:
    retrieval = tied_set(seed=seed, items=items, protocol=protocol)
    if loop_scores(retrieval, KS):
        assert_equals_loop(retrieval, chunk_elements=chunk_elements)


def test_precision_divides_by_k_where_fewer_items_are_relevant_or_there() -> None:
    scores = score_queries(retrieval_set(torch.eye(4), [0, 0, 1, 1]), recall_ks=[1], precision_ks=[1, 2, 3, 10])
    # All are tied: items 0 to 3 come in this order, and each query has one relevant item at rank 1, 1, 3 and 3.
    assert {name: values.tolist() for name, values in scores.values.items() if name.startswith("precision")} == {
        "precision_at_1": [1, 1, 0, 0],
        "precision_at_2": [0.5, 0.5, 0, 0],
        "precision_at_3": pytest.approx([1 / 3] * 4),
        "precision_at_10": pytest.approx([0.1] * 4),
    }


def test_precision_is_left_out_unless_asked_for() -> None:
    retrieval = tied_set(seed=0, items=30, protocol="leave-one-out")
    assert set(score_queries(retrieval).values) == {
        *(f"recall_at_{k}" for k in (1, 5, 10)), "r_precision", "map_at_r", "mrr",
    }  # fmt: skip


def test_published_example_of_pytorch_metric_learning() -> None:
    query_groups = torch.tensor([1, 1, 2, 3, 4, 0])[:, None]
    neighbour_groups = torch.tensor(
        [[0, 1, 1, 2, 2], [1, 0, 1, 1, 3], [4, 4, 4, 4, 2], [3, 1, 3, 1, 3], [0, 0, 4, 2, 2], [1, 2, 3, 4, 5]]
    )
    counts = torch.tensor([3, 3, 5, 4, 5, 2])  # {0: 2, 1: 3, 2: 5, 3: 4, 4: 5} looked up for each query
    metrics = ranked_relevance_metrics(neighbour_groups == query_groups, counts, recall_ks=[1], precision_ks=[1])
    assert float(metrics["precision_at_1"].mean()) == pytest.approx(2 / 6)
    assert float(metrics["recall_at_1"].mean()) == pytest.approx(2 / 6)
    assert float(metrics["r_precision"].mean()) == pytest.approx(0.372222, abs=5e-7)
    assert float(metrics["map_at_r"].mean()) == pytest.approx(0.244630, abs=5e-7)


def test_lone_queries_are_counted_and_left_out_of_the_means() -> None:
    scores = score_queries(retrieval_set(torch.eye(5), [4, 4, 7, -1, -1], ids=["a", "b", "c", "d", "e"]))
    assert scores.lone_queries == 3
    assert scores.query_rows.tolist() == [0, 1]
    assert scores.means()["mrr"] == 1.0  # all are tied at 0: b is first for a, and a for b


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"query_embeddings": torch.eye(4) * torch.tensor([1.0, 1.0, 1.5, 1.0])},
            "query_embeddings: row 2 (id 'c') has length 1.5000; allowed: 1 within 0.001",
        ),
        (
            {"gallery_embeddings": torch.eye(4).index_fill(0, torch.tensor([3]), torch.nan)},
            "gallery_embeddings: row 3 (id 'd') has a value that is not finite",
        ),
        (
            {"query_embeddings": torch.eye(4).half()},
            "query_embeddings is torch.float16 of shape (4, 4); allowed: torch.float32 of shape (rows, features)",
        ),
        ({"query_embeddings": torch.eye(5)[:4]}, "query_embeddings has 5 features, but gallery_embeddings has 4"),
        ({"query_ids": list("abc")}, "query_embeddings has 4 rows, but query_ids has 3"),
        ({"gallery_ids": list("abca")}, "gallery_ids has 'a' more than once; allowed: unique ids"),
        ({"query_groups": np.array([0, 1])}, "query_groups has shape (2,), but query_ids has 4"),
        ({"query_groups": np.zeros(4)}, "query_groups is float64; allowed: int64"),
        (
            {"gallery_groups": np.array([0, 0, -2, 1])},
            "gallery_groups has -2; allowed: 0 or more, or -1 for an item without a group",
        ),
        ({"query_groups": np.array([0, 0, 2, 2])}, "id 'c' has group 2 as a query, but group 1 in the gallery"),
        (
            {"query_ids": list("wxyz"), "query_groups": np.array([2, 3, 4, -1])},
            "none of 4 queries has a relevant item in the gallery of 4",
        ),
    ],
)
def test_wrong_input_is_named(changes: dict[str, Any], message: str) -> None:
    correct = retrieval_set(torch.eye(4), [0, 0, 1, 1], ids=list("abcd"))
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        score_queries(replace(correct, **changes))


def test_wrong_settings_are_named() -> None:
    correct = retrieval_set(torch.eye(2), [0, 0])
    with pytest.raises(ValueError, match=r"^recall_ks is \[0, 1\]; allowed: one or more numbers of 1 or more$"):
        score_queries(correct, recall_ks=[0, 1])
    with pytest.raises(ValueError, match=r"^precision_ks is \[5, -1\]; allowed: numbers of 1 or more$"):
        score_queries(correct, precision_ks=[5, -1])
    with pytest.raises(ValueError, match=r"^chunk_elements is 0; allowed: 1 or more$"):
        score_queries(correct, chunk_elements=0)
    with pytest.raises(ValueError, match=r"^k is 0; allowed: 1 or more$"):
        nearest_neighbours(Ranking.of(torch.eye(1), torch.eye(1), query_ids=["a"], gallery_ids=["a"]), k=0)
    with pytest.raises(ValueError, match=r"^a query has 3 relevant items; allowed: 1 to the 2 ranks given$"):
        ranked_relevance_metrics(torch.ones(1, 2, dtype=torch.bool), torch.tensor([3]), recall_ks=[1])

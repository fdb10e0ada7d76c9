"""Ranking and metrics against plain loops and the published example of pytorch-metric-learning."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tied_retrieval import loop_ranking, retrieval_set, tied_set
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from simtrain.evaluation.metrics import QueryScores, RetrievalSet, ranked_relevance_metrics, score_queries
from simtrain.evaluation.ranking import nearest_neighbours

KS = (1, 2, 5, 1000)


def random_embeddings(*, rows: int, features: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, features, generator=generator), dim=1)


def loop_scores(retrieval: RetrievalSet, ks: Sequence[int]) -> dict[int, dict[str, float]]:
    """Metrics by their definitions: query row -> metric -> value, without the lone queries."""
    scores = {}
    for query, group in enumerate(retrieval.query_groups):
        relevant = [group != -1 and retrieval.gallery_groups[row] == group for row in loop_ranking(retrieval, query)]
        count = sum(relevant)
        if count == 0:
            continue
        precisions = [sum(relevant[: rank + 1]) / (rank + 1) for rank in range(count)]
        scores[query] = {f"recall_at_{k}": float(any(relevant[:k])) for k in ks} | {
            **{f"precision_at_{k}": sum(relevant[:k]) / k for k in ks},
            "r_precision": sum(relevant[:count]) / count,
            "map_at_r": sum(p for p, hit in zip(precisions, relevant, strict=False) if hit) / count,
            "mrr": 1 / (1 + relevant.index(True)),
        }
    return scores


def assert_equals_loop(retrieval: RetrievalSet, **settings_: int) -> None:
    expected = loop_scores(retrieval, KS)
    scores = score_queries(retrieval, recall_ks=KS, precision_ks=KS, **settings_)
    assert scores.query_rows.tolist() == sorted(expected)
    assert scores.lone_queries == len(retrieval.query_ids) - len(expected)
    assert set(scores.values) == set(next(iter(expected.values())))
    for name, values in scores.values.items():
        np.testing.assert_allclose(values, [expected[row][name] for row in sorted(expected)], rtol=1e-12, err_msg=name)


def assert_same_bits(scores: QueryScores, expected: QueryScores) -> None:
    for name, values in expected.values.items():
        np.testing.assert_array_equal(scores.values[name], values, err_msg=name)


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


def test_chunk_size_does_not_change_any_bit() -> None:
    embeddings = random_embeddings(rows=150, features=48, seed=5)
    embeddings[75:] = embeddings[:75]  # equal rows far apart, which different parts of a matrix product sum
    retrieval = retrieval_set(embeddings, [row % 40 for row in range(150)])
    whole = score_queries(retrieval)
    for chunk_elements in (1, 150, 1234):
        assert_same_bits(score_queries(retrieval, chunk_elements=chunk_elements), whole)


def test_autocast_does_not_change_any_bit() -> None:
    retrieval = retrieval_set(random_embeddings(rows=100, features=32, seed=10), [row % 9 for row in range(100)])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = score_queries(retrieval)
    assert_same_bits(scores, score_queries(retrieval))


class LargestTensor(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own __init_subclass__
    """Records the number of elements of the largest tensor that any operation allocates."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs = {value.untyped_storage().data_ptr() for value in args if isinstance(value, Tensor)}
        for output in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(output, Tensor) and output.untyped_storage().data_ptr() not in inputs:
                self.elements = max(self.elements, output.numel())
        return result


@pytest.mark.parametrize(("gallery", "features"), [(500, 8), (2, 64)])
def test_nothing_allocated_is_larger_than_the_chunk(gallery: int, features: int) -> None:
    embeddings = random_embeddings(rows=500, features=features, seed=6)
    retrieval = retrieval_set(embeddings, [row % 2 for row in range(500)], gallery=slice(gallery))
    with LargestTensor() as largest:  # type: ignore[no-untyped-call]
        score_queries(retrieval, chunk_elements=9000)
    assert 8000 < largest.elements <= 9000


def test_collapsed_embeddings_rank_by_id() -> None:
    embeddings = random_embeddings(rows=1, features=333, seed=9).repeat(301, 1)
    ids = [f"item-{(row * 5) % 301}" for row in range(301)]
    in_order = sorted(range(301), key=lambda row: ids[row])
    rows, similarities = nearest_neighbours(embeddings, embeddings, query_ids=ids, gallery_ids=ids, k=300)
    for query in range(301):
        assert rows[query].tolist() == [row for row in in_order if row != query]
    assert len(np.unique(similarities)) == 1


def test_negative_zero_ties_with_zero() -> None:
    query = torch.tensor([[1e-30, 1.0, 0.0]])
    gallery = torch.tensor([[0.0, 0.0, 1.0], [-1e-30, 0.0, 1.0], [0.0, 0.0, -1.0]])  # 0, -1e-60 and 0 in float64
    rows, similarities = nearest_neighbours(query, gallery, query_ids=["q"], gallery_ids=["b", "a", "c"], k=3)
    assert rows.tolist() == [[1, 0, 2]]
    assert similarities.tolist() == [[0.0, 0.0, 0.0]]


def test_neighbours_and_similarities_equal_a_plain_loop() -> None:
    retrieval = tied_set(seed=4, items=40, protocol="leave-one-out")
    vectors, ids = retrieval.query_embeddings, retrieval.query_ids
    rows, similarities = nearest_neighbours(vectors, vectors, query_ids=ids, gallery_ids=ids, k=7, chunk_elements=100)
    assert rows.dtype == np.int64
    assert similarities.dtype == np.float32
    for query in range(40):
        expected = loop_ranking(retrieval, query)[:7]
        assert rows[query].tolist() == expected
        assert similarities[query].tolist() == (vectors[expected] @ vectors[query]).tolist()


def test_fewer_than_k_neighbours_end_in_minus_one_and_nan() -> None:
    embeddings = torch.eye(3)[[0, 1]]
    rows, similarities = nearest_neighbours(embeddings, embeddings, query_ids=["a", "x"], gallery_ids=["a", "b"], k=3)
    assert rows.tolist() == [[1, -1, -1], [1, 0, -1]]
    np.testing.assert_array_equal(similarities, np.array([[0, np.nan, np.nan], [1, 0, np.nan]], dtype=np.float32))


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
        nearest_neighbours(torch.eye(1), torch.eye(1), query_ids=["a"], gallery_ids=["a"], k=0)
    with pytest.raises(ValueError, match=r"^a query has 3 relevant items; allowed: 1 to the 2 ranks given$"):
        ranked_relevance_metrics(torch.ones(1, 2, dtype=torch.bool), torch.tensor([3]), recall_ks=[1])

"""Ranking by similarity with ties by id, against plain loops."""

from typing import Any

import numpy as np
import pytest
import torch
from tied_retrieval import loop_ranking, retrieval_set, tied_set
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from simtrain.evaluation.leading import nearest_neighbours
from simtrain.evaluation.metrics import QueryScores, score_queries
from simtrain.evaluation.ranking import Ranking


def random_embeddings(*, rows: int, features: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, features, generator=generator), dim=1)


def assert_same_bits(scores: QueryScores, expected: QueryScores) -> None:
    for name, values in expected.values.items():
        np.testing.assert_array_equal(scores.values[name], values, err_msg=name)


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
    rows, similarities = nearest_neighbours(Ranking.of(embeddings, embeddings, query_ids=ids, gallery_ids=ids), k=300)
    for query in range(301):
        assert rows[query].tolist() == [row for row in in_order if row != query]
    assert len(np.unique(similarities)) == 1


def test_negative_zero_ties_with_zero() -> None:
    query = torch.tensor([[1e-30, 1.0, 0.0]])
    gallery = torch.tensor([[0.0, 0.0, 1.0], [-1e-30, 0.0, 1.0], [0.0, 0.0, -1.0]])  # 0, -1e-60 and 0 in float64
    rows, similarities = nearest_neighbours(
        Ranking.of(query, gallery, query_ids=["q"], gallery_ids=["b", "a", "c"]), k=3
    )
    assert rows.tolist() == [[1, 0, 2]]
    assert similarities.tolist() == [[0.0, 0.0, 0.0]]


def test_neighbours_and_similarities_equal_a_plain_loop() -> None:
    retrieval = tied_set(seed=4, items=40, protocol="leave-one-out")
    vectors, ids = retrieval.query_embeddings, retrieval.query_ids
    rows, similarities = nearest_neighbours(
        Ranking.of(vectors, vectors, query_ids=ids, gallery_ids=ids), k=7, chunk_elements=100
    )
    assert rows.dtype == np.int64
    assert similarities.dtype == np.float32
    for query in range(40):
        expected = loop_ranking(retrieval, query)[:7]
        assert rows[query].tolist() == expected
        assert similarities[query].tolist() == (vectors[expected] @ vectors[query]).tolist()


def test_fewer_than_k_neighbours_end_in_minus_one_and_nan() -> None:
    embeddings = torch.eye(3)[[0, 1]]
    rows, similarities = nearest_neighbours(
        Ranking.of(embeddings, embeddings, query_ids=["a", "x"], gallery_ids=["a", "b"]), k=3
    )
    assert rows.tolist() == [[1, -1, -1], [1, 0, -1]]
    np.testing.assert_array_equal(similarities, np.array([[0, np.nan, np.nan], [1, 0, np.nan]], dtype=np.float32))

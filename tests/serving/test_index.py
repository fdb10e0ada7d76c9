"""The index against a loop over all items, and what FAISS would let pass."""

# Shapes: N items, D dimensions, Q queries.

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simtrain.errors import BundleError
from simtrain.evaluation.leading import nearest_neighbours
from simtrain.evaluation.ranking import Ranking
from simtrain.serving.index import ItemIndex
from simtrain.serving.index_building import build_index
from simtrain.serving.search_settings import SearchSettings


def unit_rows(count: int, dimensions: int, *, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def with_ties(*, seed: int) -> NDArray[np.float32]:
    """(300, 8) of only 12 different vectors, so that every cut goes through equals."""
    return unit_rows(12, 8, seed=seed)[np.random.default_rng(seed).integers(0, 12, size=300)]


def built(items: NDArray[Any], factory: str = "Flat") -> ItemIndex:
    return build_index(items, factory=factory, wanted_recall=0.99).index


def read(path: Path, *, factory: str, stored: NDArray[Any] | None, settings: SearchSettings | None) -> ItemIndex:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return ItemIndex.read(path, factory=factory, sha256=sha256, stored=stored, settings=settings)


@pytest.mark.parametrize("k", [1, 5, 30, 299, 300])
def test_exact_search_is_the_ranking_of_the_evaluation_ties_included(k: int) -> None:
    items = with_ties(seed=0)
    queries = np.concatenate([items[:5], unit_rows(5, 8, seed=1)])
    names = [f"{row:04d}" for row in range(len(items))]
    rows, similarities = nearest_neighbours(
        Ranking.of(
            torch.from_numpy(queries),
            torch.from_numpy(items),
            query_ids=[f"q{row}" for row in range(len(queries))],
            gallery_ids=names,
        ),
        k=k,
    )
    answers = built(items).search(queries, k=k)
    np.testing.assert_array_equal(np.stack([found for found, _ in answers]), rows)
    np.testing.assert_array_equal(np.stack([near for _, near in answers]), similarities)


def test_equal_items_come_in_the_order_of_rows() -> None:
    items = np.repeat(unit_rows(1, 16, seed=2), 500, axis=0)
    ((rows, similarities),) = built(items).search(items[:1], k=7)
    assert rows.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert len(set(similarities.tolist())) == 1


@pytest.mark.parametrize("factory", ["Flat", "HNSW32", "IVF4,Flat", "SQ8"])
def test_more_neighbours_than_items_are_all_items_and_nothing_else(factory: str) -> None:
    items = unit_rows(200, 8, seed=3)
    ((rows, similarities),) = built(items, factory).search(items[7:8], k=1000)
    assert sorted(set(rows.tolist())) == sorted(rows.tolist())
    assert rows.min() >= 0
    assert len(rows) == len(similarities) == 200
    assert rows[0] == 7
    assert np.all(np.diff(similarities) <= 0)


@pytest.mark.parametrize("factory", ["HNSW8", "IVF4,SQ8", "PQ2x4", "PCA4,Flat", "IVF4,RaBitQ"])
def test_similarities_are_exact_cosines_whatever_the_index(factory: str) -> None:
    items, queries = unit_rows(300, 8, seed=4), unit_rows(20, 8, seed=5)
    for query, (rows, near) in zip(queries, built(items, factory).search(queries, k=10), strict=True):
        expected = items.astype(np.float64) @ query.astype(np.float64)
        np.testing.assert_array_equal(near, expected[rows].astype(np.float32))
        assert len(rows) == 10
        assert np.all(np.diff(near) <= 0)


def test_similarities_of_halves_are_within_a_ten_thousandth() -> None:
    items, queries = unit_rows(300, 64, seed=4), unit_rows(20, 64, seed=5)
    index = built(items.astype(np.float16), "IVF4,SQ8")
    assert (index.stores_halves, built(items, "IVF4,SQ8").stores_halves) == (True, False)
    for query, (rows, near) in zip(queries, index.search(queries, k=10), strict=True):
        np.testing.assert_allclose(near, items[rows] @ query, rtol=0, atol=1e-4)


def test_saved_and_read_it_answers_the_same(tmp_path: Path) -> None:
    items = unit_rows(100, 8, seed=6)
    for factory in ("Flat", "HNSW16", "IVF4,SQ8"):
        made = build_index(items, factory=factory, wanted_recall=0.99)
        made.index.save(tmp_path / "index.faiss")
        stored = None if factory == "Flat" else items
        again = read(tmp_path / "index.faiss", factory=factory, stored=stored, settings=made.settings)
        assert (again.count, again.dimensions, again.is_exact) == (100, 8, factory == "Flat")
        for (rows, near), (rows_again, near_again) in zip(
            made.index.search(items, k=5), again.search(items, k=5), strict=True
        ):
            np.testing.assert_array_equal(rows, rows_again)
            np.testing.assert_array_equal(near, near_again)
    assert [path.name for path in tmp_path.iterdir()] == ["index.faiss"]


def test_an_approximate_index_of_before_answers_with_its_own_similarities(tmp_path: Path) -> None:
    items = unit_rows(200, 8, seed=6)
    before = faiss.index_factory(8, "IDMap2,SQ8", faiss.METRIC_INNER_PRODUCT)
    before.train(items)
    before.add_with_ids(items, np.arange(200))
    faiss.write_index(before, str(tmp_path / "index.faiss"))
    index = read(tmp_path / "index.faiss", factory="SQ8", stored=None, settings=None)
    similarities, rows = before.search(items[:3], 5)
    for place, (found, near) in enumerate(index.search(items[:3], k=5)):
        np.testing.assert_array_equal(found, rows[place])
        np.testing.assert_array_equal(near, similarities[place])
    assert not index.keeps_vectors
    with pytest.raises(ValueError, match=r"^index 'SQ8' does not keep its vectors; allowed: Flat$"):
        index.vectors(np.array([3]))


def test_an_index_that_does_not_go_with_what_lies_beside_it_is_told(tmp_path: Path) -> None:
    path, items = tmp_path / "index.faiss", unit_rows(100, 8, seed=6)
    built(items, "SQ8").save(path)
    with pytest.raises(
        BundleError, match="damaged index: it holds 100 vectors of 8 dimensions; those beside it are 99"
    ):
        read(path, factory="SQ8", stored=items[:99], settings=SearchSettings(width=None, candidates=10))
    with pytest.raises(BundleError, match=r"damaged index: it has no search width; the manifest gives one$"):
        read(path, factory="SQ8", stored=items, settings=SearchSettings(width=4, candidates=10))


@pytest.mark.parametrize("factory", ["Flat", "HNSW32"])
def test_vectors_are_what_was_given(factory: str) -> None:
    items = unit_rows(50, 8, seed=7)
    np.testing.assert_array_equal(built(items, factory).vectors(np.array([3, 49])), items[[3, 49]])
    with pytest.raises(ValueError, match=r"^rows are 3 to 50; allowed: 0 to 49$"):
        built(items, factory).vectors(np.array([3, 50]))


def test_a_callers_mistakes_are_told() -> None:
    items = unit_rows(10, 4, seed=11)
    index = built(items)
    assert index.search(items[:0], k=3) == []
    with pytest.raises(ValueError, match=r"^k is 0; allowed: 1 or more$"):
        index.search(items, k=0)
    with pytest.raises(ValueError, match=r"^queries has shape \(2, 5\); allowed: \(rows, 4\)$"):
        index.search(unit_rows(2, 5, seed=0), k=1)
    with pytest.raises(ValueError, match=r"^queries has shape \(4,\); allowed: \(rows, 4\)$"):
        index.search(items[0], k=1)
    with pytest.raises(ValueError, match=r"^queries: row 1 has length nan; allowed: 1 within 0.001$"):
        index.search(np.where(np.arange(10)[:, None] == 1, np.float32(np.nan), items), k=1)


def test_what_faiss_does_for_torch_is_not_in_the_way() -> None:
    program = (
        "import faiss.contrib.torch_utils, numpy as np\n"
        "from simtrain.serving.index_building import build_index\n"
        "items = np.eye(16, dtype=np.float32)\n"
        "for factory in ('Flat', 'HNSW8', 'IVF2,SQ8', 'SQ8'):\n"
        "    index = build_index(items, factory=factory, wanted_recall=0.9).index\n"
        "    print(factory, index.search(items[3:4], k=1)[0][0].tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["Flat [3]", "HNSW8 [3]", "IVF2,SQ8 [3]", "SQ8 [3]"]

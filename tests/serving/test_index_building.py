"""Building an index: what is held out, what is measured, and what FAISS cannot build."""

# Shapes: N items, D dimensions.

from pathlib import Path

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from simtrain.errors import BundleError
from simtrain.serving import index_building
from simtrain.serving.index_building import build_index, exact_index


def unit_rows(count: int, dimensions: int, *, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def true_recall(index: object, queries: NDArray[np.float32], items: NDArray[np.float32]) -> float:
    found = 0
    for query, (rows, _) in zip(queries, index.search(queries, k=10), strict=True):  # type: ignore[attr-defined]
        truth = set(np.argsort(-(items.astype(np.float64) @ query), kind="stable")[:10].tolist())
        found += len(truth & set(rows.tolist()))
    return found / (10 * len(queries))


@pytest.mark.parametrize(
    "factory", ["IVF16,SQ8", "HNSW8", "IVF16,SQ4", "IVF16,RaBitQ", "PQ4x4", "PCA6,Flat", "IVF16,SQ8,RFlat"]
)
def test_the_search_is_tuned_until_it_finds_what_was_asked_for(factory: str) -> None:
    items, queries = unit_rows(2000, 12, seed=1), unit_rows(200, 12, seed=2)
    made = build_index(items, factory=factory, wanted_recall=0.95)
    assert made.held_out == 100  # half of a tenth
    assert made.recall >= 0.95
    assert made.recall_of_codes <= made.recall
    assert true_recall(made.index, queries, items) >= 0.93
    assert true_recall(made.index, items[:50], items) >= 0.93  # what was held out is in, as all else


def test_more_recall_looks_further() -> None:
    items = unit_rows(4000, 16, seed=1)
    little, much = (build_index(items, factory="IVF64,SQ8", wanted_recall=wanted).settings for wanted in (0.5, 0.99))
    assert little is not None
    assert much is not None
    assert little.width is not None
    assert much.width is not None
    assert little.width < much.width <= 64


def test_a_recall_that_is_out_of_reach_is_measured_as_it_is() -> None:
    made = build_index(unit_rows(4000, 32, seed=1), factory="PQ2x4", wanted_recall=0.99)
    assert made.recall < 0.99
    assert made.settings is not None
    assert made.settings.candidates == 640


@pytest.mark.parametrize("factory", ["IVF16,SQ8", "HNSW8"])
def test_every_item_is_in_under_its_own_row(factory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_building, "_BLOCK_BYTES", 4 * 12 * 100)  # 20 blocks
    items = unit_rows(2000, 12, seed=3)
    index = build_index(items, factory=factory, wanted_recall=0.99).index
    found = np.array([rows[0] for rows, _ in index.search(items, k=1)])
    assert (found == np.arange(2000)).mean() > 0.99
    assert index.count == 2000


@pytest.mark.parametrize("count", [1, 5, 9, 10, 11])
def test_few_items_are_indexed_as_well(count: int) -> None:
    items = unit_rows(count, 4, seed=4)
    made = build_index(items, factory="HNSW8", wanted_recall=0.99)
    ((rows, _),) = made.index.search(items[:1], k=100)
    assert sorted(rows.tolist()) == list(range(count))
    assert made.recall == 1.0


def test_equals_do_not_count_against_an_index() -> None:
    items = np.repeat(unit_rows(10, 8, seed=5), 30, axis=0)
    assert build_index(items, factory="HNSW32", wanted_recall=0.99).recall > 0.99


def test_an_exact_index_is_not_tuned() -> None:
    items = unit_rows(50, 8, seed=6)
    made = build_index(items, factory="Flat", wanted_recall=0.99)
    assert (made.settings, made.recall, made.recall_of_codes, made.held_out) == (None, 1.0, 1.0, 0)
    np.testing.assert_array_equal(exact_index(items).vectors(np.arange(50)), items)


@pytest.mark.parametrize("factory", ["Flot", "", "IVF100,Flat", "PQ3"])
def test_a_factory_that_cannot_be_built_is_the_users_to_mend(factory: str) -> None:
    with pytest.raises(
        BundleError,
        match=f"^index '{factory}': FAISS cannot build it over 50 items of 8 dimensions: .+; Flat always works$",
    ):
        build_index(unit_rows(50, 8, seed=8), factory=factory, wanted_recall=0.99)


def test_vectors_that_are_not_of_length_1_are_the_callers_mistake() -> None:
    items = unit_rows(10, 4, seed=11)
    with pytest.raises(ValueError, match=r"^embeddings: row 0 has length 2.0000; allowed: 1 within 0.001$"):
        build_index(2 * items, factory="Flat", wanted_recall=0.99)
    with pytest.raises(ValueError, match=r"^embeddings has shape \(0, 4\); allowed: 1 row or more$"):
        build_index(items[:0], factory="Flat", wanted_recall=0.99)


def test_an_exact_index_is_that_of_faiss_to_the_byte(tmp_path: Path) -> None:
    items, order = unit_rows(50, 8, seed=9), np.random.default_rng(0).permutation(50)
    theirs = faiss.index_factory(8, "IDMap2,Flat", faiss.METRIC_INNER_PRODUCT)
    theirs.add_with_ids(np.ascontiguousarray(items[order]), np.arange(50))
    faiss.write_index(theirs, str(tmp_path / "theirs"))
    build_index(items, factory="Flat", wanted_recall=0.9, order=order.tolist()).index.save(tmp_path / "ours")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()

"""The index against a loop over all items, and what FAISS would let pass."""

# Shapes: N items, D dimensions, Q queries.

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simtrain.errors import BundleError
from simtrain.evaluation.ranking import Ranking, nearest_neighbours
from simtrain.serving.index import ItemIndex, checked_factory, recall_against_exact


def unit_rows(count: int, dimensions: int, *, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def with_ties(*, seed: int) -> NDArray[np.float32]:
    """(300, 8) of only 12 different vectors, so that every cut goes through equals."""
    return unit_rows(12, 8, seed=seed)[np.random.default_rng(seed).integers(0, 12, size=300)]


def read(path: Path, *, factory: str = "Flat") -> ItemIndex:
    return ItemIndex.read(path, factory=factory, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


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
    answers = ItemIndex.build(items, factory="Flat").search(queries, k=k)
    np.testing.assert_array_equal(np.stack([found for found, _ in answers]), rows)
    np.testing.assert_array_equal(np.stack([near for _, near in answers]), similarities)


def test_equal_items_come_in_the_order_of_rows() -> None:
    items = np.repeat(unit_rows(1, 16, seed=2), 500, axis=0)
    ((rows, similarities),) = ItemIndex.build(items, factory="Flat").search(items[:1], k=7)
    assert rows.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert len(set(similarities.tolist())) == 1


@pytest.mark.parametrize("factory", ["Flat", "HNSW32", "IVF4,Flat", "SQ8"])
def test_more_neighbours_than_items_are_all_items_and_nothing_else(factory: str) -> None:
    items = unit_rows(200, 8, seed=3)
    ((rows, similarities),) = ItemIndex.build(items, factory=factory).search(items[7:8], k=1000)
    assert sorted(set(rows.tolist())) == sorted(rows.tolist())
    assert rows.min() >= 0
    assert len(rows) == len(similarities) <= 200
    assert rows[0] == 7
    assert np.all(np.diff(similarities) <= 0)
    assert factory not in ("Flat", "SQ8") or len(rows) == 200


@pytest.mark.parametrize("factory", ["Flat", "HNSW8", "IVF64,Flat", "PQ2x4"])
def test_recall_is_the_share_of_true_neighbours(factory: str) -> None:
    items = unit_rows(256, 16, seed=4)  # as many as are looked at, so that a loop over all is the expectation
    index = ItemIndex.build(items, factory=factory)
    found = 0
    for query, (rows, _) in zip(items, index.search(items, k=10), strict=True):
        truth = set(np.argsort(-(items.astype(np.float64) @ query), kind="stable")[:10].tolist())
        found += len(truth & set(rows.tolist()))
    recall = recall_against_exact(index, items, k=10)
    assert recall == pytest.approx(found / 2560)
    assert factory != "Flat" or recall == 1.0
    assert factory != "PQ2x4" or recall < 0.9


def test_recall_does_not_blame_an_index_for_ties() -> None:
    items = with_ties(seed=5)
    assert recall_against_exact(ItemIndex.build(items, factory="HNSW32"), items, k=10) > 0.99


def test_saved_and_read_it_answers_the_same(tmp_path: Path) -> None:
    items = unit_rows(100, 8, seed=6)
    for factory in ("Flat", "HNSW16", "IVF4,Flat"):
        index = ItemIndex.build(items, factory=factory)
        index.save(tmp_path / "index.faiss")
        again = read(tmp_path / "index.faiss", factory=factory)
        assert (again.count, again.dimensions, again.is_exact) == (100, 8, factory == "Flat")
        for (rows, near), (rows_again, near_again) in zip(
            index.search(items, k=5), again.search(items, k=5), strict=True
        ):
            np.testing.assert_array_equal(rows, rows_again)
            np.testing.assert_array_equal(near, near_again)
    assert [path.name for path in tmp_path.iterdir()] == ["index.faiss"]


def test_vectors_are_what_was_given() -> None:
    items = unit_rows(50, 8, seed=7)
    np.testing.assert_array_equal(ItemIndex.build(items, factory="Flat").vectors(np.array([3, 49])), items[[3, 49]])
    with pytest.raises(ValueError, match=r"^rows are 3 to 50; allowed: 0 to 49$"):
        ItemIndex.build(items, factory="Flat").vectors(np.array([3, 50]))
    with pytest.raises(ValueError, match=r"^index 'HNSW32' does not keep its vectors; allowed: Flat$"):
        ItemIndex.build(items, factory="HNSW32").vectors(np.array([3]))


@pytest.mark.parametrize("factory", ["Flot", "", "IVF100,Flat", "PQ3"])
def test_a_factory_that_cannot_be_built_is_the_users_to_mend(factory: str) -> None:
    with pytest.raises(
        BundleError,
        match=f"^index '{factory}': FAISS cannot build it over 50 items of 8 dimensions: .+; Flat always works$",
    ):
        ItemIndex.build(unit_rows(50, 8, seed=8), factory=factory)


@pytest.mark.parametrize("damage", ["empty", "truncated", "noise"])
def test_a_damaged_file_is_told(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    ItemIndex.build(unit_rows(50, 8, seed=9), factory="Flat").save(path)
    whole = path.read_bytes()
    noise = np.random.default_rng(0).bytes(len(whole))
    path.write_bytes({"empty": b"", "truncated": whole[: len(whole) // 2], "noise": noise}[damage])
    with pytest.raises(BundleError, match=f"^{re.escape(str(path))}: not an index that FAISS can read: .+"):
        read(path)


def test_another_index_than_the_one_that_was_checked_is_told(tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    ItemIndex.build(unit_rows(50, 8, seed=9), factory="Flat").save(path)
    with pytest.raises(BundleError, match=f"^{re.escape(str(path))}: altered or of another bundle: its SHA-256 is "):
        ItemIndex.read(path, factory="Flat", sha256=hashlib.sha256(b"another").hexdigest())


def test_an_index_of_something_else_is_told(tmp_path: Path) -> None:
    import faiss

    with pytest.raises(BundleError, match=r"index\.faiss: no such index$"):
        ItemIndex.read(tmp_path / "index.faiss", factory="Flat", sha256="")
    items = unit_rows(10, 4, seed=10)
    plain = faiss.index_factory(4, "Flat", faiss.METRIC_INNER_PRODUCT)
    plain.add(items)
    faiss.write_index(plain, str(tmp_path / "plain"))
    with pytest.raises(
        BundleError, match=r"plain: not an index of simtrain: expected ids \(IDMap2\) and inner products$"
    ):
        read(tmp_path / "plain")
    shifted = faiss.index_factory(4, "IDMap2,Flat", faiss.METRIC_INNER_PRODUCT)
    shifted.add_with_ids(items, np.arange(10) + 1)
    faiss.write_index(shifted, str(tmp_path / "shifted"))
    with pytest.raises(BundleError, match=r"shifted: its ids are not the rows 0 to 9 of the items$"):
        read(tmp_path / "shifted")


def test_a_callers_mistakes_are_told() -> None:
    items = unit_rows(10, 4, seed=11)
    index = ItemIndex.build(items, factory="Flat")
    assert index.search(items[:0], k=3) == []
    with pytest.raises(ValueError, match=r"^k is 0; allowed: 1 or more$"):
        index.search(items, k=0)
    with pytest.raises(ValueError, match=r"^queries has shape \(2, 5\); allowed: \(rows, 4\)$"):
        index.search(unit_rows(2, 5, seed=0), k=1)
    with pytest.raises(ValueError, match=r"^queries has shape \(4,\); allowed: \(rows, 4\)$"):
        index.search(items[0], k=1)
    with pytest.raises(ValueError, match=r"^queries: row 1 has length nan; allowed: 1 within 0.001$"):
        index.search(np.where(np.arange(10)[:, None] == 1, np.float32(np.nan), items), k=1)
    with pytest.raises(ValueError, match=r"^embeddings: row 0 has length 2.0000; allowed: 1 within 0.001$"):
        ItemIndex.build(2 * items, factory="Flat")
    with pytest.raises(ValueError, match=r"^embeddings has shape \(0, 4\); allowed: 1 row or more$"):
        ItemIndex.build(items[:0], factory="Flat")


@pytest.mark.parametrize(
    ("typed", "known"),
    [("Flat", "Flat"), ("flat", "Flat"), ("hnsw32", "HNSW32"), ("ivf4,flat", "IVF4,Flat"), ("pq4x4", "PQ4x4")],
)
def test_index_is_spelt_as_faiss_spells_it(typed: str, known: str) -> None:
    assert checked_factory(typed, dimensions=16) == known


@pytest.mark.parametrize("typed", ["Foo", "LSH", "", "Flat,", "PQ7", "flatt"])
def test_index_that_faiss_does_not_know_is_refused_in_words(typed: str) -> None:
    with pytest.raises(BundleError) as caught:
        checked_factory(typed, dimensions=16)
    assert str(caught.value) == (
        f"index: FAISS has no index '{typed}' over cosines of 16 dimensions; such as: Flat (exact), HNSW32, "
        "IVF256,Flat, SQ8, PQ32, PCA64,Flat"
    )

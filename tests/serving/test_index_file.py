"""Index files: damaged, claiming more than they hold, or of something else."""

# Shapes: N items, D dimensions.

import hashlib
import re
import resource
import struct
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from simtrain.errors import BundleError
from simtrain.serving.index_file import read_index_file, write_index_file


def unit_rows(count: int, dimensions: int, *, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def made(items: NDArray[np.float32], factory: str = "IDMap2,Flat", *, first: int = 0) -> Any:
    index = faiss.index_factory(items.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
    index.train(items)
    index.add_with_ids(items, np.arange(len(items)) + first)
    return index


def read(path: Path) -> Any:
    return read_index_file(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("damage", ["empty", "truncated", "noise"])
def test_a_damaged_file_is_told(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    write_index_file(made(unit_rows(50, 8, seed=9)), path)
    whole = path.read_bytes()
    noise = np.random.default_rng(0).bytes(len(whole))
    path.write_bytes({"empty": b"", "truncated": whole[: len(whole) // 2], "noise": noise}[damage])
    with pytest.raises(BundleError, match=f"^{re.escape(str(path))}: not an index that FAISS can read: .+"):
        read(path)


@pytest.mark.parametrize("factory", ["IDMap2,Flat", "IVF4,SQ8", "IDMap2,HNSW4"])
def test_a_file_that_is_cut_anywhere_is_told(factory: str, tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    write_index_file(made(unit_rows(50, 8, seed=9), factory), path)
    whole = path.read_bytes()
    assert read(path).ntotal == 50
    for length in [*range(160), *range(len(whole) - 30, len(whole))]:
        path.write_bytes(whole[:length])
        with pytest.raises(BundleError, match=r"index\.faiss: (not an index that FAISS can read|damaged index): "):
            read(path)
    path.write_bytes(whole + b"more")
    with pytest.raises(
        BundleError, match=rf"damaged index: {len(whole) + 4} bytes long, where it should be {len(whole)}"
    ):
        read(path)


def test_another_index_than_the_one_that_was_checked_is_told(tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    write_index_file(made(unit_rows(50, 8, seed=9)), path)
    with pytest.raises(BundleError, match=f"^{re.escape(str(path))}: altered or of another bundle: its SHA-256 is "):
        read_index_file(path, sha256=hashlib.sha256(b"another").hexdigest())


def test_an_index_of_something_else_is_told(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"index\.faiss: no such index$"):
        read_index_file(tmp_path / "index.faiss", sha256="")
    items = unit_rows(10, 4, seed=10)
    plain = faiss.index_factory(4, "Flat", faiss.METRIC_INNER_PRODUCT)
    plain.add(items)
    faiss.write_index(plain, str(tmp_path / "plain"))
    with pytest.raises(
        BundleError, match=r"plain: not an index of simtrain: expected ids \(an id map, or inverted lists\)$"
    ):
        read(tmp_path / "plain")
    shifted = faiss.index_factory(4, "IDMap2,Flat", faiss.METRIC_INNER_PRODUCT)
    shifted.add_with_ids(items, np.arange(10) + 1)
    faiss.write_index(shifted, str(tmp_path / "shifted"))
    with pytest.raises(BundleError, match=r"shifted: damaged index: its ids are not the rows 0 to 9 of the items$"):
        read(tmp_path / "shifted")
    other = faiss.index_factory(4, "IDMap2,Flat", faiss.METRIC_L2)
    other.add_with_ids(items, np.arange(10))
    faiss.write_index(other, str(tmp_path / "distances"))
    with pytest.raises(BundleError, match=r"distances: not an index of simtrain: expected inner products$"):
        read(tmp_path / "distances")


@pytest.mark.parametrize("first", [1, -1, 2**40])
def test_ids_of_inverted_lists_are_rows_too(first: int, tmp_path: Path) -> None:
    path, items = tmp_path / "index.faiss", unit_rows(400, 4, seed=10)
    write_index_file(made(items, "IVF4,SQ8", first=first), path)
    with pytest.raises(BundleError, match=r": damaged index: its ids are not the rows 0 to 399 of the items$"):
        read(path)
    write_index_file(made(items, "IVF4,SQ8"), path)
    assert read(path).ntotal == 400


@pytest.mark.parametrize("factory", ["IDMap2,Flat", "IVF8,SQ8", "IDMap,HNSW8,SQ8"])
@pytest.mark.parametrize("claim", [1 << 33, 1 << 60, (1 << 64) - 1])
def test_an_index_that_claims_more_than_its_file_holds_is_refused_before_it_is_allocated(
    factory: str, claim: int, tmp_path: Path
) -> None:
    path, count = tmp_path / "index.faiss", 1003
    write_index_file(made(unit_rows(count, 8, seed=1), factory), path)
    whole = path.read_bytes()
    read(path)
    counts = {count, 8 * count, 2 * count, 8, 64}  # lengths of the vectors of ids, codes, levels, lists, centroids
    claims = [at for at in range(len(whole) - 8) if struct.unpack_from("<Q", whole, at)[0] in counts]
    assert len(claims) >= 4
    told = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for at in claims:
        path.write_bytes(whole[:at] + struct.pack("<Q", claim) + whole[at + 8 :])
        try:
            read(path)
        except BundleError as error:
            told.append(str(error))
    assert len(told) >= 3
    begin = re.compile(f"{re.escape(str(path))}: (not an index that FAISS can read|damaged index): [^\n]+")
    assert all(begin.fullmatch(line) for line in told)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # 1 GiB in KiB


def test_memory_that_ends_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "index.faiss"
    write_index_file(made(unit_rows(10, 4, seed=1)), path)
    limits = faiss.get_deserialization_vector_byte_limit(), faiss.get_deserialization_loop_limit()

    def fails(*_arguments: object) -> None:
        raise MemoryError("std::bad_alloc")

    monkeypatch.setattr(faiss, "read_index", fails)
    with pytest.raises(BundleError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: not an index that FAISS can read: it claims more memory than there is"
    assert (faiss.get_deserialization_vector_byte_limit(), faiss.get_deserialization_loop_limit()) == limits


def test_a_file_that_is_replaced_meanwhile_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, other = tmp_path / "index.faiss", tmp_path / "other"
    write_index_file(made(unit_rows(10, 4, seed=1)), path)
    write_index_file(made(unit_rows(10, 4, seed=2)), other)
    read_index = faiss.read_index

    def replaced(*arguments: Any) -> Any:
        other.replace(path)
        return read_index(*arguments)

    monkeypatch.setattr(faiss, "read_index", replaced)
    with pytest.raises(BundleError, match=r"index\.faiss: replaced while it was opened; try again$"):
        read(path)

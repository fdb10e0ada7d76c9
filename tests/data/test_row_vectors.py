"""Files of embeddings by row: joined, mapped, and refused where they are something else."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from simtrain.data import row_vectors
from simtrain.data.row_vectors import RowVectors, map_rows, vectors_of, write_rows


def part(*rows: int, sign: float = 1.0) -> RowVectors:
    """Row r is (r, 2 r), or its negative."""
    vectors = np.array([[sign * row, 2 * sign * row] for row in rows], dtype=np.float32).reshape(-1, 2)
    return RowVectors(rows=np.array(rows, dtype=np.int64), vectors=vectors, note={})


@pytest.mark.parametrize("block", [1, 2, 100])
def test_parts_are_joined_in_the_order_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(row_vectors, "_BLOCK_ROWS", block)
    write_rows(tmp_path / "file", [part(3, 9), part(1, 4), part(3, 5, sign=-1)], note={"device": "a"})
    found = map_rows(tmp_path / "file")
    assert found.rows.tolist() == [1, 3, 4, 5, 9]
    assert found.vectors.tolist() == [[1, 2], [3, 6], [4, 8], [-5, -10], [9, 18]]
    assert found.note == {"device": "a"}


def test_the_file_is_safetensors_and_safetensors_files_are_read(tmp_path: Path) -> None:
    write_rows(tmp_path / "ours.safetensors", [part(3, 9)], note={})
    found = load_file(tmp_path / "ours.safetensors")
    assert (found["rows"].tolist(), found["vectors"].tolist()) == ([3, 9], [[3, 6], [9, 18]])
    save_file(found, tmp_path / "theirs", metadata={"simtrain": '{"images": 2}'})
    again = map_rows(tmp_path / "theirs")
    assert (again.rows.tolist(), again.vectors.tolist()) == ([3, 9], [[3, 6], [9, 18]])
    assert again.note == {"images": 2}


def test_a_change_in_memory_stays_there(tmp_path: Path) -> None:
    write_rows(tmp_path / "file", [part(3)], note={})
    torch.from_numpy(map_rows(tmp_path / "file").vectors).zero_()
    assert map_rows(tmp_path / "file").vectors.tolist() == [[3, 6]]


def test_rows_are_taken_from_the_first_part_that_has_them() -> None:
    parts = [part(1, 4), part(2, 4, 6, sign=-1)]
    assert vectors_of(parts, np.array([1, 2, 4])).tolist() == [[1, 2], [-2, -4], [4, 8]]
    for row in (0, 3, 9):
        with pytest.raises(KeyError):
            vectors_of(parts, np.array([1, row]))


def test_all_rows_of_a_part_are_the_part_itself() -> None:
    one = part(1, 4)
    assert vectors_of([one, part(2)], np.array([1, 4])) is one.vectors


@pytest.mark.parametrize("end", [0, 4, 40, 200, -1])
def test_a_file_that_is_cut_is_refused(tmp_path: Path, end: int) -> None:
    write_rows(tmp_path / "file", [part(3, 9)], note={})
    (tmp_path / "file").write_bytes((tmp_path / "file").read_bytes()[:end])
    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong first
        map_rows(tmp_path / "file")


def test_tensors_of_other_types_are_refused(tmp_path: Path) -> None:
    tensors = {"rows": torch.arange(2), "vectors": torch.zeros(2, 3, dtype=torch.float16)}
    save_file(tensors, tmp_path / "file", metadata={"simtrain": "{}"})
    with pytest.raises(ValueError, match="a tensor is not of F32, or not as long as it says"):
        map_rows(tmp_path / "file")

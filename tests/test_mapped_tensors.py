"""Safetensors files by their header: those of the library are read, and the library reads ours."""

import json
import mmap
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from simtrain.mapped_tensors import MappedTensors, header_of

ROWS = np.arange(3, dtype=np.int64)
VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


def mapped(path: Path, *, largest_header: int = 1000) -> MappedTensors:
    with path.open("rb") as file:
        return MappedTensors.of(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), largest_header=largest_header)


def test_the_library_reads_what_follows_the_header(tmp_path: Path) -> None:
    header = header_of({"rows": ("I64", (3,)), "vectors": ("F32", (3, 2))}, metadata={"note": "a"})
    (tmp_path / "file").write_bytes(header + ROWS.tobytes() + VECTORS.tobytes())
    found = load_file(tmp_path / "file")
    np.testing.assert_array_equal(found["rows"], ROWS)
    np.testing.assert_array_equal(found["vectors"], VECTORS)
    assert mapped(tmp_path / "file").metadata("note") == "a"


def test_what_the_library_wrote_is_mapped(tmp_path: Path) -> None:
    save_file({"rows": ROWS, "vectors": VECTORS.astype(np.float16)}, tmp_path / "file", metadata={"note": "a"})
    tensors = mapped(tmp_path / "file")
    np.testing.assert_array_equal(tensors.array("rows", codes=("I64",)), ROWS)
    np.testing.assert_array_equal(tensors.array("vectors", codes=("F16", "F32")), VECTORS)
    assert tensors.metadata("note") == "a"
    for name in ("other", "__metadata__"):
        with pytest.raises(ValueError, match=f"^{name}: "):
            tensors.array(name, codes=("I64",))
    with pytest.raises(ValueError, match=r"^other: is not among what is written beside the tensors$"):
        tensors.metadata("other")
    with pytest.raises(ValueError, match=r"^a tensor is not of F32, or not as long as it says$"):
        tensors.array("vectors", codes=("F32",))


@pytest.mark.parametrize(
    "changed",
    [
        {"shape": [3, 3]},
        {"shape": ["3", "2"]},
        {"shape": [3.0, 2.0]},
        {"shape": [-3, -2]},
        {"shape": [2**40, 2**40]},
        {"data_offsets": [0.0, 24.0]},
        {"data_offsets": [8, 32]},
        {"data_offsets": [-8, 16]},
        {"dtype": "F64"},
        {"dtype": ["F32"]},
    ],
    ids=str,
)
def test_a_tensor_that_is_described_wrongly_is_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    tensor = {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24], **changed}
    header = json.dumps({"vectors": tensor}).encode()
    (tmp_path / "file").write_bytes(len(header).to_bytes(8, "little") + header + VECTORS.tobytes())
    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong first
        mapped(tmp_path / "file").array("vectors", codes=("F32",))


@pytest.mark.parametrize("header", [b"", b"[]", b"7", b"not json", b"\xff", b"[" * 900], ids=range(6))
def test_a_header_that_names_no_tensors_is_refused(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "file").write_bytes(len(header).to_bytes(8, "little") + header + VECTORS.tobytes())
    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong first
        mapped(tmp_path / "file")


def test_a_header_beyond_the_bound_or_the_file_is_refused(tmp_path: Path) -> None:
    save_file({"rows": ROWS}, tmp_path / "file")
    with pytest.raises(ValueError, match=r"^the header is longer than the file$"):
        mapped(tmp_path / "file", largest_header=8)
    (tmp_path / "file").write_bytes((2**60).to_bytes(8, "little"))
    with pytest.raises(ValueError, match=r"^the header is longer than the file$"):
        mapped(tmp_path / "file")

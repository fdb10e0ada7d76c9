"""The file of vectors beside an approximate index."""

# Shapes: N items, D dimensions.

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from simtrain.errors import BundleError
from simtrain.serving import stored_vectors
from simtrain.serving.stored_vectors import VectorType, map_vectors, write_vectors

ROWS = np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32)
ORDER = np.random.default_rng(1).permutation(50).tolist()


@pytest.mark.parametrize("stored_as", ["float16", "float32"])
def test_it_is_a_safetensors_file_of_the_rows_in_their_order(
    stored_as: VectorType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_vectors, "_BLOCK_BYTES", 4 * 7 * 8)  # 7 blocks
    path = tmp_path / "vectors.safetensors"
    write_vectors(path, ROWS, order=ORDER, stored_as=stored_as)
    expected = ROWS[ORDER].astype(stored_as)
    np.testing.assert_array_equal(load_file(path)["vectors"], expected)
    mapped = map_vectors(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    np.testing.assert_array_equal(mapped, expected)
    assert mapped.dtype == np.dtype(stored_as)
    assert not mapped.flags.writeable


def test_another_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "vectors.safetensors"
    with pytest.raises(BundleError, match=f"^{re.escape(str(path))}: missing; export the bundle again$"):
        map_vectors(path, sha256="")
    path.write_bytes(b"")
    with pytest.raises(BundleError, match=f"^{re.escape(str(path))}: empty; export the bundle again$"):
        map_vectors(path, sha256="")
    write_vectors(path, ROWS, order=ORDER, stored_as="float32")
    with pytest.raises(BundleError, match=f"^{re.escape(str(path))}: altered or of another bundle: its SHA-256 is "):
        map_vectors(path, sha256="0" * 64)


HEADER = {"dtype": "F32", "shape": [50, 7], "data_offsets": [0, 1400]}


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"not json",
        b"[" * 5000,
        b"[]",
        json.dumps({"vectors": {**HEADER, "shape": [50, 8]}}).encode(),
        json.dumps({"vectors": {**HEADER, "shape": [2**40, 7]}}).encode(),
        json.dumps({"vectors": {**HEADER, "shape": [-50, -7]}}).encode(),
        json.dumps({"vectors": {**HEADER, "shape": [350]}}).encode(),
        json.dumps({"vectors": {**HEADER, "shape": ["50", "7"]}}).encode(),
        json.dumps({"vectors": {**HEADER, "dtype": "F64"}}).encode(),
        json.dumps({"vectors": {**HEADER, "data_offsets": [8, 1408]}}).encode(),
        json.dumps({"others": HEADER}).encode(),
    ],
    ids=range(12),
)
def test_a_header_that_is_not_of_the_content_is_told(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vectors.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + ROWS.tobytes())
    with pytest.raises(BundleError, match=f"^{re.escape(str(path))}: not a file of vectors; export the bundle again$"):
        map_vectors(path, sha256=None)


def test_a_header_longer_than_the_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "vectors.safetensors"
    for content in (b"short", (2**60).to_bytes(8, "little") + b"{}"):
        path.write_bytes(content)
        with pytest.raises(BundleError, match="not a file of vectors"):
            map_vectors(path, sha256=None)

"""Vectors of a bundle's items beside an approximate index, memory-mapped, for exact similarities."""

# Shapes: N items, D dimensions of the embedding.

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simtrain.errors import BundleError, system_reason
from simtrain.serving.replacement import check_hash

VectorType = Literal["float16", "float32"]

_NAME = "vectors"
_SAFETENSORS_TYPES: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
_LARGEST_HEADER = 1 << 16  # bytes
_BLOCK_BYTES = 1 << 25


def write_vectors(path: Path, embeddings: NDArray[np.float32], *, order: Sequence[int], stored_as: VectorType) -> None:
    """Write embeddings as a safetensors file with one tensor, `vectors`, block by block.

    Args:
        path: The file.
        embeddings: (N, D) rows of length 1; may be memory-mapped.
        order: The rows in the order in which they are written.
        stored_as: Type of the numbers; float16 halves the file and moves similarities by up to about 0.0001.

    Raises:
        OSError: if it cannot be written.
    """
    rows, dimensions = len(order), embeddings.shape[1]
    code, kind = next((code, kind) for code, kind in _SAFETENSORS_TYPES.items() if kind.name == stored_as)
    size = rows * dimensions * kind.itemsize
    tensor = {"dtype": code, "shape": [rows, dimensions], "data_offsets": [0, size]}
    header = json.dumps({_NAME: tensor}).encode()
    header += b" " * (-len(header) % 8)
    block = max(1, _BLOCK_BYTES // (4 * dimensions))
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for start in range(0, rows, block):
            file.write(np.ascontiguousarray(embeddings[order[start : start + block]], dtype=kind).tobytes())


def map_vectors(path: Path, *, sha256: str | None) -> NDArray[Any]:
    """The vectors of a file that `write_vectors` wrote, (N, D), read from the disk where they are looked at.

    Args:
        path: The file.
        sha256: Of its content, which is checked; None: it was just written.

    Raises:
        BundleError: if it is missing, of other content, or not such a file.
    """
    if not path.is_file():
        raise BundleError(f"{path}: missing; export the bundle again")
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {system_reason(error)}") from None
    except ValueError:  # of an empty file
        raise BundleError(f"{path}: empty; export the bundle again") from None
    if sha256 is not None:
        check_hash(path, hashlib.sha256(content).hexdigest(), expected=sha256)
    try:
        return _array(content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BundleError(f"{path}: not a file of vectors; export the bundle again") from None


def _array(content: mmap.mmap) -> NDArray[Any]:
    length = int.from_bytes(content[:8], "little")
    if length > min(_LARGEST_HEADER, len(content) - 8):
        raise ValueError("the header is longer than the file")
    tensor = json.loads(content[8 : 8 + length])[_NAME]
    rows, dimensions = tensor["shape"]
    flat: NDArray[Any] = np.frombuffer(content, dtype=_SAFETENSORS_TYPES[tensor["dtype"]], offset=8 + length)
    if rows < 1 or dimensions < 1 or tensor["data_offsets"] != [0, flat.nbytes]:
        raise ValueError("the shape is not that of the content")
    return flat.reshape(rows, dimensions)

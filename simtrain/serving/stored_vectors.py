"""Vectors of a bundle's items beside an approximate index, memory-mapped, for exact similarities."""

# Shapes: N items, D dimensions of the embedding.

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simtrain.errors import BundleError, system_reason
from simtrain.mapped_tensors import MappedTensors, header_of
from simtrain.serving.replacement import check_hash

VectorType = Literal["float16", "float32"]

_NAME = "vectors"
_CODES: dict[VectorType, str] = {"float16": "F16", "float32": "F32"}
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
    rows, dimensions, kind = len(order), embeddings.shape[1], np.dtype(stored_as).newbyteorder("<")
    block = max(1, _BLOCK_BYTES // (4 * dimensions))
    with path.open("wb") as file:
        file.write(header_of({_NAME: (_CODES[stored_as], (rows, dimensions))}))
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
    except ValueError:
        raise BundleError(f"{path}: not a file of vectors; export the bundle again") from None


def _array(content: mmap.mmap) -> NDArray[Any]:
    tensors = MappedTensors.of(content, largest_header=_LARGEST_HEADER)
    vectors = tensors.array(_NAME, codes=tuple(_CODES.values()))
    if vectors.ndim != 2 or vectors.size == 0 or vectors.nbytes != len(content) - tensors.begin:
        raise ValueError("the shape is not that of the content")
    return vectors

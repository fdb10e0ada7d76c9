"""Files of embeddings by catalogue row: written in blocks, mapped into memory, read where they are looked at."""

# Shapes: N rows, n of one block, D dimensions of an embedding.

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simtrain.mapped_tensors import MappedTensors, header_of

_BLOCK_ROWS = 8192
_LARGEST_HEADER = 1 << 20  # bytes
_NOTE = "simtrain"


@dataclass(frozen=True, kw_only=True, eq=False)
class RowVectors:
    """Embeddings of rows, in a file or in memory.

    Attributes:
        rows: (N,) catalogue rows, ascending.
        vectors: (N, D) float32; of a file they are mapped, and several processes of a machine share them.
        note: What was written beside them.
    """

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]
    note: Mapping[str, Any]


def write_rows(path: Path, parts: Sequence[RowVectors], *, note: Mapping[str, Any]) -> None:
    """Write the embeddings of several files as one safetensors file, a block at a time; of a row in two the first.

    Args:
        path: The file.
        parts: What is joined, all of one D; at least one.
        note: Plain values that are written beside.

    Raises:
        OSError: if it cannot be written.
    """
    rows, places = np.unique(np.concatenate([part.rows for part in parts]), return_index=True)
    starts = np.cumsum([0, *(len(part.rows) for part in parts)])
    count, dimensions = len(rows), parts[0].vectors.shape[1]
    tensors = {"rows": ("I64", (count,)), "vectors": ("F32", (count, dimensions))}
    with path.open("wb") as file:
        file.write(header_of(tensors, metadata={_NOTE: json.dumps(note)}))
        file.write(rows.astype("<i8").tobytes())
        for start in range(0, count, _BLOCK_ROWS):
            chosen = places[start : start + _BLOCK_ROWS]
            block = np.empty((len(chosen), dimensions), dtype="<f4")
            for part, first in zip(parts, starts, strict=False):
                own = (chosen >= first) & (chosen < first + len(part.rows))
                block[own] = part.vectors[chosen[own] - first]
            file.write(block.tobytes())


def map_rows(path: Path) -> RowVectors:
    """The embeddings of a file; a change of them is of this process alone, and never in the file.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no such file.
    """
    tensors = _opened(path)
    rows, vectors = tensors.array("rows", codes=("I64",)), tensors.array("vectors", codes=("F32",))
    try:
        note = json.loads(tensors.metadata(_NOTE))
    except RecursionError as error:
        raise ValueError(f"{path}: {error}") from error
    if rows.ndim != 1 or vectors.ndim != 2 or len(rows) != len(vectors):
        raise ValueError("rows and vectors do not go together")
    return RowVectors(rows=rows, vectors=vectors, note=note)


def map_halves(path: Path, *, name: str) -> NDArray[np.float16]:
    """A float16 tensor of a safetensors file, mapped in the same way.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no such file.
    """
    return _opened(path).array(name, codes=("F16",))


def vectors_of(parts: Sequence[RowVectors], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N, D) embeddings of (N,) rows, each from the first part that has it.

    Raises:
        KeyError: for a row that none has.
    """
    first = parts[0]
    if np.array_equal(first.rows, rows):
        return first.vectors
    vectors = np.empty((len(rows), first.vectors.shape[1]), dtype=np.float32)
    left = np.ones(len(rows), dtype=bool)
    for part in parts:
        places = np.minimum(np.searchsorted(part.rows, rows), len(part.rows) - 1)
        here = left & (part.rows[places] == rows)
        vectors[here] = part.vectors[places[here]]
        left &= ~here
    if left.any():
        raise KeyError("a row that was not embedded")
    return vectors


def _opened(path: Path) -> MappedTensors:
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    return MappedTensors.of(content, largest_header=_LARGEST_HEADER)

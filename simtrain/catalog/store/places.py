"""Places of pictures in the image store, and the files of a source, for every row of a catalogue."""

# Shapes: N rows of the catalogue.

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from typing_extensions import override

from simtrain.catalog.table import Catalog

_AT_ONCE = 65536  # names that are Python's own at a time


class SourcePaths(Sequence[Path]):
    """The file of each catalogue row, made when it is asked for: a million of `Path` take seconds, and 500 MB.

    Args:
        catalog: The catalogue.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._root = catalog.root
        self._names = _texts(catalog, "path")

    @override
    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, row: int) -> Path: ...

    @overload
    def __getitem__(self, row: slice) -> list[Path]: ...

    @override
    def __getitem__(self, row: int | slice) -> Path | list[Path]:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        return self._root / str(self._names[int(row)].as_py())

    @override
    def __iter__(self) -> Iterator[Path]:
        return (self._root / name for name in self.names())

    def names(self) -> Iterator[str]:
        """The paths within the catalogue's root, as the catalogue writes them."""
        for start in range(0, len(self._names), _AT_ONCE):
            yield from self._names.slice(start, _AT_ONCE).to_pylist()


@dataclass(frozen=True, kw_only=True)
class StoredPlaces:
    """Where the picture of each catalogue row lies; `shard` is -1 for rows that the store does not hold."""

    names: list[str]
    shard: NDArray[np.int64]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    width: NDArray[np.int64]
    height: NDArray[np.int64]
    crc32: NDArray[np.int64]


def stored_places(catalog: Catalog, table: pa.Table) -> StoredPlaces:
    """Where the pictures lie; the store holds a row if the file's content is that of the catalogue.

    Args:
        catalog: Catalogue of N rows.
        table: The record of `images.parquet`.

    Raises:
        ValueError: for a record that says of a stored picture only a part of where it lies.
    """
    rows = record_rows(catalog, table)
    same = pc.equal(_of_rows(table, "sha256", rows), _texts(catalog, "sha256"))
    shards = _of_rows(table, "shard", rows)
    holds = pc.and_(same, shards.is_valid()).fill_null(False).to_numpy(zero_copy_only=False)
    names = sorted(table["shard"].drop_null().unique().to_pylist())
    numbers = pc.index_in(shards, value_set=pa.array(names, type=pa.string())).fill_null(-1)

    def of_stored(column: str) -> NDArray[np.int64]:
        values = _of_rows(table, column, rows)
        if (values.is_null().to_numpy(zero_copy_only=False) & holds).any():
            raise ValueError(f"column {column} lacks a stored picture's")
        return np.where(holds, values.fill_null(0).to_numpy(), 0).astype(np.int64)

    return StoredPlaces(
        names=names,
        shard=np.where(holds, numbers.to_numpy(), -1).astype(np.int64),
        offset=of_stored("offset"),
        length=of_stored("length"),
        width=of_stored("stored_width"),
        height=of_stored("stored_height"),
        crc32=of_stored("crc32"),
    )


def record_rows(catalog: Catalog, table: pa.Table) -> pa.Array:
    """(N,) row of a record that is about the file of each catalogue row; null: none is."""
    paths = table["path"].cast(pa.large_string()).combine_chunks()
    return pc.index_in(_texts(catalog, "path"), value_set=paths)


def noted(table: pa.Table, column: str, rows: pa.Array) -> NDArray[np.int64]:
    """(N,) whole numbers of a record's column at some of its rows; -1 where the row or the number is null."""
    values: NDArray[np.int64] = _of_rows(table, column, rows).fill_null(-1).to_numpy().astype(np.int64)
    return values


def _of_rows(table: pa.Table, column: str, rows: pa.Array) -> pa.Array:
    return table[column].combine_chunks().take(rows)


def _texts(catalog: Catalog, column: str) -> pa.Array:
    return pa.array(catalog.rows[column].astype("str"), type=pa.large_string(), from_pandas=True)

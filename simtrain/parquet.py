"""Parquet files by their path alone: pyarrow takes `shop:v2/x.parquet` for an address and `a=b/` for a column."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def read_table(path: Path, *, columns: Sequence[str] | None = None) -> Any:
    """The table of a Parquet file.

    Args:
        path: The file.
        columns: Columns to read; None: all.

    Raises:
        OSError: if it cannot be read.
        pa.ArrowException: if it is no whole Parquet file.
    """
    with pa.OSFile(str(path), "rb") as file, pq.ParquetFile(file) as opened:
        missing = [name for name in columns or () if name not in opened.schema_arrow.names]
        if missing:
            raise pa.ArrowInvalid(f"no column '{missing[0]}'")
        return opened.read(columns=None if columns is None else list(columns))


def read_table_bytes(content: bytes) -> Any:
    """The table of a Parquet file that has been read; raises `pa.ArrowException` if it is no whole Parquet file."""
    with pq.ParquetFile(pa.BufferReader(content)) as opened:
        return opened.read()


def read_schema(path: Path) -> Any:
    """The schema of a Parquet file; raises as `read_table` does."""
    with pa.OSFile(str(path), "rb") as file:
        return pq.read_schema(file)


def row_count(path: Path) -> int:
    """Number of rows of a Parquet file; raises as `read_table` does."""
    with pa.OSFile(str(path), "rb") as file, pq.ParquetFile(file) as opened:
        return int(opened.metadata.num_rows)


def write_table(table: Any, path: Path) -> None:
    """Write a Parquet file under exactly this path.

    Raises:
        OSError: if it cannot be written.
    """
    with pa.OSFile(str(path), "wb") as file:
        pq.write_table(table, file)


def kept_by_pandas(table: Any) -> Any:
    """The table with the columns that do not come back from pandas as they went there as ones that do.

    Maps become lists of `key` and `value`; times of a zone that is not known here become those of UTC.
    """
    for place, field in enumerate(table.schema):
        kind = _kept_type(field.type)
        if kind != field.type:
            table = table.set_column(place, field.name, table.column(place).cast(kind))
    return table


def _kept_type(kind: Any) -> Any:
    if pa.types.is_map(kind):
        entry = [pa.field("key", _kept_type(kind.key_type)), pa.field("value", _kept_type(kind.item_type))]
        return pa.list_(pa.struct(entry))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(inner.name, _kept_type(inner.type)) for inner in kind])
    if pa.types.is_list(kind):
        return pa.list_(_kept_type(kind.value_type))
    if pa.types.is_timestamp(kind) and kind.tz is not None and not _is_known_zone(kind.tz):
        return pa.timestamp(kind.unit, "UTC")
    return kind


def _is_known_zone(name: str) -> bool:
    try:
        pa.lib.string_to_tzinfo(name)
    except (pa.ArrowException, ValueError, KeyError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return False
    return True

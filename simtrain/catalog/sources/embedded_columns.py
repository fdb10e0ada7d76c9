"""Columns of Parquet files that hold pictures, alone, in lists or one struct deeper."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from simtrain.catalog.picture_kinds import HEAD_BYTES, accident_of, picture_suffix
from simtrain.catalog.sources.column_names import told_apart
from simtrain.errors import CatalogError, first_line

BATCH_ROWS = 32
_READ_BYTES = 1 << 20
_LOOKED_AT = 64
"""Values of a column of bytes that are looked at for one that begins like a picture."""


def embedded_columns(path: Path) -> list[str]:
    """Columns of a Parquet file that hold pictures: structs of `bytes` and `path`, and bytes that begin like a picture.

    Lists of either count too, as do both within a struct, under the name `struct.field`. Reads the schema and, of
    columns of bytes, the first values.

    Raises:
        CatalogError: if it is no Parquet file.
    """
    with told(path), opened(path) as file:
        features = features_of(file.schema_arrow)
        schema = flat_schema(file.schema_arrow)
        stored = _stored_names(file.schema_arrow)
        plain = [
            column.name
            for column in schema
            if is_image_struct(_inner(column.type))
            and features.get(column.name, {}).get("_type", "Image") in ("Image", "Sequence", "List", "LargeList")
        ]
        unsure = [number for number, column in enumerate(schema) if is_bytes(_inner(column.type))]
        begun = [number for number in unsure if _begins_like_a_picture(file, stored, number)]
        found = {*plain, *(schema.names[number] for number in begun)}
        return [name for name in schema.names if name in found]


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what the reader of Parquet raises into one line."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        accident = None
        if path.is_file():
            with path.open("rb") as file:
                accident = accident_of(file.read(4096))
        raise CatalogError(f"{path}: {accident or f'cannot be read as Parquet: {first_line(error)}'}") from None


def opened(path: Path) -> pq.ParquetFile:
    """An opened file that does not fill the memory with whole row groups."""
    # absolute: a relative `shop:v2/x` is an address to pyarrow
    return pq.ParquetFile(path.absolute(), buffer_size=_READ_BYTES, pre_buffer=False)


def features_of(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """What `datasets` says of the columns; empty where it says nothing."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def is_bytes(kind: pa.DataType) -> bool:
    """Whether values are bytes."""
    fixed = pa.types.is_fixed_size_binary(kind)
    return bool(fixed or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether values are lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_image_struct(kind: pa.DataType) -> bool:
    """Whether values are structs of `bytes` and `path`."""
    if not pa.types.is_struct(kind):
        return False
    types = {inner.name: inner.type for inner in kind}
    return "path" in types and "bytes" in types and is_bytes(types["bytes"])


def flat_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with structs that hold pictures parted into their fields, and columns of one name told apart."""
    names, _ = told_apart(_stored_names(schema))
    kinds: list[pa.DataType] = []
    for column in schema:
        kinds += [inner.type for inner in column.type] if _holds_pictures(column.type) else [column.type]
    return pa.schema(list(zip(names, kinds, strict=True)))


def repeated_columns(schema: pa.Schema) -> list[str]:
    """A remark for each name that several columns have."""
    return told_apart(_stored_names(schema))[1]


def flat_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch likewise."""
    arrays: list[pa.Array] = []
    for column in batch.columns:
        arrays += column.flatten() if _holds_pictures(column.type) else [column]
    return pa.RecordBatch.from_arrays(arrays, names=flat_schema(batch.schema).names)


def _stored_names(schema: pa.Schema) -> list[str]:
    """Names of the columns as the file has them, of the fields of structs that are parted too."""
    names: list[str] = []
    for column in schema:
        parted = _holds_pictures(column.type)
        names += [f"{column.name}.{inner.name}" for inner in column.type] if parted else [column.name]
    return names


def _holds_pictures(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind) or is_image_struct(kind):
        return False
    return any(is_image_struct(_inner(inner.type)) for inner in kind)


def _inner(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if is_list(kind) else kind


def _begins_like_a_picture(file: pq.ParquetFile, stored: Sequence[str], number: int) -> bool:
    """Whether a value of a column does; several columns may be stored under its name."""
    looked_at, place = 0, stored[:number].count(stored[number])
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=[stored[number]]):
        values = batch.column(place)
        while pa.types.is_struct(values.type):  # the column is a field of one that is parted
            values = values.field(0)
        values = values.flatten() if is_list(values.type) else values
        for value in values.to_pylist():
            if value and picture_suffix(value[:HEAD_BYTES]) is not None:
                return True
            looked_at += bool(value)
        if looked_at >= _LOOKED_AT:
            return False
    return False

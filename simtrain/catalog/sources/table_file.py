"""CSV and Parquet tables read without changing what their columns hold."""

import csv
import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pyarrow as pa

from simtrain.catalog.sources.source import text_column
from simtrain.errors import CatalogError
from simtrain.parquet import read_table

TABLE_SUFFIXES = (".csv", ".parquet")
_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[+-]?(0|[1-9][0-9]*|(?=\.))(\.[0-9]*)?([eE][+-]?[0-9]+)?|[nN]a[nN]")
_LARGEST_INTEGER = 2**63 - 1
_NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def read_table_file(path: Path, *, text_columns: Collection[str]) -> pd.DataFrame:
    """The table with every column as it came, one row or more.

    A column of a CSV becomes numbers where every value is one; a leading zero (`00123`) makes it text.

    Args:
        path: A `.csv` (UTF-8, comma) or `.parquet` file.
        text_columns: Columns of a CSV that stay text whatever they hold.

    Raises:
        CatalogError: if it cannot be read, has no rows, or two columns of one name.
    """
    frame = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path, text_columns=text_columns)
    if frame.empty:
        raise CatalogError(f"{path}: has no rows")
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise CatalogError(f"{path}: not a Parquet file: {str(error).splitlines()[0]}") from None
    _refuse_repeated_columns(path, table.column_names)
    # Nullable types first: plain numpy would turn whole numbers beside a null into floats.
    frame: pd.DataFrame = table.to_pandas(types_mapper=_NULLABLE.get, ignore_metadata=True)
    for name, field in zip(table.column_names, table.schema, strict=True):
        if field.type in _NULLABLE and not frame[name].isna().any():
            frame[name] = frame[name].astype(field.type.to_pandas_dtype())
    return frame


def _read_csv(path: Path, *, text_columns: Collection[str]) -> pd.DataFrame:
    header, records = _csv_records(path)
    _refuse_repeated_columns(path, header)
    columns = {}
    for position, name in enumerate(header):
        values = [record[position] for record in records]
        columns[name] = text_column([v or None for v in values]) if name in text_columns else _typed_column(values)
    return pd.DataFrame(columns)


def _csv_records(path: Path) -> tuple[list[str], list[list[str]]]:
    records = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if not header:
                raise CatalogError(f"{path}: is empty; expected a header line with the names of the columns")
            for record in reader:
                if record and len(record) != len(header):
                    raise CatalogError(
                        f"{path}: line {reader.line_num} has {len(record)} fields; the header has {len(header)}"
                    )
                if record:
                    records.append(record)
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None
    except csv.Error as error:
        raise CatalogError(f"{path}: line {reader.line_num}: not CSV: {error}") from None
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read: {error.strerror}") from None
    return header, records


def _refuse_repeated_columns(path: Path, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise CatalogError(f"{path}: the column '{name}' stands {names.count(name)} times; names must differ")


def _typed_column(values: list[str]) -> pd.Series:
    present = [value for value in values if value]
    if present and all(_INTEGER.fullmatch(value) for value in present):
        integers = [int(value) if value else None for value in values]
        if all(abs(integer) <= _LARGEST_INTEGER for integer in integers if integer is not None):
            return pd.Series(integers, dtype="int64" if len(present) == len(values) else "Int64")
    elif present and all(_DECIMAL.fullmatch(value) for value in present):
        return pd.Series([float(value) if value else float("nan") for value in values], dtype="float64")
    return text_column([value or None for value in values])

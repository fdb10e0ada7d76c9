"""CSV, TSV, JSON Lines, Parquet and Excel tables read without changing what their columns hold."""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from simtrain.catalog.picture_kinds import accident_of
from simtrain.catalog.sources.column_names import repeated_finding, told_apart
from simtrain.catalog.sources.csv_dialect import DelimitedText, Dialect, read_delimited
from simtrain.catalog.sources.csv_records import lines_of
from simtrain.catalog.sources.source import has_half_characters, text_column
from simtrain.catalog.sources.spelling import folded
from simtrain.catalog.sources.spreadsheet import SHEET_SUFFIXES, read_sheet
from simtrain.catalog.sources.text_encoding import decoded
from simtrain.errors import CatalogError, first_line
from simtrain.parquet import kept_by_pandas, read_table
from simtrain.phrases import counted, listed

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx")
_MORE_SUFFIXES = (".tab", ".ndjson", ".xlsm")
_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[+-]?(0|[1-9][0-9]*|(?=\.))(\.[0-9]*)?([eE][+-]?[0-9]+)?|[nN]a[nN]")
_DECIMAL_COMMA = re.compile(r"[+-]?(0|[1-9][0-9]*|[1-9][0-9]{0,2}(\.[0-9]{3})+)(,[0-9]+)?")
_LARGEST_INTEGER = 2**63 - 1
_MOST_DIGITS = 30
_MOST_EMPTY = 20_000_000
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


@dataclass(kw_only=True)
class TableFile:
    """A table as it was read.

    Attributes:
        frame: Every column as it came, one row or more.
        findings: What was left out, and what is worth telling of its dialect.
    """

    frame: pd.DataFrame
    findings: list[dict[str, Any]] = field(default_factory=list)


def is_table(path: Path) -> bool:
    """Whether a file's name says that it is a table that can be read."""
    return path.suffix.lower() in (*TABLE_SUFFIXES, *_MORE_SUFFIXES)


def read_table_file(path: Path, *, text_columns: Collection[str], dialect: Dialect) -> TableFile:
    """Read a table, one row or more.

    A column of a CSV becomes numbers where every value is one; a leading zero (`00123`) makes it text. Of several
    columns of one name the first keeps it, and the others are numbered.

    Args:
        path: A `.csv`, `.tsv`, `.jsonl`, `.parquet` or `.xlsx` file.
        text_columns: Columns of a CSV that stay text whatever they hold, as `folded` names.
        dialect: How to read text files.

    Raises:
        CatalogError: if it cannot be read or has no rows.
    """
    suffix = path.suffix.lower()
    refuse_no_file(path)
    if suffix == ".parquet":
        table = _read_parquet(path)
    elif suffix in (".jsonl", ".ndjson"):
        table = _read_json_lines(path, dialect=dialect)
    elif suffix in SHEET_SUFFIXES:
        table = _read_sheet(path)
    else:
        table = _read_csv(path, text_columns=text_columns, dialect=dialect)
    if table.frame.empty:
        raise CatalogError(f"{path}: has no rows")
    return table


def refuse_no_file(path: Path) -> None:
    """A pipe may never end, nor a device.

    Raises:
        CatalogError: for what is there and is no file.
    """
    if path.exists() and not path.is_file():
        raise CatalogError(f"{path}: is a folder, a pipe or a device; write the table to a file and give that")


def _read_parquet(path: Path) -> TableFile:
    try:
        table = read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise CatalogError(f"{path}: {_why_no_parquet(path, error)}") from None
    names, repeated = told_apart([name.strip() for name in table.column_names])
    table = kept_by_pandas(table.rename_columns(names))
    frame = _frame_of(path, table)
    for name, kind in zip(table.column_names, table.schema, strict=True):
        if kind.type in _NULLABLE and not frame[name].isna().any():
            frame[name] = frame[name].astype(kind.type.to_pandas_dtype())
    return TableFile(frame=frame, findings=_findings(path, [], repeated, left_out=[]))


def _frame_of(path: Path, table: Any) -> pd.DataFrame:
    held: list[str] = table.column_names
    try:
        # Nullable types first: plain numpy would turn whole numbers beside a null into floats.
        frame: pd.DataFrame = table.to_pandas(types_mapper=_NULLABLE.get, ignore_metadata=True)
    except (ValueError, OverflowError) as error:  # such as a date of the year -2735938
        if len(held) > 1:
            for name in held:
                _frame_of(path, table.select([name]))
        raise CatalogError(
            f"{path}: column '{held[0]}' holds what cannot be read: {first_line(error)}; write it as text"
        ) from None
    return frame


def _why_no_parquet(path: Path, error: Exception) -> str:
    accident = None
    if path.is_file():
        with path.open("rb") as file:
            accident = accident_of(file.read(4096))
    return accident or f"not a Parquet file: {str(error).splitlines()[0]}"


def _read_csv(path: Path, *, text_columns: Collection[str], dialect: Dialect) -> TableFile:
    text = read_delimited(path, dialect=dialect)
    header, empty = _named_columns(text)
    apart, repeated = told_apart(list(header.values()))
    header = dict(zip(header, apart, strict=True))
    columns, with_commas = {}, []
    for position, name in header.items():
        values = [record[position].strip() for record in text.records]
        if folded(name) in text_columns:
            columns[name] = text_column([record[position] or None for record in text.records])
        else:
            comma = text.separator != "," and any(_with_comma(value) for value in values)
            columns[name] = _typed_column([record[position] for record in text.records], values, comma=comma)
            with_commas += [name] if comma and columns[name].dtype == "float64" else []
    remarks = list(text.remarks)
    if with_commas:
        remarks.append(f"numbers with a decimal comma: {listed(with_commas)}")
    if empty:
        remarks.append(f"{counted(empty, 'column')} without a name and without a value passed over")
    return TableFile(frame=pd.DataFrame(columns), findings=_findings(path, remarks, repeated, left_out=text.left_out))


def _named_columns(text: DelimitedText) -> tuple[dict[int, str], int]:
    """Position and name of each column, and how many without name and value there were."""
    nameless = [position for position, name in enumerate(text.header) if not name]
    empty = [at for at in nameless if not any(record[at].strip() for record in text.records)]
    header = {position: name for position, name in enumerate(text.header) if position not in empty}
    for position in nameless[1:] if len(set(nameless) - set(empty)) > 1 else []:
        if position in header:
            header[position] = f"column_{position + 1}"
    return header, len(empty)


def _read_json_lines(path: Path, *, dialect: Dialect) -> TableFile:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read: {error.strerror}") from None
    text, remarks = decoded(path, data, encoding=dialect.encoding)
    rows: list[dict[str, Any]] = []
    left_out: list[tuple[int, str]] = []
    for number, line in enumerate(lines_of(text), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):  # no JSON, or a million brackets
                row = None
            if not isinstance(row, dict):
                left_out.append((number, "is no JSON object; expected one on each line"))
            elif has_half_characters(row, text=line):
                left_out.append((number, "holds half of a character, such as \\ud83d"))
            else:
                rows.append(row)
    if not rows and (accident := accident_of(data[:4096])) is not None:
        raise CatalogError(f"{path}: {accident}")
    if left_out and len(left_out) > len(rows) / 4:
        begins_a_list = text[:64].lstrip().startswith("[")
        whole = "; it looks like one JSON list: write one object a line" if begins_a_list else ""
        raise CatalogError(f"{path}: line {left_out[0][0]} {left_out[0][1]}{whole}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    if len(names) * len(rows) > max(_MOST_EMPTY, 10 * sum(map(len, rows))):
        raise CatalogError(
            f"{path}: its {len(rows):,} lines have {len(names):,} different names; expected the same few in all of them"
        )
    apart, repeated = told_apart([name.strip() for name in names])
    columns = zip(apart, names, strict=True)
    frame = pd.DataFrame({new: _json_column([row.get(name) for row in rows]) for new, name in columns})
    return TableFile(frame=frame, findings=_findings(path, remarks, repeated, left_out=left_out))


def _read_sheet(path: Path) -> TableFile:
    sheet = read_sheet(path)
    names, repeated = told_apart([name for name, _ in sheet.columns])
    columns = zip(names, sheet.columns, strict=True)
    frame = pd.DataFrame({name: _json_column(values) for name, (_, values) in columns})
    return TableFile(frame=frame, findings=_findings(path, sheet.remarks, repeated, left_out=[]))


def _json_column(values: Sequence[Any]) -> pd.Series:
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, bool) for value in present):
        return pd.Series(list(values), dtype="bool" if len(present) == len(values) else "boolean")
    if present and all(isinstance(value, int) and not isinstance(value, bool) for value in present):
        if all(abs(value) <= _LARGEST_INTEGER for value in present):
            return pd.Series(list(values), dtype="int64" if len(present) == len(values) else "Int64")
    elif present and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        return pd.Series([float("nan") if value is None else float(value) for value in values], dtype="float64")
    return text_column(
        [
            None if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for value in values
        ]
    )


def _findings(
    path: Path, remarks: list[str], repeated: list[str], *, left_out: list[tuple[int, str]]
) -> list[dict[str, Any]]:
    found = repeated_finding(path.name, repeated)
    if remarks:
        found.append({"kind": "table_dialect", "remarks": remarks, "message": f"{path.name}: {'; '.join(remarks)}"})
    if left_out:
        line, what = left_out[0]
        message = f"{path.name}: {counted(len(left_out), 'line')} left out, the first: line {line} {what}"
        found.append({"kind": "rows_left_out", "rows": [number for number, _ in left_out], "message": message})
    return found


def _with_comma(value: str) -> bool:
    return "," in value and _DECIMAL_COMMA.fullmatch(value) is not None


def _typed_column(raw: list[str], values: list[str], *, comma: bool) -> pd.Series:
    """Numbers where every value is one, else the text as it came."""
    present = [value for value in values if value]
    if present and all(_INTEGER.fullmatch(value) for value in present):
        integers = [int(value[:_MOST_DIGITS]) if value else None for value in values]  # beyond, it is too large anyhow
        if all(abs(integer) <= _LARGEST_INTEGER for integer in integers if integer is not None):
            return pd.Series(integers, dtype="int64" if len(present) == len(values) else "Int64")
    elif comma and all(_DECIMAL_COMMA.fullmatch(value) for value in present):
        plain = [value.replace(".", "").replace(",", ".") for value in values]
        return pd.Series([float(value) if value else float("nan") for value in plain], dtype="float64")
    elif present and all(_DECIMAL.fullmatch(value) for value in present):
        return pd.Series([float(value) if value else float("nan") for value in values], dtype="float64")
    return text_column([value or None for value in raw])

"""Columns of items as fields of a Milvus collection: names, types, and values that fit."""

# Shapes: N items.

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_float_dtype, is_integer_dtype

from simtrain.errors import SimtrainError

ID_FIELD, VECTOR_FIELD, HASH_FIELD = "id", "embedding", "row_hash"
LONGEST_ID, LONGEST_TEXT = 1024, 65_535  # bytes of UTF-8; Milvus holds no longer text
_OWN = (ID_FIELD, VECTOR_FIELD, HASH_FIELD)
_LONGEST_NAME = 200
_NOT_OF_A_NAME = re.compile(r"[^A-Za-z0-9_]+")


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column as a field.

    Attributes:
        column: Name of the column.
        name: Name of the field: letters, digits and underscores, not beginning with a digit.
        kind: `bool`, `int64`, `double`, `varchar` or `json`.
    """

    column: str
    name: str
    kind: str


def fields_of(items: pd.DataFrame) -> list[Field]:
    """The fields of all columns but the id: what holds nothing is left out.

    Args:
        items: N items with a column `id`.
    """
    taken = set(_OWN)
    found = []
    for column in map(str, items.columns):
        if column == ID_FIELD or not items[column].notna().any():
            continue
        name = _name(column, taken)
        taken.add(name)
        found.append(Field(column=column, name=name, kind=_kind(items[column])))
    return found


def values_of(items: pd.DataFrame, fields: Sequence[Field]) -> tuple[list[dict[str, Any]], int]:
    """Values of each item by field name, and how many texts were cut at 65,535 bytes.

    Args:
        items: N items.
        fields: From `fields_of`.

    Raises:
        SimtrainError: for an id that is longer than Milvus takes.
    """
    rows: list[dict[str, Any]] = [{ID_FIELD: str(identifier)} for identifier in items[ID_FIELD]]
    for row in rows:
        if len(row[ID_FIELD].encode()) > LONGEST_ID:
            raise SimtrainError(f"id '{row[ID_FIELD][:60]}…': Milvus takes ids of at most {LONGEST_ID} bytes")
    cut = 0
    for field in fields:
        for row, value in zip(rows, items[field.column].tolist(), strict=True):
            row[field.name], shortened = _value(value, kind=field.kind)
            cut += shortened
    return rows, cut


def one_of(ids: Sequence[str]) -> str:
    """The condition that an item's id is one of these, in Milvus's words; pymilvus's own leaves quotes as they are."""
    return f"{ID_FIELD} in {json.dumps(list(ids), ensure_ascii=False)}"


def _name(column: str, taken: set[str]) -> str:
    plain = unicodedata.normalize("NFKD", column).encode("ascii", "ignore").decode()
    name = _NOT_OF_A_NAME.sub("_", plain).strip("_")[:_LONGEST_NAME] or "column"
    name = f"_{name}" if name[0].isdigit() else name
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _kind(values: pd.Series) -> str:
    if is_bool_dtype(values.dtype):
        return "bool"
    if is_integer_dtype(values.dtype):
        return "int64" if int(values.max()) < 2**63 else "varchar"
    if is_float_dtype(values.dtype):
        return "double"
    some = values.dropna()
    if all(isinstance(value, bool | np.bool_) for value in some):
        return "bool"
    return "json" if any(isinstance(value, list | tuple | dict | np.ndarray) for value in some) else "varchar"


def _value(value: Any, *, kind: str) -> tuple[Any, bool]:
    """The value as Milvus takes it, and whether a text was cut."""
    if kind == "json":
        return _plain(value), False
    if value is None or pd.isna(value):
        return None, False
    match kind:
        case "bool":
            return bool(value), False
        case "int64":
            return int(value), False
        case "double":
            return (float(value) if math.isfinite(value) else None), False
    data = str(value).encode()
    return data[:LONGEST_TEXT].decode(errors="ignore"), len(data) > LONGEST_TEXT


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return json.loads(json.dumps(value, default=str)) if value is not None else None

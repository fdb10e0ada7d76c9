"""Filters on the columns of a bundle's items, such as `label=mug` and `price<=20`."""

# Shapes: N items.

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from simtrain.errors import nearest
from simtrain.serving.app.request_error import RequestError
from simtrain.serving.bundle import CONTENT_COLUMN

_FORM = re.compile(r"(?P<column>.+?)(?P<sign>!=|<=|>=|=)(?P<value>.*)", re.DOTALL)
_WRONG = 422
_MOST_CHOICES = 40
_NOT_OFFERED = frozenset({"id", "path", CONTENT_COLUMN})


@dataclass(frozen=True, kw_only=True)
class FilterColumn:
    """A column that results can be filtered by."""

    name: str
    kind: str
    """`text`, `number` or `flag`."""

    choices: list[str] | None
    """Its values, if they are few."""

    lowest: float | None
    """Of a number's column."""

    highest: float | None
    """Of a number's column."""


class ItemFilters:
    """The columns of a bundle's items, ready to be compared with.

    Args:
        items: N rows.
    """

    def __init__(self, *, items: pd.DataFrame) -> None:
        self._count = len(items)
        self._values: dict[str, NDArray[Any]] = {}
        self._kinds: dict[str, str] = {}
        for name in map(str, items.columns):
            kind, values = _comparable(items[name])
            if kind is not None:
                self._kinds[name], self._values[name] = kind, values

    def columns(self) -> list[FilterColumn]:
        """The columns that a page can offer: all but ids, paths, and what holds nothing."""
        offered = (name for name in self._kinds if name not in _NOT_OFFERED)
        return [column for name in offered if (column := self._described(name)) is not None]

    def matching(self, filters: Sequence[str]) -> NDArray[np.bool_] | None:
        """(N,) which items pass all filters; None without filters: all do.

        Args:
            filters: Each `column=value`, `column!=value`, `column<=number` or `column>=number`. Several `=` of one
                column mean any of their values. An item without a value passes `!=` alone.

        Raises:
            RequestError: for another form, an unknown column or a value that is no number where one is needed.
        """
        if not filters:
            return None
        passing = np.ones(self._count, dtype=np.bool_)
        any_of: dict[str, NDArray[np.bool_]] = {}
        for text in filters:
            column, sign, value = self._parsed(text)
            if sign == "=":
                found = self._equal(column, value)
                any_of[column] = any_of.get(column, np.zeros(self._count, dtype=np.bool_)) | found
            elif sign == "!=":
                passing &= ~self._equal(column, value)
            else:
                passing &= self._beyond(column, sign, value)
        for found in any_of.values():
            passing &= found
        return passing

    def _parsed(self, text: str) -> tuple[str, str, str]:
        parts = _FORM.fullmatch(text)
        if parts is None:
            raise RequestError(
                f"filter '{text[:80]}': allowed: column=value, column!=value, column<=number, column>=number",
                status=_WRONG,
            )
        column = parts["column"].strip()
        if column not in self._kinds:
            known = ", ".join(sorted(self._kinds))
            raise RequestError(
                f"filter: no column '{column[:80]}'{nearest(column, self._kinds)}; there are: {known}", status=_WRONG
            )
        return column, parts["sign"], parts["value"].strip()

    def _equal(self, column: str, value: str) -> NDArray[np.bool_]:
        wanted: Any = value
        if self._kinds[column] == "number":
            wanted = _number(column, value)
        elif self._kinds[column] == "flag":
            wanted = value.lower()
        equal: NDArray[np.bool_] = self._values[column] == wanted
        return equal

    def _beyond(self, column: str, sign: str, value: str) -> NDArray[np.bool_]:
        if self._kinds[column] != "number":
            raise RequestError(f"filter: {column} holds no numbers; allowed for it: = and !=", status=_WRONG)
        bound, values = _number(column, value), self._values[column]
        return values <= bound if sign == "<=" else values >= bound

    def _described(self, name: str) -> FilterColumn | None:
        kind, values = self._kinds[name], self._values[name]
        if kind == "number":
            known = values[np.isfinite(values)]
            if not len(known):
                return None
            low, high = float(known.min()), float(known.max())
            return FilterColumn(name=name, kind=kind, choices=None, lowest=low, highest=high)
        found = sorted({str(value) for value in values if value is not None})
        if not found:
            return None
        choices = found if len(found) <= _MOST_CHOICES else None
        return FilterColumn(name=name, kind=kind, choices=choices, lowest=None, highest=None)


def _comparable(column: "pd.Series[Any]") -> tuple[str | None, NDArray[Any]]:
    """Kind and values of a column: numbers as float64 with NaN, others as text with None; no kind for lists."""
    if is_bool_dtype(column.dtype):
        return "flag", _texts(column, lower=True)
    if is_numeric_dtype(column.dtype):
        return "number", column.to_numpy(dtype=np.float64, na_value=np.nan)
    known = column.dropna()
    if not known.map(lambda value: isinstance(value, str | bool | np.bool_)).all():
        return None, np.empty(0)
    flags = bool(known.map(lambda value: isinstance(value, bool | np.bool_)).all()) and len(known) > 0
    return ("flag" if flags else "text"), _texts(column, lower=flags)


def _texts(column: "pd.Series[Any]", *, lower: bool) -> NDArray[Any]:
    values = [None if pd.isna(value) else str(value) for value in column]
    return np.array([value.lower() if lower and value is not None else value for value in values], dtype=object)


def _number(column: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise RequestError(f"filter: {column} holds numbers; '{value[:80]}' is none", status=_WRONG)
    return number

"""Filters on the columns of items: pairs such as `label=mug` and `price<=20`, and conditions as `search` takes."""

# Shapes: N items.

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from simtrain.errors import SimtrainError, nearest
from simtrain.phrases import shortened
from simtrain.serving.app.request_error import RequestError
from simtrain.serving.bundle import CONTENT_COLUMN
from simtrain.serving.conditions import is_condition, passing

_FORM = re.compile(r"(?P<column>.+?)(?P<sign>!=|<=|>=|=)(?P<value>.*)", re.DOTALL)
_WRONG = 422
_MOST_CHOICES = 40
NOT_OFFERED = frozenset({"id", "path", CONTENT_COLUMN})
"""Columns that a page offers no filters for."""


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


@dataclass(frozen=True, kw_only=True)
class ColumnFilter:
    """A filter of one column, as `label=mug`."""

    column: str
    sign: str
    """`=`, `!=`, `<=` or `>=`."""

    value: str

    def number(self) -> float:
        """The value of a column of numbers.

        Raises:
            RequestError: if it is none.
        """
        try:
            number = float(self.value)
        except ValueError:
            number = math.nan
        if math.isnan(number):
            raise RequestError(
                f"filter: {self.column} holds numbers; '{shortened(self.value, to=80)}' is none", status=_WRONG
            )
        return number


def parsed_filters(texts: Sequence[str], kinds: Mapping[str, str]) -> tuple[list[ColumnFilter], list[str]]:
    """Filters of one column, and conditions.

    Args:
        texts: Each `column=value`, `column!=value`, `column<=number`, `column>=number`, or a condition such as
            `color == "red" and price < 20`.
        kinds: Column -> `text`, `number` or `flag`.

    Raises:
        RequestError: for another form or an unknown column, or a bound of what is no number.
    """
    conditions = [text for text in texts if is_condition(text)]
    return [_parsed(text, kinds) for text in texts if not is_condition(text)], conditions


def _parsed(text: str, kinds: Mapping[str, str]) -> ColumnFilter:
    parts = _FORM.fullmatch(text)
    if parts is None or parts["value"].startswith("="):
        raise RequestError(
            f"filter '{shortened(text, to=80)}': allowed: column=value, column!=value, column<=number, column>=number, "
            'and conditions with texts in quotes: column == "value" and column < number',
            status=_WRONG,
        )
    column, sign = parts["column"].strip(), parts["sign"]
    if column not in kinds:
        known = ", ".join(sorted(kinds))
        raise RequestError(
            f"filter: no column '{shortened(column, to=80)}'{nearest(column, kinds)}; there are: {known}", status=_WRONG
        )
    if sign in ("<=", ">=") and kinds[column] != "number":
        raise RequestError(f"filter: {column} holds no numbers; allowed for it: = and !=", status=_WRONG)
    return ColumnFilter(column=column, sign=sign, value=parts["value"].strip())


class ItemFilters:
    """The columns of a bundle's items, ready to be compared with.

    Args:
        items: N rows with a column `id`.
    """

    def __init__(self, *, items: pd.DataFrame) -> None:
        self._items = items
        self._values: dict[str, NDArray[Any]] = {}
        self._kinds: dict[str, str] = {}
        for name in map(str, items.columns):
            kind, values = _comparable(items[name])
            if kind is not None:
                self._kinds[name], self._values[name] = kind, values

    def columns(self) -> list[FilterColumn]:
        """The columns that a page can offer: all but ids, paths, and what holds nothing."""
        offered = (name for name in self._kinds if name not in NOT_OFFERED)
        return [column for name in offered if (column := self._described(name)) is not None]

    def matching(self, filters: Sequence[str]) -> NDArray[np.bool_] | None:
        """(N,) which items pass all filters; None without filters: all do.

        Args:
            filters: See `parsed_filters`. Several `=` of one column mean any of their values. An item without a value
                passes `!=` alone.

        Raises:
            RequestError: for another form, an unknown column or a value that is no number where one is needed.
        """
        if not filters:
            return None
        pairs, conditions = parsed_filters(filters, self._kinds)
        kept = np.ones(len(self._items), dtype=np.bool_)
        any_of: dict[str, NDArray[np.bool_]] = {}
        for pair in pairs:
            if pair.sign == "=":
                found = self._equal(pair)
                any_of[pair.column] = any_of.get(pair.column, np.zeros(len(kept), dtype=np.bool_)) | found
            elif pair.sign == "!=":
                kept &= ~self._equal(pair)
            else:
                values = self._values[pair.column]
                kept &= values <= pair.number() if pair.sign == "<=" else values >= pair.number()
        for condition in conditions:
            try:
                kept &= passing(self._items, condition)
            except SimtrainError as error:
                raise RequestError(str(error).replace("--filter", "filter", 1), status=_WRONG) from None
        for found in any_of.values():
            kept &= found
        return kept

    def _equal(self, pair: ColumnFilter) -> NDArray[np.bool_]:
        wanted: Any = pair.value
        if self._kinds[pair.column] == "number":
            wanted = pair.number()
        elif self._kinds[pair.column] == "flag":
            wanted = pair.value.lower()
        equal: NDArray[np.bool_] = self._values[pair.column] == wanted
        return equal

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

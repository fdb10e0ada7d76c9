"""Conditions on the columns of items, in words that Milvus has too: `color == "red" and price < 20`."""

# Shapes: N items.

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from simtrain.errors import SimtrainError, nearest
from simtrain.serving.milvus.fields import ID_FIELD, fields_of

_EXAMPLE = 'such as: color == "red" and price < 20, label in ["mug", "cup"], not on_sale == true'
_SIGNS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_WORDS = {"true": True, "false": False}
_LONGEST = 10_000  # characters
_DEEPEST = 100  # levels of not, and, or


def passing(items: pd.DataFrame, condition: str) -> NDArray[np.bool_]:
    """(N,) which items a condition holds for; an empty value fits no comparison.

    Columns are compared with numbers, texts and `true` or `false` by `==`, `!=`, `<`, `<=`, `>`, `>=`, `in` and
    `not in`, and joined by `and`, `or`, `not` and parentheses. Columns have the names that they would have in Milvus:
    letters, digits and `_`.

    Args:
        items: N items.
        condition: The condition; nothing in it is executed.

    Raises:
        SimtrainError: for a column that is not there, a value of another type, or anything else.
    """
    columns = {ID_FIELD: ID_FIELD, **{field.name: field.column for field in fields_of(items)}}
    return _holds(_tree(condition), items, columns)


def is_condition(text: str) -> bool:
    """Whether a text is written as a condition; its columns and values are not looked at.

    `price<=20` and `label!=mug`, which are read as pairs of column and value too, are none.
    """
    try:
        tree = _tree(text)
    except SimtrainError:
        return False
    pairs_too = ast.NotEq | ast.LtE | ast.GtE
    match tree:
        case ast.Compare(ops=[sign], comparators=[value]) if isinstance(sign, pairs_too):
            return isinstance(value, ast.Constant) and isinstance(value.value, str)
    return _is_written(tree)


def _is_written(node: ast.expr) -> bool:
    match node:
        case ast.BoolOp(values=parts):
            return all(_is_written(part) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return _is_written(inner)
        case ast.Compare(left=ast.Name(), ops=[_], comparators=[value]):
            try:
                _constant(value)
            except SimtrainError:
                return False
            return True
    return False


def _tree(condition: str) -> ast.expr:
    text = re.sub(r"\s*&&\s*", " and ", re.sub(r"\s*\|\|\s*", " or ", condition.strip()))
    if len(text) > _LONGEST:
        raise SimtrainError(f"--filter: has {len(text)} characters; allowed: {_LONGEST}")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise SimtrainError(f"--filter {condition!r}: is no condition; {_EXAMPLE}") from None
    level, depth = [tree], 0
    while level := [inner for node in level for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.expr)]:
        depth += 1
    if depth > _DEEPEST:
        raise SimtrainError(f"--filter: is {depth} levels deep; allowed: {_DEEPEST}")
    return tree


def _holds(node: ast.expr, items: pd.DataFrame, columns: dict[str, str]) -> NDArray[np.bool_]:
    match node:
        case ast.BoolOp(op=joined, values=parts):
            found = np.stack([_holds(part, items, columns) for part in parts])
            return np.asarray(found.all(axis=0) if isinstance(joined, ast.And) else found.any(axis=0), dtype=bool)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return ~_holds(inner, items, columns)
        case ast.Compare(left=ast.Name(id=name), ops=[sign], comparators=[value]):
            return _compared(_column(name, items, columns), name, sign, _constant(value))
    raise SimtrainError(f"--filter: '{ast.unparse(node)}' is no comparison of a column; {_EXAMPLE}")


def _column(name: str, items: pd.DataFrame, columns: dict[str, str]) -> pd.Series:
    if name not in columns:
        raise SimtrainError(
            f"--filter: no column '{name}'{nearest(name, columns) or '; there are: ' + ', '.join(columns)}"
        )
    found: pd.Series = items[columns[name]]
    return found


def _constant(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.Name(id=word) if word in _WORDS:
            return _WORDS[word]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_constant(part) for part in parts]
    raise SimtrainError(f"--filter: '{ast.unparse(node)}' is no number, text, true, false or list of them; {_EXAMPLE}")


def _compared(values: pd.Series, name: str, sign: ast.cmpop, value: Any) -> NDArray[np.bool_]:
    wanted = value if isinstance(value, list) else [value]
    for one in wanted:
        _check_type(values, name, one)
    there = values.notna().to_numpy(dtype=bool)
    if isinstance(sign, ast.In | ast.NotIn) and isinstance(value, list):
        inside = values.isin(wanted).to_numpy(dtype=bool)
        return there & (inside if isinstance(sign, ast.In) else ~inside)
    if type(sign) not in _SIGNS or isinstance(value, list):
        raise SimtrainError(f"--filter: column '{name}' is compared in a way that is not known; {_EXAMPLE}")
    result = np.zeros(len(values), dtype=bool)
    result[there] = np.asarray(_SIGNS[type(sign)](values[there], value), dtype=bool)
    return result


def _check_type(values: pd.Series, name: str, value: Any) -> None:
    some = values.dropna()
    if is_bool_dtype(values.dtype) or all(isinstance(one, bool | np.bool_) for one in some):
        kind, fits = "true or false", isinstance(value, bool)
    elif is_numeric_dtype(values.dtype):
        kind, fits = "numbers", isinstance(value, int | float) and not isinstance(value, bool)
    elif all(isinstance(one, str) for one in some):
        kind, fits = "texts", isinstance(value, str)
    else:
        raise SimtrainError(f"--filter: column '{name}' holds values that cannot be compared")
    if not fits:
        raise SimtrainError(f"--filter: column '{name}' holds {kind}, not {value!r}")

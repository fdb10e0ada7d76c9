"""The common form of all sources, and parsing of single values (splits, booleans, text)."""

import json
import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from simtrain.errors import CatalogError, nearest

PARTS = ("id", "path", "split", "product", "label", "caption", "query", "gallery")
"""The columns that every source gives."""

COMPUTED = ("width", "height", "sha256", "duplicate_group", "pixel_sha256", "near_duplicate_group")
"""The columns that only reading the images gives."""

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_LARGEST_EXACT = 2.0**53
_BOOLEANS = {"true": True, "yes": True, "t": True, "y": True, "1": True}
_BOOLEANS |= {"false": False, "no": False, "f": False, "n": False, "0": False}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Images as their source describes them.

    Attributes:
        rows: One row per image, in the source's order: the columns of `PARTS`, then the source's own ones. `path` is a
            POSIX path relative to `root`; `split`, `product`, `label` and `caption` may be null.
        root: Folder that the paths start from.
        findings: Problems found in the source, as dictionaries with a `kind`, the `ids` and a `message`.
        group_columns: Columns of `rows` whose equal values keep images on one side of the split.
    """

    rows: pd.DataFrame
    root: Path
    findings: list[dict[str, Any]]
    group_columns: tuple[str, ...] = ()


def known_split(name: str) -> str | None:
    """`train`, `val` or `test` for one of its usual names in any case; None for any other word."""
    return _SPLITS.get(name.strip().lower())


def split_of(name: str | None, *, where: str) -> str | None:
    """Like `known_split`, but null stays null and any other word is refused.

    Raises:
        CatalogError: opened by `where`.
    """
    if name is None:
        return None
    split = known_split(name)
    if split is None:
        raise CatalogError(
            f"{where}: '{name}' is no split; allowed: {', '.join(_SPLITS)}{nearest(name.lower(), _SPLITS)}"
        )
    return split


def boolean_of(value: object, *, where: str) -> bool:
    """True or false from a boolean, a 0 or 1, or the usual words; an empty value is true.

    Raises:
        CatalogError: for anything else, opened by `where`.
    """
    text = text_of(value, where=where)
    if text is None:
        return True
    if text.strip().lower() not in _BOOLEANS:
        raise CatalogError(f"{where}: '{text}' is neither true nor false; allowed: true, false, yes, no, 1, 0")
    return _BOOLEANS[text.strip().lower()]


def is_boolean(text: str) -> bool:
    """Whether a text is one of the usual words for true or false."""
    return text.strip().lower() in _BOOLEANS


def text_of(value: object, *, where: str) -> str | None:
    """A single value as text; None for empty ones.

    A whole number that was stored as a float, as happens to numbers beside empty cells, loses its `.0`. One of so many
    digits that a float has lost the last of them is written with its exponent, like a spreadsheet's.

    Raises:
        CatalogError: for lists, bytes and the like, opened by `where`.
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, numbers.Real) and math.isnan(value):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value)) if abs(value) <= _LARGEST_EXACT else f"{value:.15e}"
    if not pd.api.types.is_scalar(value) or isinstance(value, bytes):
        raise CatalogError(f"{where}: expected text, found {type(value).__name__}")
    return str(value)


def has_half_characters(value: object, *, text: str) -> bool:
    """Whether a value that was read from JSON holds half of a character, which no other file can hold.

    Args:
        value: What the JSON stands for.
        text: The JSON; the value is looked at only where this escapes a surrogate.
    """
    if "\\ud" not in text.lower():
        return False
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def text_column(values: Sequence[str | None]) -> pd.Series:
    """Text with nulls, which keeps its type where every value is null."""
    return pd.Series(list(values), dtype="str")


def source_rows(parts: dict[str, Sequence[Any]], further: dict[str, pd.Series]) -> pd.DataFrame:
    """The rows of a `Source`: `parts` by name, then `further`.

    Args:
        parts: Values of `path` and of any others of `PARTS`, one per image. Without `id` the path is the id; without
            `query` or `gallery` it is true; the rest is null.
        further: The source's own columns.
    """
    count = len(parts["path"])
    columns: dict[str, pd.Series] = {}
    for name in PARTS:
        if name in ("query", "gallery"):
            columns[name] = pd.Series(list(parts.get(name, [True] * count)), dtype="bool")
        else:
            columns[name] = text_column(parts.get(name, parts["path"] if name == "id" else [None] * count))
    return pd.DataFrame(columns | further)

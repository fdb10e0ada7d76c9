"""Items of a bundle beside those of a source: which are new, changed, the same, and what becomes of the table."""

# Shapes: N items of the bundle, M items of the source.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simtrain.errors import SimtrainError
from simtrain.serving.bundle import CONTENT_COLUMN


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the items of a source stand to those of a bundle.

    Attributes:
        new: (M,) whether the bundle has no item of this id.
        changed: (M,) whether it has one with another image.
        unknown: (M,) whether it has one and does not know of which image, as bundles of before.
    """

    new: NDArray[np.bool_]
    changed: NDArray[np.bool_]
    unknown: NDArray[np.bool_]


def standing(items: pd.DataFrame, *, ids: Sequence[str], sha256: Sequence[str]) -> Standing:
    """Compare a source with the items of a bundle.

    Args:
        items: N items of the bundle.
        ids: (M,) unique ids of the source.
        sha256: (M,) SHA-256 of each file; empty where it cannot be read.
    """
    contents = items[CONTENT_COLUMN] if CONTENT_COLUMN in items.columns else [None] * len(items)
    known = dict(zip(items["id"], contents, strict=True))
    new = np.array([identifier not in known for identifier in ids], dtype=bool)
    unknown = np.array([not isinstance(known.get(identifier), str) for identifier in ids], dtype=bool) & ~new
    same = np.array([known.get(name) == content for name, content in zip(ids, sha256, strict=True)], dtype=bool)
    return Standing(new=new, changed=~(new | unknown | same), unknown=unknown)


def with_rows(items: pd.DataFrame, given: pd.DataFrame) -> pd.DataFrame:
    """The items, where those of the same id are replaced by the given ones and the others are added at the end.

    Columns that the given ones lack, or that are empty in all of them, keep their values in items that are replaced,
    and are empty in new ones.

    Args:
        items: N items of the bundle, with unique `id`.
        given: Items with unique `id`; any columns.

    Raises:
        SimtrainError: for a column that holds numbers here and texts there.
    """
    given = given.dropna(axis="columns", how="all").set_index(given["id"].astype(str), drop=False)
    before = items.set_index(items["id"].astype(str), drop=False)
    lacking = [name for name in before.columns if name not in given.columns]
    filled = given.join(before[lacking]) if lacking else given
    kept = before.loc[~before.index.isin(given.index)]
    order = before.index.append(given.index[~given.index.isin(before.index)])
    columns = {}
    for name in dict.fromkeys([*before.columns, *filled.columns]):
        parts = [part[name] for part in (kept, filled) if name in part.columns]
        columns[name] = _joined(parts, name=str(name)).reindex(order)
    return pd.DataFrame(columns).reset_index(drop=True)


def _joined(parts: Sequence[pd.Series], *, name: str) -> pd.Series:
    kinds = {_is_text(part) for part in parts if part.notna().any()}
    if len(kinds) > 1:
        raise SimtrainError(
            f"column '{name}': the bundle and the source have text in one and numbers in the other; prepare the source "
            "with the types that the bundle was made with"
        )
    filled = [part for part in parts if part.notna().any()] or [parts[0]]
    whole: pd.Series = pd.concat(filled)
    return whole.reindex([name for part in parts for name in part.index])


def _is_text(values: pd.Series) -> bool:
    return all(isinstance(value, str) for value in values.dropna())

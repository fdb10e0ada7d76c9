"""Definitions of relevance: which images of a catalogue count as right answers to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from simtrain.catalog.table import Catalog

KIND = "kind"
"""Name of "same label, other products", in figures and in the configuration."""


@dataclass(frozen=True, kw_only=True)
class Relevance:
    """Images are relevant to each other where they agree in some columns, and perhaps differ in others.

    Attributes:
        name: In figures, files and sentences; definitions of one evaluation have different names.
        columns: Whose equal values make images relevant.
        other: Columns whose equal values leave an image out, as neither a find nor a miss; none: there are none such.
        excluded: Columns, in each of which an equal value leaves an image out as well, such as the vendor.
    """

    name: str
    columns: tuple[str, ...]
    other: tuple[str, ...]
    excluded: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What is relevant, for a sentence that begins with "relevant ="."""
        same = f"same {' + '.join(self.columns)}"
        apart = [*([" + ".join(self.other)] if self.other else []), *self.excluded]
        return f"{same}, other {' and other '.join(apart)} only" if apart else same

    def told(self) -> list[str]:
        """The columns, as files list them; the name where columns are not the whole of it."""
        return [self.name] if self.other else list(self.columns)


def same(columns: Sequence[str]) -> Relevance:
    """Images that agree in some columns."""
    return Relevance(name=" + ".join(columns), columns=tuple(columns), other=())


def same_kind(catalog: Catalog, *, columns: Sequence[str], other: Sequence[str]) -> Relevance:
    """Images that agree in some columns and differ in others, such as the same label, other products.

    The name is `kind` for label and product, unless the catalogue has a column of that name; else it says the columns.
    """
    usual = (list(columns), list(other)) == (["label"], ["product"]) and KIND not in catalog.rows.columns
    name = KIND if usual else f"{KIND} ({' + '.join(columns)}, other {' + '.join(other)})"
    return Relevance(name=name, columns=tuple(columns), other=tuple(other))


def filled_columns(rows: pd.DataFrame) -> list[str]:
    """Of `product` and `label`, those with values."""
    return [name for name in ("product", "label") if rows[name].notna().any()]


def usual_further(catalog: Catalog) -> list[Relevance]:
    """What is worth a look beside `product`: the same label among other products, where both are filled."""
    both = len(filled_columns(catalog.rows)) == 2
    return [same_kind(catalog, columns=["label"], other=["product"])] if both else []


def usual_relevances(catalog: Catalog) -> list[Relevance]:
    """Of product, label, and the same label among other products, those that the catalogue knows."""
    return [*(same([name]) for name in filled_columns(catalog.rows)), *usual_further(catalog)]

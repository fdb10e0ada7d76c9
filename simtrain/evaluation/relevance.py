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
        name: Name in figures, files and sentences; definitions of one evaluation have different names.
        columns: Columns; images with equal values in all of them are relevant to each other.
        other: Columns; an image with equal values in all of them counts neither as a find nor as a miss. Empty: there
            are no such columns.
        excluded: Columns, such as the vendor; an image with an equal value in any of them does not count either.
    """

    name: str
    columns: tuple[str, ...]
    other: tuple[str, ...]
    excluded: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """Definition as a phrase, such as "same label, other product only", for sentences with "relevant ="."""
        same = f"same {' + '.join(self.columns)}"
        differing = [*([" + ".join(self.other)] if self.other else []), *self.excluded]
        return f"{same}, other {' and other '.join(differing)} only" if differing else same

    def columns_or_name(self) -> list[str]:
        """The columns; the name instead where other columns have to differ. JSON files hold this list."""
        return [self.name] if self.other else list(self.columns)


def same(columns: Sequence[str]) -> Relevance:
    """Relevance of images that agree in one or more columns; its name is that of the columns."""
    return Relevance(name=" + ".join(columns), columns=tuple(columns), other=())


def same_kind(catalog: Catalog, *, columns: Sequence[str], other: Sequence[str]) -> Relevance:
    """Relevance of images that agree in some columns and differ in others, such as the same label, other products.

    Its name is `kind` for label and product, unless the catalogue has a column of that name; else it lists the columns.

    Args:
        catalog: Catalogue of the images.
        columns: Columns in which relevant images agree; one or more.
        other: Columns; images that agree in all of them do not count for each other. One or more.
    """
    usual = (list(columns), list(other)) == (["label"], ["product"]) and KIND not in catalog.rows.columns
    name = KIND if usual else f"{KIND} ({' + '.join(columns)}, other {' + '.join(other)})"
    return Relevance(name=name, columns=tuple(columns), other=tuple(other))


def filled_columns(rows: pd.DataFrame) -> list[str]:
    """Of `product` and `label`, those with values."""
    return [name for name in ("product", "label") if rows[name].notna().any()]


def usual_further(catalog: Catalog) -> list[Relevance]:
    """Relevance that is usually evaluated beside `product`: the same label among other products, if both are filled."""
    both = len(filled_columns(catalog.rows)) == 2
    return [same_kind(catalog, columns=["label"], other=["product"])] if both else []


def usual_relevances(catalog: Catalog) -> list[Relevance]:
    """Of product, label, and the same label among other products, those for which the catalogue has values."""
    return [*(same([name]) for name in filled_columns(catalog.rows)), *usual_further(catalog)]

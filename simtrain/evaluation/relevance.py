"""Definitions of relevance: which images of a catalogue count as right answers to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simtrain.catalog.changed_rows import PICTURE
from simtrain.catalog.table import Catalog, copy_codes
from simtrain.evaluation.qrels import Qrels

KIND = "kind"
"""Name of "same label, other products", in figures and in the configuration."""

QRELS = "qrels"
"""What the name of a table of judged pairs begins with, in figures."""


@dataclass(frozen=True, kw_only=True)
class Relevance:
    """Images are relevant to each other where they agree in some columns, and perhaps differ in others.

    Attributes:
        name: Name in figures, files and sentences; definitions of one evaluation have different names.
        columns: Columns; images with equal values in all of them are relevant to each other.
        other: Columns; an image with equal values in all of them counts neither as a find nor as a miss. Empty: there
            are no such columns.
        excluded: Columns, such as the vendor; an image with an equal value in any of them does not count either.
        qrels: Judged pairs that say what is relevant, in the place of `columns`; None: the columns say it.
    """

    name: str
    columns: tuple[str, ...]
    other: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    qrels: Qrels | None = None

    def codes(self, catalog: Catalog) -> NDArray[np.int64]:
        """(catalogue rows,) codes, equal where images are relevant to each other; -1: relevant to none.

        By judged pairs a code says no more than that an image is a query whose answers were judged.
        """
        return catalog.groups(self.columns) if self.qrels is None else self.qrels.asking(catalog)

    def exclusion_codes(self, catalog: Catalog) -> NDArray[np.int64]:
        """(catalogue rows, E) codes: a gallery image with a query's code in any column does not count for it.

        Exact and near copies are the first column, then `other` and each of `excluded`; -1: nothing is left out by it.
        """
        columns = [*([self.other] if self.other else []), *((one,) for one in self.excluded)]
        return np.stack([copy_codes(catalog), *(catalog.groups(names) for names in columns)], axis=1)

    @property
    def description(self) -> str:
        """Definition as a phrase, such as "same label, other product only", for sentences with "relevant ="."""
        same = f"same {' + '.join(self.columns)}" if self.qrels is None else self.qrels.description
        same = "the picture that the query is a changed copy of" if self.columns == (PICTURE,) else same
        differing = [*([" + ".join(self.other)] if self.other else []), *self.excluded]
        return f"{same}, other {' and other '.join(differing)} only" if differing else same

    def columns_or_name(self) -> list[str]:
        """The columns; the name instead where other columns have to differ; of judged pairs also the file's hash.

        JSON files hold this list.
        """
        if self.qrels is not None:
            return [self.name, f"sha256 {self.qrels.sha256}"]
        return [self.name] if self.other else list(self.columns)


def same(columns: Sequence[str]) -> Relevance:
    """Relevance of images that agree in one or more columns; its name is that of the columns."""
    return Relevance(name=" + ".join(columns), columns=tuple(columns), other=())


def judged(qrels: Qrels) -> Relevance:
    """Relevance by judged pairs; its name is that of the file, such as `qrels (pairs.csv)`.

    Where the table names values of a column, as products, and none for itself, other images of the query's own value
    count neither as finds nor as misses.
    """
    by = () if qrels.by is None or qrels.judges_own else (qrels.by,)
    name = f"{QRELS} ({qrels.file}{', by ' + qrels.by if qrels.by is not None else ''})"
    return Relevance(name=name, columns=(), other=by, qrels=qrels)


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
    """Of product, label, and the same label among other products, those for which the catalogue has values.

    Product alone where labels group the images as products do, such as those of a folder for each product.
    """
    names = filled_columns(catalog.rows)
    if len(names) == 2 and _groups_are_alike(*(catalog.groups([name]) for name in names)):
        return [same(["product"])]
    return [*(same([name]) for name in names), *usual_further(catalog)]


def _groups_are_alike(one: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    """Whether two (N,) numberings, with -1 for no group, have the same groups."""
    pairs = (one + 1) * (other.max() + 2) + other + 1
    return np.array_equal(one < 0, other < 0) and len({len(np.unique(codes)) for codes in (one, other, pairs)}) == 1

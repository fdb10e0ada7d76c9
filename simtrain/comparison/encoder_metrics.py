"""Metrics of one encoder with intervals, by relevance and by category."""

# Shapes: S scored queries, C catalogue rows, Q queries of a task.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simtrain.comparison.fold_scores import CURVE_KS, PooledScores
from simtrain.comparison.result import RelevanceFigures
from simtrain.config.metrics import METRIC_WORDS
from simtrain.evaluation.breakdown import (
    CategoryFigures,
    ConfusedPair,
    category_figures,
    confused_pairs,
    macro_intervals,
)
from simtrain.evaluation.metrics import NO_GROUP
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.statistics import BootstrapSettings

_OF_CATEGORIES = ("recall_at_1", "map_at_r")
_MOST_CONFUSED = 15
_LEAST_PRODUCTS = 10  # of a category, for an interval


@dataclass(frozen=True, kw_only=True)
class CatalogCategories:
    """The category of every catalogue row.

    Attributes:
        column: Column of the catalogue that holds the category.
        codes: (C,) int64 code of the category of each catalogue row; -1: none.
        names: Name of each code.
    """

    column: str
    codes: NDArray[np.int64]
    names: list[str]


def relevance_figures(
    relevance: str, scores: PooledScores, *, categories: CatalogCategories | None, bootstrap: BootstrapSettings
) -> RelevanceFigures:
    """Metrics by one definition of relevance; the verdict is added later, when all encoders are scored."""
    classes = None if categories is None else categories.codes[scores.catalog_rows]
    macro = {}
    if classes is not None and (classes != NO_GROUP).any():
        macro = macro_intervals(
            {name: scores.over_seeds(name) for name in _OF_CATEGORIES},
            classes,
            scores.clusters,
            bootstrap=bootstrap,
        )
    return RelevanceFigures(
        relevance=relevance,
        queries=len(scores.catalog_rows),
        lone_queries=scores.lone_queries,
        metrics=scores.intervals(tuple(METRIC_WORDS), bootstrap=bootstrap),
        macro=macro,
        verdict=None,
    )


def recall_curve(scores: PooledScores) -> tuple[float, ...]:
    """recall_at_k for the k of `CURVE_KS`."""
    return tuple(float(scores.over_seeds(f"recall_at_{k}").mean()) for k in CURVE_KS)


def figures_by_category(
    scores: PooledScores, categories: CatalogCategories | None, *, bootstrap: BootstrapSettings
) -> list[CategoryFigures]:
    """Metrics of the categories that have queries, in the order of their codes; empty without categories."""
    if categories is None or (categories.codes[scores.catalog_rows] == NO_GROUP).all():
        return []
    return category_figures(
        {name: scores.over_seeds(name) for name in _OF_CATEGORIES},
        categories.codes[scores.catalog_rows],
        scores.clusters,
        names=categories.names,
        least_products=_LEAST_PRODUCTS,
        bootstrap=bootstrap,
    )


def confusions(
    task: RetrievalTask, catalog_rows: NDArray[np.int64], embeddings: Tensor, categories: CatalogCategories | None
) -> list[ConfusedPair]:
    """Pairs of confused categories: queries whose nearest image is of another category, most frequent first.

    Args:
        task: Retrieval task.
        catalog_rows: (N,) catalogue rows of its images.
        embeddings: (N, D) unit embeddings of its images.
        categories: CatalogCategories of all catalogue rows; None: there are none.
    """
    if categories is None:
        return []
    rows, _ = task.nearest(embeddings, task.queries, k=1)
    answers = np.where(rows[:, 0] >= 0, categories.codes[catalog_rows[task.gallery[rows[:, 0]]]], NO_GROUP)
    return confused_pairs(
        categories.codes[catalog_rows[task.queries]], answers, names=categories.names, most=_MOST_CONFUSED
    )

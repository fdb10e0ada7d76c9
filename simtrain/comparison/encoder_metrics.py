"""From the scores of an encoder to the figures that a comparison shows of it."""

# Shapes: S scored queries, C catalogue rows, Q queries of a task.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simtrain.comparison.fold_scores import CURVE_KS, PooledScores
from simtrain.comparison.result import RelevanceFigures
from simtrain.evaluation.breakdown import (
    CategoryFigures,
    ConfusedPair,
    category_figures,
    confused_pairs,
    macro_intervals,
)
from simtrain.evaluation.metrics import NO_GROUP
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.ranking import nearest_neighbours
from simtrain.evaluation.statistics import Interval, cluster_bootstrap_intervals

SHOWN = (
    "recall_at_1", "recall_at_5", "recall_at_10", "precision_at_5", "precision_at_10", "r_precision", "map_at_r", "mrr",
)  # fmt: skip
"""Metrics of a comparison, by each idea of relevance."""
_OF_CATEGORIES = ("recall_at_1", "map_at_r")
_MOST_CONFUSED = 15


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How intervals are drawn.

    Attributes:
        draws: Of each; >= 1.
        confidence: Between 0 and 1.
        seed: >= 0.
        least_products: Without so many a category gets no interval.
    """

    draws: int
    confidence: float
    seed: int
    least_products: int = 10

    def intervals(self, scores: PooledScores, metrics: Sequence[str]) -> dict[str, Interval]:
        """Of the means over seeds."""
        return cluster_bootstrap_intervals(
            {name: scores.over_seeds(name) for name in metrics},
            scores.clusters,
            draws=self.draws,
            confidence=self.confidence,
            seed=self.seed,
        )


@dataclass(frozen=True, kw_only=True)
class Categories:
    """The category of every catalogue row.

    Attributes:
        column: That it is read from.
        codes: (C,); -1: none.
        names: Of each code.
    """

    column: str
    codes: NDArray[np.int64]
    names: list[str]


def relevance_figures(
    relevance: str, scores: PooledScores, *, categories: Categories | None, bootstrap: Bootstrap
) -> RelevanceFigures:
    """The figures by one idea of relevance; the verdict comes later, when all encoders are there."""
    classes = None if categories is None else categories.codes[scores.places]
    macro = {}
    if classes is not None and (classes != NO_GROUP).any():
        macro = macro_intervals(
            {name: scores.over_seeds(name) for name in _OF_CATEGORIES},
            classes,
            scores.clusters,
            draws=bootstrap.draws,
            confidence=bootstrap.confidence,
            seed=bootstrap.seed,
        )
    return RelevanceFigures(
        relevance=relevance,
        queries=len(scores.places),
        lone_queries=scores.lone_queries,
        metrics=bootstrap.intervals(scores, SHOWN),
        macro=macro,
        verdict=None,
    )


def recall_curve(scores: PooledScores) -> tuple[float, ...]:
    """recall_at_k for the k of `CURVE_KS`."""
    return tuple(float(scores.over_seeds(f"recall_at_{k}").mean()) for k in CURVE_KS)


def figures_by_category(
    scores: PooledScores, categories: Categories | None, *, bootstrap: Bootstrap
) -> list[CategoryFigures]:
    """Those with queries, in the order of their codes; none without categories."""
    if categories is None or (categories.codes[scores.places] == NO_GROUP).all():
        return []
    return category_figures(
        {name: scores.over_seeds(name) for name in _OF_CATEGORIES},
        categories.codes[scores.places],
        scores.clusters,
        names=categories.names,
        least_products=bootstrap.least_products,
        draws=bootstrap.draws,
        confidence=bootstrap.confidence,
        seed=bootstrap.seed,
    )


def confusions(
    task: RetrievalTask, places: NDArray[np.int64], embeddings: Tensor, categories: Categories | None
) -> list[ConfusedPair]:
    """Whose nearest image is of another category, most often first.

    Args:
        task: What is asked.
        places: (N,) catalogue rows of its images.
        embeddings: (N, D) unit vectors of them.
        categories: Of all catalogue rows; None: there are none.
    """
    if categories is None:
        return []
    rows, _ = nearest_neighbours(
        embeddings[task.queries],
        embeddings[task.gallery],
        query_ids=[task.ids[position] for position in task.queries],
        gallery_ids=[task.ids[position] for position in task.gallery],
        k=1,
    )
    answers = np.where(rows[:, 0] >= 0, categories.codes[places[task.gallery[rows[:, 0]]]], NO_GROUP)
    return confused_pairs(categories.codes[places[task.queries]], answers, names=categories.names, most=_MOST_CONFUSED)

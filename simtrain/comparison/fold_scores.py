"""Scores of one encoder over all folds and seeds of a comparison, one value per query."""

# Shapes: K seeds, S scored queries of all parts, N images of a task.

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simtrain.comparison.folds import Fold, distinct_clusters
from simtrain.evaluation.chance import chance_graded, chance_scores
from simtrain.evaluation.graded import GradedSet, Level, score_graded
from simtrain.evaluation.metrics import QueryScores, score_queries
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.statistics import BootstrapSettings, Interval, cluster_bootstrap_intervals

PRECISION_KS = (5, 10)
GRADED_KS = (10,)
CURVE_KS = tuple(range(1, 51))

EmbeddingLookup = Callable[[NDArray[np.int64]], Tensor]
"""Rows of the whole catalogue -> their unit embeddings (N, D)."""


@dataclass(frozen=True, kw_only=True)
class PooledScores:
    """Scores of each query of a comparison.

    Attributes:
        values: Metric -> (K, S) values of K seeds and S queries, 0..1.
        clusters: (S,) cluster code of each query, the unit that the bootstrap draws: its product, or the image alone.
        catalog_rows: (S,) row of each query in the whole catalogue.
        lone_queries: Number of queries left out because no gallery image is relevant to them.
    """

    values: dict[str, NDArray[np.float64]]
    clusters: NDArray[np.int64]
    catalog_rows: NDArray[np.int64]
    lone_queries: int

    def over_seeds(self, metric: str) -> NDArray[np.float64]:
        """(S,) mean of a metric over the seeds."""
        mean: NDArray[np.float64] = self.values[metric].mean(axis=0)
        return mean

    def intervals(self, metrics: Sequence[str], *, bootstrap: BootstrapSettings) -> dict[str, Interval]:
        """Metric -> its mean over seeds and queries, 0..1, and the interval of that."""
        values = {name: self.over_seeds(name) for name in metrics}
        return cluster_bootstrap_intervals(values, self.clusters, bootstrap=bootstrap)


def pooled_scores(
    folds: Sequence[Fold], lookups: Sequence[Sequence[EmbeddingLookup]], *, relevance: str, recall_ks: Sequence[int]
) -> PooledScores:
    """Scores by one definition of relevance.

    Args:
        folds: Folds of the comparison.
        lookups: Embeddings of each seed and fold.
        relevance: Name of the definition of relevance, a key of `Fold.tasks`.
        recall_ks: The k of recall_at_k; each >= 1.
    """

    def score(fold: Fold, lookup: EmbeddingLookup) -> QueryScores:
        task = fold.tasks[relevance]
        found = task.retrieval_set(lookup(fold.rows_of_task(task)))
        return score_queries(found, recall_ks=recall_ks, precision_ks=PRECISION_KS)

    tasks = [fold.tasks[relevance] for fold in folds]
    return _pooled(folds, tasks, [[score(*pair) for pair in zip(folds, of_seed, strict=True)] for of_seed in lookups])


def pooled_validation_scores(
    folds: Sequence[Fold], lookups: Sequence[Sequence[EmbeddingLookup]], *, relevance: str
) -> PooledScores:
    """Scores on the validation splits by one definition of relevance, by which each of them has queries."""

    def score(fold: Fold, lookup: EmbeddingLookup) -> QueryScores:
        task = fold.validation_tasks[relevance]
        return task.score(lookup(fold.rows_of_task(task)), precision_ks=PRECISION_KS)

    tasks = [fold.validation_tasks[relevance] for fold in folds]
    return _pooled(folds, tasks, [[score(*pair) for pair in zip(folds, of_seed, strict=True)] for of_seed in lookups])


def pooled_grades(
    folds: Sequence[Fold], lookups: Sequence[Sequence[EmbeddingLookup]], *, levels: Sequence[Sequence[str]]
) -> PooledScores:
    """ndcg_at_k of the main relevance's queries over levels of relevance.

    Args:
        folds: Folds of the comparison.
        lookups: Embeddings of each seed and fold.
        levels: Levels of relevance, each a list of columns, the most alike first.
    """

    def score(fold: Fold, lookup: EmbeddingLookup) -> QueryScores:
        found = fold.main_task.retrieval_set(lookup(fold.rows_of_task(fold.main_task)))
        graded = GradedSet(
            query_embeddings=found.query_embeddings,
            gallery_embeddings=found.gallery_embeddings,
            query_ids=found.query_ids,
            gallery_ids=found.gallery_ids,
            levels=_levels(fold, levels),
            exclusions=found.exclusions,
        )
        return score_graded(graded, ks=GRADED_KS)

    scores = [[score(*pair) for pair in zip(folds, of_seed, strict=True)] for of_seed in lookups]
    return _pooled(folds, [fold.main_task for fold in folds], scores)


def pooled_chance(folds: Sequence[Fold], *, relevance: str, recall_ks: Sequence[int]) -> PooledScores:
    """Expected values of `pooled_scores` for a random encoder, computed exactly."""

    def score(task: RetrievalTask) -> QueryScores:
        return chance_scores(task.codes(), recall_ks=recall_ks, precision_ks=PRECISION_KS)

    tasks = [fold.tasks[relevance] for fold in folds]
    return _pooled(folds, tasks, [[score(task) for task in tasks]])


def pooled_chance_grades(folds: Sequence[Fold], *, levels: Sequence[Sequence[str]]) -> PooledScores:
    """Expected values of `pooled_grades` for a random encoder, computed exactly."""

    def score(fold: Fold) -> QueryScores:
        return chance_graded(
            query_ids=fold.main_task.query_ids,
            gallery_ids=fold.main_task.gallery_ids,
            levels=_levels(fold, levels),
            ks=GRADED_KS,
            exclusions=fold.main_task.exclusions(),
        )

    return _pooled(folds, [fold.main_task for fold in folds], [[score(fold) for fold in folds]])


def _levels(fold: Fold, levels: Sequence[Sequence[str]]) -> list[Level]:
    codes = [fold.catalog.groups(list(columns))[fold.main_task.rows] for columns in levels]
    return [
        Level(query_groups=of_level[fold.main_task.queries], gallery_groups=of_level[fold.main_task.gallery])
        for of_level in codes
    ]


def _pooled(
    folds: Sequence[Fold], tasks: Sequence[RetrievalTask], scores: Sequence[Sequence[QueryScores]]
) -> PooledScores:
    """Concatenate scores over folds and stack them over seeds; every seed has the same queries."""
    first = scores[0]
    clusters = [
        distinct_clusters(task.clusters_of(of_fold), index)
        for index, (task, of_fold) in enumerate(zip(tasks, first, strict=True))
    ]
    return PooledScores(
        values={
            name: np.stack([np.concatenate([of_fold.values[name] for of_fold in of_seed]) for of_seed in scores])
            for name in first[0].values
        },
        clusters=np.concatenate(clusters),
        catalog_rows=np.concatenate(
            [
                fold.rows_of_scored_queries(task, of_fold)
                for fold, task, of_fold in zip(folds, tasks, first, strict=True)
            ]
        ),
        lone_queries=sum(of_fold.lone_queries for of_fold in first),
    )

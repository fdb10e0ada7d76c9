"""Scores of one encoder over all folds and seeds of a comparison, query by query."""

# Shapes: K seeds, S scored queries of all parts, N images of a task.

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simtrain.comparison.folds import Part, apart
from simtrain.evaluation.chance import chance_graded, chance_scores
from simtrain.evaluation.graded import GradedSet, Level, score_graded
from simtrain.evaluation.metrics import QueryScores, score_queries
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.statistics import BootstrapSettings, Interval, cluster_bootstrap_intervals

PRECISION_KS = (5, 10)
GRADED_KS = (10,)
CURVE_KS = tuple(range(1, 51))

Look = Callable[[NDArray[np.int64]], Tensor]
"""Rows of the whole catalogue -> their unit embeddings (N, D)."""


@dataclass(frozen=True, kw_only=True)
class PooledScores:
    """Scores of each query of a comparison.

    Attributes:
        values: Metric -> (K, S) values of K seeds and S queries, 0..1.
        clusters: (S,) units that the bootstrap draws: products, and single images where there are none.
        places: (S,) rows of the queries in the whole catalogue.
        lone_queries: Number of queries left out because nothing is relevant to them.
    """

    values: dict[str, NDArray[np.float64]]
    clusters: NDArray[np.int64]
    places: NDArray[np.int64]
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
    parts: Sequence[Part], looks: Sequence[Sequence[Look]], *, relevance: str, recall_ks: Sequence[int]
) -> PooledScores:
    """Scores by one definition of relevance.

    Args:
        parts: Folds of the comparison.
        looks: For each seed its embeddings for each fold.
        relevance: Name of one of the folds' tasks.
        recall_ks: The k of recall_at_k; each >= 1.
    """

    def score(part: Part, look: Look) -> QueryScores:
        task = part.tasks[relevance]
        found = task.retrieval_set(look(part.task_places(task)))
        return score_queries(found, recall_ks=recall_ks, precision_ks=PRECISION_KS)

    tasks = [part.tasks[relevance] for part in parts]
    return _pooled(parts, tasks, [[score(*pair) for pair in zip(parts, of_seed, strict=True)] for of_seed in looks])


def pooled_grades(
    parts: Sequence[Part], looks: Sequence[Sequence[Look]], *, levels: Sequence[Sequence[str]]
) -> PooledScores:
    """ndcg_at_k of the main relevance's queries over levels, each some columns, the most alike first."""

    def score(part: Part, look: Look) -> QueryScores:
        found = part.main.retrieval_set(look(part.task_places(part.main)))
        graded = GradedSet(
            query_embeddings=found.query_embeddings,
            gallery_embeddings=found.gallery_embeddings,
            query_ids=found.query_ids,
            gallery_ids=found.gallery_ids,
            levels=_levels(part, levels),
            exclusions=found.exclusions,
        )
        return score_graded(graded, ks=GRADED_KS)

    scores = [[score(*pair) for pair in zip(parts, of_seed, strict=True)] for of_seed in looks]
    return _pooled(parts, [part.main for part in parts], scores)


def pooled_chance(parts: Sequence[Part], *, relevance: str, recall_ks: Sequence[int]) -> PooledScores:
    """The values of `pooled_scores` expected of a random encoder; computed, not drawn."""

    def score(task: RetrievalTask) -> QueryScores:
        return chance_scores(
            query_ids=task.query_ids,
            gallery_ids=task.gallery_ids,
            query_groups=task.groups[task.queries],
            gallery_groups=task.groups[task.gallery],
            recall_ks=recall_ks,
            precision_ks=PRECISION_KS,
            exclusions=task.exclusions(),
        )

    tasks = [part.tasks[relevance] for part in parts]
    return _pooled(parts, tasks, [[score(task) for task in tasks]])


def pooled_chance_grades(parts: Sequence[Part], *, levels: Sequence[Sequence[str]]) -> PooledScores:
    """The values of `pooled_grades` expected of a random encoder."""

    def score(part: Part) -> QueryScores:
        return chance_graded(
            query_ids=part.main.query_ids,
            gallery_ids=part.main.gallery_ids,
            levels=_levels(part, levels),
            ks=GRADED_KS,
            exclusions=part.main.exclusions(),
        )

    return _pooled(parts, [part.main for part in parts], [[score(part) for part in parts]])


def _levels(part: Part, levels: Sequence[Sequence[str]]) -> list[Level]:
    codes = [part.catalog.groups(list(columns))[part.main.rows] for columns in levels]
    return [
        Level(query_groups=of_level[part.main.queries], gallery_groups=of_level[part.main.gallery])
        for of_level in codes
    ]


def _pooled(
    parts: Sequence[Part], tasks: Sequence[RetrievalTask], scores: Sequence[Sequence[QueryScores]]
) -> PooledScores:
    """Concatenate scores over folds and stack them over seeds; every seed has the same queries."""
    first = scores[0]
    clusters = [
        apart(task.clusters[task.queries[of_part.query_rows]], place)
        for place, (task, of_part) in enumerate(zip(tasks, first, strict=True))
    ]
    return PooledScores(
        values={
            name: np.stack([np.concatenate([of_part.values[name] for of_part in of_seed]) for of_seed in scores])
            for name in first[0].values
        },
        clusters=np.concatenate(clusters),
        places=np.concatenate(
            [part.scored_places(task, of_part) for part, task, of_part in zip(parts, tasks, first, strict=True)]
        ),
        lone_queries=sum(of_part.lone_queries for of_part in first),
    )

"""Scores of text retrieval over all folds of a comparison, one value per query."""

# Shapes: S scored queries of all folds.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simtrain.comparison.fold_scores import EmbeddingLookup
from simtrain.comparison.folds import Fold, distinct_clusters
from simtrain.encoders.base import Encoder
from simtrain.encoders.text import TextEncoder
from simtrain.evaluation.statistics import BootstrapSettings, Interval, cluster_bootstrap_intervals
from simtrain.evaluation.text_task import TEXT_KIND_NAMES, TextTasks


@dataclass(frozen=True, kw_only=True)
class PooledTextScores:
    """Scores of each query of text retrieval.

    Attributes:
        texts: What the texts are: `captions` or `classes`.
        values: Metric such as `text_to_image_recall_at_1` -> (S,) values, 0..1.
        clusters: The same names -> (S,) unit of each query that the bootstrap draws.
    """

    texts: str
    values: dict[str, NDArray[np.float64]]
    clusters: dict[str, NDArray[np.int64]]

    def intervals(self, *, bootstrap: BootstrapSettings) -> dict[str, Interval]:
        """Metric -> mean over the queries, 0..1, and its interval."""
        return {
            name: cluster_bootstrap_intervals({name: values}, self.clusters[name], bootstrap=bootstrap)[name]
            for name, values in self.values.items()
        }


def pooled_text_scores(
    encoders: Sequence[Encoder | TextEncoder],
    lookups: Sequence[EmbeddingLookup],
    folds: Sequence[Fold],
    texts: Sequence[TextTasks | None],
) -> PooledTextScores | None:
    """Scores of captions, or of class names where there are no captions; None without texts.

    Args:
        encoders: Encoder of each fold; those that embed no texts have no scores.
        lookups: Image embeddings of each fold, in the space of its encoder's texts.
        folds: Folds of the comparison.
        texts: Text retrieval tasks of each fold; None: its images have no texts.
    """
    found = [
        (tasks, tasks.query_scores(lookup(fold.rows_of_task(fold.main_task)), encoder))
        for encoder, lookup, fold, tasks in zip(encoders, lookups, folds, texts, strict=True)
        if tasks is not None and isinstance(encoder, TextEncoder)
    ]
    if not found:
        return None
    scores = [of_fold for _, of_fold in found]
    return PooledTextScores(
        texts=TEXT_KIND_NAMES[found[0][0].main_kind],
        values={name: np.concatenate([of.values()[name] for of in scores]) for name in scores[0].values()},
        clusters={
            name: np.concatenate([distinct_clusters(of.clusters()[name], index) for index, of in enumerate(scores)])
            for name in scores[0].clusters()
        },
    )

"""Metrics of one encoder by name, query by query, of several tasks together."""

# Shapes: S scored queries, P products, K metrics that a figure is made of.

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simtrain.evaluation.balance import BALANCED, balanced_parts, balanced_score
from simtrain.evaluation.metrics import QueryScores
from simtrain.evaluation.protocol import RetrievalTask, Scorer
from simtrain.training.product_sums import ProductSums


@dataclass(frozen=True, kw_only=True)
class NamedScores:
    """Values of metrics.

    Attributes:
        values: Name of a metric -> (S,) a value for each of its queries, 0..1.
        clusters: The same names -> (S,) unit that each query belongs to: its product, or the image itself.
    """

    values: Mapping[str, NDArray[np.float64]]
    clusters: Mapping[str, NDArray[np.int64]]

    def __or__(self, other: "NamedScores") -> "NamedScores":
        return NamedScores(values={**self.values, **other.values}, clusters={**self.clusters, **other.clusters})

    def means(self) -> dict[str, float]:
        """Mean of each metric, 0..1; and `balanced`, over those of images."""
        means = {name: float(values.mean()) for name, values in self.values.items()}
        return {**means, BALANCED: balanced_score(means)}

    def product_sums(self, name: str) -> ProductSums:
        """What one of the `means` is made of, product by product.

        Args:
            name: Name of a metric, or `balanced`.
        """
        parts = balanced_parts(self.values) if name == BALANCED else [name]
        units, inverse = np.unique(np.concatenate([self.clusters[part] for part in parts]), return_inverse=True)
        ends = np.cumsum([len(self.clusters[part]) for part in parts])
        sums = np.zeros((len(units), len(parts)))
        counts = np.zeros((len(units), len(parts)))
        for column, (part, own) in enumerate(zip(parts, np.split(inverse, ends[:-1]), strict=True)):
            sums[:, column] = np.bincount(own, weights=self.values[part], minlength=len(units))
            counts[:, column] = np.bincount(own, minlength=len(units))
        return ProductSums(sums=sums, counts=counts)


def named_scores(
    task: RetrievalTask, embeddings: Tensor, *, scores: QueryScores | None = None, score: Scorer = RetrievalTask.score
) -> NamedScores:
    """Every metric of every query of a task; those of `task.further` have its name before theirs.

    Args:
        task: Queries, gallery and relevance.
        embeddings: (N, D) unit embeddings of the task's `rows`.
        scores: The task's scores of them; None: they are computed here.
        score: Scores a task.
    """
    named = _named(task, scores or score(task, embeddings))
    for name, further in task.further.items():
        named |= _named(further, score(further, embeddings), prefix=f"{name}_")
    return named


def _named(task: RetrievalTask, scores: QueryScores, *, prefix: str = "") -> NamedScores:
    values = {f"{prefix}{metric}": of_metric for metric, of_metric in scores.values.items()}
    return NamedScores(values=values, clusters=dict.fromkeys(values, task.clusters_of(scores)))

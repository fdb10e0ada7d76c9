"""Embedding drift of a fine-tuned encoder from its initial weights, and the text recall that it has lost."""

# Shapes: N images, D features, S scored queries.

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from simtrain.evaluation.statistics import BootstrapSettings, Interval, cluster_bootstrap_differences
from simtrain.evaluation.text_task import TEXT_KIND_NAMES, TextScores

GUARDED = "text_to_image_recall_at_5"
"""Text metric that decides whether texts still match the images; `simtrain interpolate` limits its loss too."""

MOST_LOST = 0.01
"""Texts no longer match if the whole interval of the guarded metric's loss is above this, 0 to 1 …"""

LEAST_COSINE = 0.9
"""… or if the mean cosine between embeddings of an image before and after fine-tuning is below this (26 degrees). A
rule of thumb, for what the metric above does not see: it knows the texts of one catalogue only."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingDrift:
    """Embedding drift of a fine-tuned encoder, and its loss in text retrieval.

    Attributes:
        images: Number of images compared.
        mean: Mean cosine of an image's embeddings by the initial and the fine-tuned encoder, -1..1.
        low: 5th percentile of these cosines, -1..1.
        lowest: Lowest of these cosines, -1..1.
        start: `captions` or `labels` -> name as in `TextTasks.score` -> metric of the initial encoder, 0..1.
        lost: `captions` or `labels` -> name -> metric of the initial minus the fine-tuned encoder over the same
            queries, with its interval; below 0 where the fine-tuned encoder is better.
        confidence: Level of the intervals, between 0 and 1.
    """

    images: int
    mean: float
    low: float
    lowest: float
    start: dict[str, dict[str, float]]
    lost: dict[str, dict[str, Interval]]
    confidence: float

    def text_mismatch(self) -> str | None:
        """Why texts of a frozen text tower no longer match the images, by `MOST_LOST` and `LEAST_COSINE`."""
        for kind, losses in self.lost.items():
            if losses[GUARDED].low > MOST_LOST:  # NaN, an unknown interval, is never above it
                return f"{GUARDED} of {TEXT_KIND_NAMES[kind]} has lost more than {100 * MOST_LOST:g} point"
        return f"their cosine is below {LEAST_COSINE} on average" if self.mean < LEAST_COSINE else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an unknown interval is null."""
        return {
            "images": self.images,
            "cosine": {"mean": self.mean, "percentile_5": self.low, "lowest": self.lowest},
            "start": self.start,
            "lost": {
                kind: {name: interval.to_dict() for name, interval in losses.items()}
                for kind, losses in self.lost.items()
            },
            "texts_fit": self.text_mismatch() is None,
            "confidence": self.confidence,
        }


def embedding_drift(
    tuned: Tensor,
    start: Tensor,
    *,
    tuned_scores: Mapping[str, TextScores],
    start_scores: Mapping[str, TextScores],
    bootstrap: BootstrapSettings,
) -> EmbeddingDrift:
    """Drift of image embeddings from the initial encoder, and loss in text retrieval.

    Args:
        tuned: (N, D) unit embeddings of images by the fine-tuned encoder.
        start: (N, D) unit embeddings of the same images by the initial encoder.
        tuned_scores: `TextTasks.scores_by_kind` of the fine-tuned encoder; empty: no texts.
        start_scores: `TextTasks.scores_by_kind` of the initial encoder, of the same task.
        bootstrap: Number of draws, confidence and seed of the intervals.
    """
    cosines = (tuned.double() * start.double()).sum(dim=1).clamp(-1, 1).numpy()
    lost: dict[str, dict[str, Interval]] = {}
    for kind, before in start_scores.items():
        now, clusters = tuned_scores[kind].values(), before.clusters()
        lost[kind] = {
            name: cluster_bootstrap_differences({name: values - now[name]}, clusters[name], bootstrap=bootstrap)[name]
            for name, values in before.values().items()
        }
    return EmbeddingDrift(
        images=len(cosines),
        mean=float(cosines.mean()),
        low=float(np.quantile(cosines, 0.05)),
        lowest=float(cosines.min()),
        start={kind: before.means() for kind, before in start_scores.items()},
        lost=lost,
        confidence=bootstrap.confidence,
    )

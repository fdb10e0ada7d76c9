"""How near a tuned encoder has stayed to its start, and what of its words that has cost."""

# Shapes: N images, D features, S scored queries.

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from simtrain.evaluation.statistics import Interval, cluster_bootstrap_differences
from simtrain.evaluation.text_task import SHOWN_AS, TextScores

GUARDED = "text_to_image_recall_at_5"
"""The text figure that tells whether texts still fit; `simtrain interpolate` guards it too."""

MOST_LOST = 0.01
"""Texts no longer fit if the guarded figure has surely (the whole interval) lost more than this share of 1 …"""

LEAST_COSINE = 0.9
"""… or if the cosine between an image's embedding and that of the start is below this on average: 26 degrees away from
where the texts fitted. A rule of thumb, for what the figure above does not see: it knows the texts of one catalogue."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is left of an encoder's start.

    Attributes:
        images: That were compared.
        mean: Cosine of each image's embedding with that of the start, on average; -1..1.
        low: 5 % of the images have a lower one.
        lowest: Of all images.
        start: `captions` or `labels` -> name as in `TextTask.score` -> figure of the start, 0..1.
        lost: Likewise, what the tuned encoder has less of it, query by query; below 0 where it has more.
        confidence: Level of the intervals.
    """

    images: int
    mean: float
    low: float
    lowest: float
    start: dict[str, dict[str, float]]
    lost: dict[str, dict[str, Interval]]
    confidence: float

    def why_left(self) -> str | None:
        """Why texts of a tower that was made for the start no longer fit, by `MOST_LOST` and `LEAST_COSINE`."""
        for words, of_words in self.lost.items():
            if of_words[GUARDED].low > MOST_LOST:  # never where it cannot be told
                return f"{GUARDED} of {SHOWN_AS[words]} has lost more than {100 * MOST_LOST:g} point"
        return f"their cosine is below {LEAST_COSINE} on average" if self.mean < LEAST_COSINE else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an interval that cannot be told is null."""
        return {
            "images": self.images,
            "cosine": {"mean": self.mean, "percentile_5": self.low, "lowest": self.lowest},
            "start": self.start,
            "lost": {
                words: {name: _plain(found) for name, found in of_words.items()}
                for words, of_words in self.lost.items()
            },
            "texts_fit": self.why_left() is None,
            "confidence": self.confidence,
        }


def closeness(
    tuned: Tensor,
    start: Tensor,
    *,
    tuned_scores: Mapping[str, TextScores],
    start_scores: Mapping[str, TextScores],
    draws: int,
    confidence: float,
    seed: int,
) -> Kept:
    """How far images have moved since the start, and what texts find less of them.

    Args:
        tuned: (N, D) unit embeddings of images.
        start: (N, D) of the same images under the encoder that the run began with.
        tuned_scores: What `TextTask.every_score` gives for the tuned encoder; empty: no texts.
        start_scores: For the start, of the same task.
        draws: Bootstrap draws; >= 1.
        confidence: Level of the intervals, between 0 and 1.
        seed: Of the draws; >= 0.
    """
    cosines = (tuned.double() * start.double()).sum(dim=1).clamp(-1, 1).numpy()
    lost: dict[str, dict[str, Interval]] = {}
    for words, before in start_scores.items():
        now, clusters = tuned_scores[words].values(), before.clusters()
        lost[words] = {
            name: cluster_bootstrap_differences(
                {name: values - now[name]}, clusters[name], draws=draws, confidence=confidence, seed=seed
            )[name]
            for name, values in before.values().items()
        }
    return Kept(
        images=len(cosines),
        mean=float(cosines.mean()),
        low=float(np.quantile(cosines, 0.05)),
        lowest=float(cosines.min()),
        start={words: before.means() for words, before in start_scores.items()},
        lost=lost,
        confidence=confidence,
    )


def _plain(found: Interval) -> dict[str, float | None]:
    low, high = (None if np.isnan(end) else end for end in (found.low, found.high))
    return {"mean": found.mean, "low": low, "high": high}

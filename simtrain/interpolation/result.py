"""What a sweep over mixes found, and which of them it chooses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simtrain.evaluation.statistics import Interval
from simtrain.interpolation.plot import TradeOffPoint
from simtrain.interpolation.summary import result_lines
from simtrain.runs.interpolation_record import PICTURE_FILE

_ROUNDING = 1e-9
"""Points; a loss of the bound itself is within it, and figures that are this near are equal."""


@dataclass(frozen=True, kw_only=True)
class MixFigures:
    """The figures of one mix, 0..1.

    Attributes:
        alpha: Share of the tuned weights.
        image: Of image retrieval, by name.
        text: Of text retrieval, by name; empty where it is not judged.
    """

    alpha: float
    image: dict[str, Interval]
    text: dict[str, Interval]


@dataclass(frozen=True, kw_only=True)
class Interpolation:
    """What a sweep found.

    Attributes:
        run_folder: The run's.
        images: Where the pictures were read from.
        queries: Images that ask.
        metric: The image figure that chooses.
        text_metric: The text figure that is guarded; None where texts are not judged.
        words: What texts ask, `captions` or `names of classes`; None likewise.
        text_queries: Texts, or images where they ask for texts, that the text figure is the mean of; 0 likewise.
        no_texts: Why they are not judged; None where they are.
        bound: Points of the text figure that may be lost.
        mixes: In the order of alpha, from 0 to 1.
        chosen: Place of the chosen one.
        gain: Of the chosen one's image figure against alpha 0, query by query, 0..1.
        loss: Of its text figure, likewise; None where texts are not judged.
        confidence: Level of the intervals.
        norms: BatchNorms whose statistics were estimated for each mix.
        sample: Training images that they were estimated on.
    """

    run_folder: Path
    images: str
    queries: int
    metric: str
    text_metric: str | None
    words: str | None
    text_queries: int
    no_texts: str | None
    bound: float
    mixes: Sequence[MixFigures]
    chosen: int
    gain: Interval
    loss: Interval | None
    confidence: float
    norms: int
    sample: int

    @property
    def alpha(self) -> float:
        """The chosen one's."""
        return self.mixes[self.chosen].alpha

    @property
    def picture(self) -> Path:
        """Where it is drawn."""
        return self.run_folder / PICTURE_FILE

    def points(self) -> list[TradeOffPoint]:
        """Gains and losses of all mixes against alpha 0."""
        return tradeoff(self.mixes, metric=self.metric, text_metric=self.text_metric)

    def within_bound(self, point: TradeOffPoint) -> bool:
        """Whether a mix loses no more of the texts than the bound allows."""
        return is_within(point, bound=self.bound)

    def __str__(self) -> str:
        return "\n".join(result_lines(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; figures are 0..1, and the end of an interval that cannot be told is null."""
        return {
            "run": self.run_folder.name,
            "split": "val",
            "alpha": self.alpha,
            "metric": self.metric,
            "text_metric": self.text_metric,
            "words": self.words,
            "text_queries": self.text_queries,
            "no_texts": self.no_texts,
            "bound_points": self.bound,
            "gain": _plain(self.gain),
            "loss": None if self.loss is None else _plain(self.loss),
            "confidence": self.confidence,
            "queries": self.queries,
            "batch_norms": self.norms,
            "batch_norm_images": self.sample,
            "mixes": [
                {
                    "alpha": mix.alpha,
                    "image": {name: _plain(found) for name, found in mix.image.items()},
                    "text": {name: _plain(found) for name, found in mix.text.items()},
                }
                for mix in self.mixes
            ],
        }


def tradeoff(mixes: Sequence[MixFigures], *, metric: str, text_metric: str | None) -> list[TradeOffPoint]:
    """What each mix gains and loses against the first, in points (hundredths of a figure)."""
    first = mixes[0]
    return [
        TradeOffPoint(
            alpha=mix.alpha,
            gain=100 * (mix.image[metric].mean - first.image[metric].mean),
            loss=None if text_metric is None else 100 * (first.text[text_metric].mean - mix.text[text_metric].mean),
        )
        for mix in mixes
    ]


def best_within(points: Sequence[TradeOffPoint], *, bound: float) -> int:
    """Place of the mix that gains most among those that lose no more than the bound.

    Of equal ones it is the first, which is the nearest to the start.

    Args:
        points: In the order of alpha; the first is the start, which loses nothing.
        bound: Points that may be lost; >= 0.
    """
    best = 0
    for place, point in enumerate(points):
        if is_within(point, bound=bound) and point.gain > points[best].gain + _ROUNDING:
            best = place
    return best


def is_within(point: TradeOffPoint, *, bound: float) -> bool:
    """Whether a mix loses no more than the bound; one whose texts are not judged does not."""
    return point.loss is None or point.loss <= bound + _ROUNDING


def _plain(found: Interval) -> dict[str, float | None]:
    low, high = (None if math.isnan(end) else end for end in (found.low, found.high))
    return {"mean": found.mean, "low": low, "high": high}

"""Result of an interpolation sweep, and the choice of alpha."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simtrain.evaluation.statistics import Interval
from simtrain.interpolation.plot import TradeOffPoint
from simtrain.interpolation.summary import result_lines
from simtrain.runs.interpolation_record import PICTURE_FILE

_ROUNDING = 1e-9
"""Tolerance in points: a loss of the bound itself is allowed, and values this near are equal."""


@dataclass(frozen=True, kw_only=True)
class InterpolatedFigures:
    """Metrics of one interpolated encoder, 0..1.

    Attributes:
        alpha: Share of the fine-tuned weights, 0 to 1.
        image: Name -> metric of image retrieval with its interval.
        text: Name -> metric of text retrieval with its interval; empty where texts are not evaluated.
    """

    alpha: float
    image: dict[str, Interval]
    text: dict[str, Interval]

    def mean(self, metric: str) -> float:
        """Mean of a metric of images or of texts."""
        return (self.image if metric in self.image else self.text)[metric].mean


@dataclass(frozen=True, kw_only=True)
class Interpolation:
    """Result of a sweep.

    Attributes:
        run_folder: The run's folder.
        images: Where the images were read from, as a phrase.
        queries: Number of image queries.
        metric: Name of the metric that is maximised.
        text_metric: Name of the text metric whose loss is limited; None where texts are not evaluated.
        text_kind: Kind of the text queries, `captions` or `names of classes`; None where texts are not evaluated.
        text_queries: Number of queries of the text metric; 0 where texts are not evaluated.
        no_texts: Why texts are not evaluated; None where they are.
        bound: Largest loss allowed in the text metric, in points.
        mixes: Metrics of the interpolated encoders in the order of alpha, from 0 to 1.
        chosen: Index of the chosen one in `mixes`.
        gain: Gain of the chosen one in this metric over alpha 0, paired by query, -1..1.
        loss: Loss of the chosen one in the text metric from alpha 0, paired by query, -1..1; None where texts are not
            evaluated.
        confidence: Level of the intervals, between 0 and 1.
        norms: Number of BatchNorms whose statistics were estimated for each mix.
        sample: Number of training images that they were estimated on.
    """

    run_folder: Path
    images: str
    queries: int
    metric: str
    text_metric: str | None
    text_kind: str | None
    text_queries: int
    no_texts: str | None
    bound: float
    mixes: Sequence[InterpolatedFigures]
    chosen: int
    gain: Interval
    loss: Interval | None
    confidence: float
    norms: int
    sample: int

    @property
    def alpha(self) -> float:
        """The chosen share of the fine-tuned weights."""
        return self.mixes[self.chosen].alpha

    @property
    def picture(self) -> Path:
        """File of the plot."""
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
        """Plain values for JSON; metrics are 0..1, and an unknown end of an interval is null."""
        return {
            "run": self.run_folder.name,
            "split": "val",
            "alpha": self.alpha,
            "metric": self.metric,
            "text_metric": self.text_metric,
            "words": self.text_kind,
            "text_queries": self.text_queries,
            "no_texts": self.no_texts,
            "bound_points": self.bound,
            "gain": self.gain.to_dict(),
            "loss": None if self.loss is None else self.loss.to_dict(),
            "confidence": self.confidence,
            "queries": self.queries,
            "batch_norms": self.norms,
            "batch_norm_images": self.sample,
            "mixes": [
                {
                    "alpha": mix.alpha,
                    "image": {name: interval.to_dict() for name, interval in mix.image.items()},
                    "text": {name: interval.to_dict() for name, interval in mix.text.items()},
                }
                for mix in self.mixes
            ],
        }


def tradeoff(mixes: Sequence[InterpolatedFigures], *, metric: str, text_metric: str | None) -> list[TradeOffPoint]:
    """Gain and loss of each mix against the first, in points (hundredths of a metric).

    Args:
        mixes: Metrics of the interpolated encoders in the order of alpha, from 0.
        metric: Name of the metric that is maximised.
        text_metric: Name of the text metric; None where texts are not evaluated.
    """
    first = mixes[0]
    return [
        TradeOffPoint(
            alpha=mix.alpha,
            gain=100 * (mix.mean(metric) - first.mean(metric)),
            loss=None if text_metric is None else 100 * (first.text[text_metric].mean - mix.text[text_metric].mean),
        )
        for mix in mixes
    ]


def best_within(points: Sequence[TradeOffPoint], *, bound: float) -> int:
    """Index of the mix with the largest gain among those that lose no more than the bound.

    Of equal ones it is the first, which is the nearest to the initial weights.

    Args:
        points: Points in the order of alpha; the first has the initial weights and loses nothing.
        bound: Largest loss allowed, in points; >= 0.
    """
    best = 0
    for index, point in enumerate(points):
        if is_within(point, bound=bound) and point.gain > points[best].gain + _ROUNDING:
            best = index
    return best


def is_within(point: TradeOffPoint, *, bound: float) -> bool:
    """Whether a mix loses no more than the bound; True where texts are not evaluated.

    Args:
        point: Gain and loss of a mix.
        bound: Largest loss allowed, in points; >= 0.
    """
    return point.loss is None or point.loss <= bound + _ROUNDING

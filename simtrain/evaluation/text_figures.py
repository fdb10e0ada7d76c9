"""The figures of words against images, as they are written down."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from simtrain.evaluation.statistics import Interval


@dataclass(frozen=True, kw_only=True)
class Direction:
    """The figures of texts that search images, or of images that search texts.

    Attributes:
        metrics: Name -> mean and confidence interval, 0..1.
        queries: Texts or images that were scored.
        lone_queries: Those left out because nothing is relevant to them.
        gallery: Images or texts that were searched.
    """

    metrics: dict[str, Interval]
    queries: int
    lone_queries: int
    gallery: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an interval that cannot be told is null."""
        return {
            "metrics": _plain(self.metrics),
            "queries": self.queries,
            "lone_queries": self.lone_queries,
            "gallery": self.gallery,
        }


@dataclass(frozen=True, kw_only=True)
class WordFigures:
    """The figures of captions, or of the names of classes.

    Attributes:
        templates: What the texts were made with.
        text_to_image: Texts ask.
        image_to_text: Images ask.
        zero_shot: Of class names alone: `accuracy`, images whose nearest class is theirs (`recall_at_1` of
            `image_to_text`), and `mean_class_accuracy`, its mean over the classes. Name -> mean and interval, 0..1.
        truncated: Different texts longer than the encoder reads; None if it does not say.
    """

    templates: tuple[str, ...]
    text_to_image: Direction
    image_to_text: Direction
    zero_shot: dict[str, Interval]
    truncated: int | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "templates": list(self.templates),
            "text_to_image": self.text_to_image.to_dict(),
            "image_to_text": self.image_to_text.to_dict(),
            "zero_shot": _plain(self.zero_shot),
            "truncated": self.truncated,
        }


@dataclass(frozen=True, kw_only=True)
class TextEvaluation:
    """What an image encoder and a text encoder know of each other.

    Attributes:
        captions: None if there was nothing to judge them by.
        labels: None if there were no templates.
        confidence: Level of the intervals.
    """

    captions: WordFigures | None
    labels: WordFigures | None
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what was not judged is null."""
        return {
            "captions": None if self.captions is None else self.captions.to_dict(),
            "labels": None if self.labels is None else self.labels.to_dict(),
            "confidence": self.confidence,
        }


def _plain(metrics: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    return {
        name: {
            "mean": found.mean,
            "low": None if np.isnan(found.low) else found.low,
            "high": None if np.isnan(found.high) else found.high,
        }
        for name, found in metrics.items()
    }

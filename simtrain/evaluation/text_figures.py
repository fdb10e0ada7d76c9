"""Metrics of text-to-image and image-to-text retrieval, with their confidence intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simtrain.encoders.text import LimitedTextEncoder, TextEncoder
from simtrain.evaluation.metrics import QueryScores
from simtrain.evaluation.statistics import BootstrapSettings, Interval, cluster_bootstrap_intervals
from simtrain.evaluation.text_task import SCORED, TextRetrievalTask, TextScores, TextTasks


@dataclass(frozen=True, kw_only=True)
class Direction:
    """Metrics of texts that search images, or of images that search texts.

    Attributes:
        metrics: Name -> mean and confidence interval, 0..1.
        queries: Number of texts, or images, scored.
        lone_queries: Number of queries left out because nothing is relevant to them.
        gallery: Number of images, or texts, searched.
    """

    metrics: dict[str, Interval]
    queries: int
    lone_queries: int
    gallery: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an unknown interval is null."""
        return {
            "metrics": {name: interval.to_dict() for name, interval in self.metrics.items()},
            "queries": self.queries,
            "lone_queries": self.lone_queries,
            "gallery": self.gallery,
        }


@dataclass(frozen=True, kw_only=True)
class TextRetrievalFigures:
    """Text retrieval metrics of captions, or of class names.

    Attributes:
        templates: Templates that the texts were made with.
        text_to_image: Metrics of texts that search images.
        image_to_text: Metrics of images that search texts.
        zero_shot: Class names only: `accuracy`, images whose nearest class is theirs (`recall_at_1` of
            `image_to_text`), and `mean_class_accuracy`, its mean over the classes. Name -> mean and interval, 0..1.
        truncated: Number of different texts longer than the encoder's limit; None if the limit is unknown.
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
            "zero_shot": {name: interval.to_dict() for name, interval in self.zero_shot.items()},
            "truncated": self.truncated,
        }


@dataclass(frozen=True, kw_only=True)
class TextEvaluation:
    """Text retrieval metrics of an encoder.

    Attributes:
        captions: Metrics of captions; None if no image has one.
        labels: Metrics of class names; None if no image has one.
        longest_text: Largest number of tokens of a text that the encoder reads; None if it is unknown.
        confidence: Level of the intervals, between 0 and 1.
    """

    captions: TextRetrievalFigures | None
    labels: TextRetrievalFigures | None
    longest_text: int | None
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what was not evaluated is null."""
        return {
            "captions": None if self.captions is None else self.captions.to_dict(),
            "labels": None if self.labels is None else self.labels.to_dict(),
            "longest_text": self.longest_text,
            "confidence": self.confidence,
        }


def text_retrieval_figures(
    task: TextTasks,
    scores: Mapping[str, TextScores],
    text_encoder: TextEncoder,
    *,
    bootstrap: BootstrapSettings,
) -> TextEvaluation:
    """Text retrieval metrics of a task's captions and class names against its images, with bootstrap intervals.

    Intervals draw products, each with all its images (single images where there are no products). A text whose images
    are all of one product goes with it; one of several products is drawn by itself. `mean_class_accuracy` draws
    classes.

    Args:
        task: Texts and images that were scored.
        scores: Scores that `task.scores_by_kind` returned for this encoder.
        text_encoder: The encoder; it counts the texts that it truncates.
        bootstrap: Number of draws, confidence and seed of the intervals.
    """
    figures = {
        kind: _figures(texts, scores[kind], text_encoder, classes=texts is task.labels, bootstrap=bootstrap)
        for kind, texts in task.by_kind().items()
    }
    return TextEvaluation(
        captions=figures.get("captions"),
        labels=figures.get("labels"),
        longest_text=text_encoder.longest_text if isinstance(text_encoder, LimitedTextEncoder) else None,
        confidence=bootstrap.confidence,
    )


def means_by_name(text: Mapping[str, Any]) -> dict[str, float]:
    """The values of `TextTasks.score`, read from the result of `TextEvaluation.to_dict`."""
    figures = text["captions"] or text["labels"]
    return {
        f"{direction}_{name}": Interval.from_dict(figures[direction]["metrics"][name]).mean
        for direction, names in SCORED.items()
        for name in names
    }


def _figures(
    task: TextRetrievalTask,
    scores: TextScores,
    text_encoder: TextEncoder,
    *,
    classes: bool,
    bootstrap: BootstrapSettings,
) -> TextRetrievalFigures:
    images, texts = len(task.image_ids), len(task.prompts.texts)
    return TextRetrievalFigures(
        templates=task.templates,
        text_to_image=_direction(scores.text_to_image, scores.text_clusters, gallery=images, bootstrap=bootstrap),
        image_to_text=_direction(scores.image_to_text, scores.image_clusters, gallery=texts, bootstrap=bootstrap),
        zero_shot=_zero_shot(task, scores, bootstrap=bootstrap) if classes else {},
        truncated=task.truncated(text_encoder),
    )


def _direction(
    scores: QueryScores, clusters: NDArray[np.int64], *, gallery: int, bootstrap: BootstrapSettings
) -> Direction:
    return Direction(
        metrics=cluster_bootstrap_intervals(scores.values, clusters, bootstrap=bootstrap),
        queries=len(scores.query_rows),
        lone_queries=scores.lone_queries,
        gallery=gallery,
    )


def _zero_shot(task: TextRetrievalTask, scores: TextScores, *, bootstrap: BootstrapSettings) -> dict[str, Interval]:
    by_image = scores.image_to_text
    right, of_image = by_image.values["recall_at_1"], task.prompts.classes[by_image.query_rows]
    of_class = np.bincount(of_image, weights=right) / np.bincount(of_image)  # each class has an image
    mean, classes = {"mean_class_accuracy": of_class}, np.arange(len(of_class))
    return {
        **cluster_bootstrap_intervals({"accuracy": right}, scores.image_clusters, bootstrap=bootstrap),
        **cluster_bootstrap_intervals(mean, classes, bootstrap=bootstrap),
    }

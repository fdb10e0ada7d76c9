"""Evaluation report: metrics of an encoder on a split, with its run, data and settings."""

from dataclasses import dataclass
from typing import Any

from simtrain.builders.weights_file import WeightsFile
from simtrain.encoders.arithmetic import Arithmetic
from simtrain.evaluation.drift import EmbeddingDrift
from simtrain.evaluation.protocol import Evaluation
from simtrain.evaluation.text_figures import TextEvaluation
from simtrain.runs.evaluation_text import report_lines


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """The figures and what they belong to.

    Attributes:
        name: Name of the run, or `zero-shot`.
        split: Split that was evaluated: `train`, `val` or `test`.
        relevance: Columns whose equal values make images relevant, or the name of another definition.
        relevance_description: Definition of relevance as a phrase, such as "same product".
        encoder: Configuration of the encoder.
        alpha: Share of the run's fine-tuned weights, 0 to 1; None for an encoder that no run has trained.
        data: Fingerprint of the catalogue.
        images: Source of the images, as a phrase.
        arithmetic: Arithmetic that they were embedded in.
        evaluation: Metrics of images that search images.
        text: Metrics of texts that search images and of images that search texts; None where the encoder reads no
            texts, or there are none.
        drift: Embedding drift of a `clip` from the initial weights of its run; None for any other encoder.
        not_evaluated: What could not be evaluated, one line each, with the reason.
        weights: Weights file of an encoder that no run has trained; None: a run's encoder, or weights without a file.
        test_readings: Number of times that the run's test metrics have been read, now included; None: another split,
            or no run.
    """

    name: str
    split: str
    relevance: list[str]
    relevance_description: str
    encoder: dict[str, Any]
    alpha: float | None
    data: dict[str, Any]
    images: str
    arithmetic: Arithmetic
    evaluation: Evaluation
    text: TextEvaluation | None
    drift: EmbeddingDrift | None
    not_evaluated: list[str]
    weights: WeightsFile | None
    test_readings: int | None

    def text_model_drift(self) -> str | None:
        """Why `encoder.text_model` no longer fits the image embeddings; None: there is no such model, or it fits."""
        if self.drift is None or self.encoder.get("text_model") is None:
            return None
        return self.drift.text_mismatch()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "split": self.split,
            "relevance": self.relevance,
            "relevance_words": self.relevance_description,
            "encoder": self.encoder,
            "encoder_weights": None if self.weights is None else self.weights.to_dict(),
            "alpha": self.alpha,
            "data": self.data,
            "images": self.images,
            "embedding": self.arithmetic.to_dict(),
            "test_readings": self.test_readings,
            **self.evaluation.to_dict(),
            "text": None if self.text is None else self.text.to_dict(),
            "kept": None if self.drift is None else self.drift.to_dict(),
        }

    def __str__(self) -> str:
        return "\n".join(report_lines(self))

"""`simtrain evaluate`: how well a run, or an untouched encoder, finds what it should."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from simtrain.builders import build_encoder, build_text_validation, found_weights, start_encoder
from simtrain.builders.weights_file import FoundWeights
from simtrain.catalog.progress import Progress
from simtrain.catalog.store.reader import ImageReader, open_images
from simtrain.config import ClipConfig, RunConfig
from simtrain.encoders.base import Encoder
from simtrain.errors import CheckpointError
from simtrain.evaluation.drift import Kept, closeness
from simtrain.evaluation.protocol import Evaluation, RetrievalTask, retrieval_task
from simtrain.evaluation.text_figures import TextEvaluation
from simtrain.evaluation.text_task import TextScores, TextTask
from simtrain.runs.evaluation import embed_rows, judge_embeddings, judge_texts, score_texts, unjudged_texts
from simtrain.runs.interpolation_record import chosen_alpha
from simtrain.runs.run import Run, configured_catalog, count_test_reading, data_fingerprint, read_run_catalog
from simtrain.runs.tuned_encoder import tuned_encoder


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """The figures and what they belong to.

    Attributes:
        name: The run's, or `zero-shot`.
        split: The evaluated one.
        relevance: Columns that tell what is relevant.
        encoder: Configuration of the encoder.
        alpha: Share of the run's tuned weights, 1: they alone; None for an encoder as it comes.
        data: Fingerprint of the catalogue.
        images: Where its pictures were read from.
        evaluation: The figures of images that search images.
        text: Those of texts that search images and images that search texts; None where nothing reads texts, or there
            are none.
        kept: How near a `clip` has stayed to the start of its run; None for what has no such start.
        unjudged: For the user: what of this could not be judged.
        weights: The weights file of an encoder as it comes; None: a run's, or weights that are in no file.
        test_readings: How often the run's test figures have been read, this time included; None: these are of another
            split, or of no run.
    """

    name: str
    split: str
    relevance: list[str]
    encoder: dict[str, Any]
    alpha: float | None
    data: dict[str, Any]
    images: str
    evaluation: Evaluation
    text: TextEvaluation | None
    kept: Kept | None
    unjudged: list[str]
    weights: FoundWeights | None
    test_readings: int | None

    def outgrown(self) -> str | None:
        """Why a text model that was made for the start no longer fits the images; None: there is none, or it fits."""
        if self.kept is None or self.encoder.get("text_model") is None:
            return None
        return self.kept.why_left()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "split": self.split,
            "relevance": self.relevance,
            "encoder": self.encoder,
            "encoder_weights": None if self.weights is None else self.weights.to_dict(),
            "alpha": self.alpha,
            "data": self.data,
            "images": self.images,
            "test_readings": self.test_readings,
            **self.evaluation.to_dict(),
            "text": None if self.text is None else self.text.to_dict(),
            "kept": None if self.kept is None else self.kept.to_dict(),
        }


def evaluate(
    config: RunConfig, *, run: Run | None, split: str, alpha: float | None, progress: Progress
) -> EvaluationReport:
    """Judge an encoder on a split of the configured catalogue; a run's record counts that its test split was read.

    Args:
        config: Catalogue, encoder, relevance, texts.
        run: The run whose best weights are judged; None: the encoder as it comes (zero-shot).
        split: `train`, `val` or `test`.
        alpha: Share of the run's tuned weights in a mix with those of its start, 0 to 1; None: what `interpolate`
            chose, or 1 where it was never run.
        progress: Shows how many batches are embedded.

    Raises:
        SimtrainError: for anything that the user can mend.
    """
    catalog = configured_catalog(config) if run is None else read_run_catalog(run)
    task = retrieval_task(
        catalog, split=split, gallery_splits=config.evaluation.gallery_splits, relevance=config.relevance_columns
    )
    texts = build_text_validation(config, catalog, task)  # a misspelt template is told before anything is embedded
    encoder, share = _encoder(config, run, alpha)
    images = open_images(catalog, smallest=encoder.preprocessing.image_size)
    embeddings = embed_rows(encoder, images.reader, task.rows.tolist(), config=config, progress=progress)
    scores = score_texts(texts, embeddings, encoder)
    kept, unjudged = None, unjudged_texts(config, texts)
    if run is not None and isinstance(config.encoder, ClipConfig):
        try:
            kept = _kept(run, config, task, texts, images.reader, embeddings, scores, progress=progress)
        except CheckpointError as error:
            unjudged.append(f"how far the images have moved is not known: {error}")
    return EvaluationReport(
        name="zero-shot" if run is None else run.folder.name,
        split=split,
        relevance=config.relevance_columns,
        encoder=config.encoder.model_dump(mode="json"),
        alpha=share,
        data=data_fingerprint(catalog),
        images=images.told,
        evaluation=judge_embeddings(embeddings, task, config=config),
        text=judge_texts(texts, scores, encoder, config=config),
        kept=kept,
        unjudged=unjudged,
        weights=found_weights(config.encoder) if run is None else None,
        test_readings=count_test_reading(run) if run is not None and split == "test" else None,
    )


def _encoder(config: RunConfig, run: Run | None, alpha: float | None) -> tuple[Encoder, float | None]:
    """What is judged, and the share of tuned weights in it."""
    if run is None:
        torch.manual_seed(config.seed)  # layers without pretrained weights start as they do in fit
        return build_encoder(config.encoder, load=True), None
    share = chosen_alpha(run.folder) if alpha is None else alpha
    return tuned_encoder(config, run.folder, alpha=share), share


def _kept(
    run: Run,
    config: RunConfig,
    task: RetrievalTask,
    texts: TextTask | None,
    images: ImageReader,
    tuned: Tensor,
    scores: Mapping[str, TextScores],
    *,
    progress: Progress,
) -> Kept:
    """How near the run has stayed to its start, whose embeddings of the same images are made here."""
    start = start_encoder(config.encoder, run.folder)
    embeddings = embed_rows(start, images, task.rows.tolist(), config=config, progress=progress)
    return closeness(
        tuned,
        embeddings,
        tuned_scores=scores,
        start_scores=score_texts(texts, embeddings, start),
        draws=config.evaluation.bootstrap_draws,
        confidence=config.evaluation.confidence,
        seed=config.seed,
    )

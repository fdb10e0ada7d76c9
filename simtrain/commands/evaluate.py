"""`simtrain evaluate`: retrieval metrics of a run, or of an encoder without fine-tuning."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from simtrain.builders.bootstrap import build_bootstrap
from simtrain.builders.encoder import build_encoder, whitening_of
from simtrain.builders.judged_catalog import judged_by_pictures, judged_catalog
from simtrain.builders.relevance import build_relevance, unknown_names
from simtrain.builders.saved_encoder import load_initial_encoder
from simtrain.builders.texts import build_text_validation
from simtrain.builders.validation import split_task
from simtrain.builders.weights_file import inspect_weights_file
from simtrain.catalog.table import Catalog
from simtrain.config import ClipConfig, RunConfig
from simtrain.console import Console
from simtrain.encoders.base import Encoder
from simtrain.errors import CheckpointError, error_path
from simtrain.evaluation.drift import EmbeddingDrift, embedding_drift
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.text_task import TextScores, TextTasks
from simtrain.preflight.evaluation import one_class_warning
from simtrain.runs.cached_embedding import CachedEmbedding
from simtrain.runs.evaluation import evaluate_embeddings, evaluate_texts, missing_texts, score_texts
from simtrain.runs.evaluation_report import EvaluationReport
from simtrain.runs.interpolation_record import chosen_alpha
from simtrain.runs.loaded_encoder import LoadedEncoder
from simtrain.runs.run import (
    Run,
    configured_catalog,
    count_test_reading,
    data_fingerprint,
    read_run_catalog,
    report_unfinished,
)
from simtrain.runs.seen_pictures import seen_pictures_line
from simtrain.runs.whitening import run_encoder, whiten_untouched


@dataclass(frozen=True, kw_only=True)
class _Embedded:
    """(N, D) unit embeddings of a split's images, and the scores of text retrieval among them by kind of text."""

    embeddings: Tensor
    text_scores: Mapping[str, TextScores]


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """Images and texts of a split, which one encoder or another embeds.

    Attributes:
        config: Configuration, for batch size and device.
        task: Retrieval task of N images.
        texts: Text retrieval task of the same images; None: there are no texts, or the encoder embeds none.
        cached: Embeddings of the catalogue's images.
    """

    config: RunConfig
    task: RetrievalTask
    texts: TextTasks | None
    cached: CachedEmbedding

    def embed(self, encoder: Encoder) -> _Embedded:
        """Embed the images that no command has embedded before, and score the texts."""
        embeddings = self.cached.embedded(encoder, self.task.rows)
        return _Embedded(embeddings=embeddings, text_scores=score_texts(self.texts, embeddings, encoder))


def evaluate(
    config: RunConfig,
    *,
    run: Run | None,
    split: str,
    alpha: float | None,
    console: Console,
    loaded: LoadedEncoder | None = None,
) -> EvaluationReport:
    """Evaluate an encoder on a split of the configured catalogue; a run's record counts evaluations on its test split.

    Args:
        config: Configuration with catalogue, encoder, relevance and texts.
        run: Run whose best weights are evaluated; None: the encoder without fine-tuning (zero-shot).
        split: Split to evaluate: `train`, `val` or `test`.
        alpha: Share of the run's fine-tuned weights when mixed with its initial ones, 0 to 1; None: the share that
            `interpolate` chose, or 1 where it was never run.
        console: Shows how many batches are embedded.
        loaded: An encoder in memory that is evaluated instead of the configured one; None: the configured one.

    Raises:
        SimtrainError: for anything that the user can fix.
    """
    catalog = configured_catalog(config) if run is None else read_run_catalog(run)
    report_unfinished(run, console)
    config = judged_by_pictures(config, catalog, console=console)
    data = data_fingerprint(catalog)
    catalog = judged_catalog(catalog, config.relevances, folds=config.fold is not None)
    task = split_task(config, catalog, split=split)
    if run is not None and split != "train":
        seen = seen_pictures_line(run, catalog, task.rows[task.queries])
        if seen is not None:
            console.line(seen)
    relevance = build_relevance(config.relevance, catalog, exclude=config.evaluation.exclude)
    trivial = one_class_warning(task, relevance.description)
    if trivial is not None:
        console.line(trivial)
    for line in unknown_names(config.relevances, catalog):
        console.line(f"warning: {line}")
    texts = build_text_validation(config, catalog, task)  # refuses a misspelt template before anything is embedded
    if loaded is None:
        encoder, share = _encoder(config, run, alpha, catalog, console=console)
    else:
        encoder, share = _of_memory(loaded.network, config, catalog, console=console), None
    cached = CachedEmbedding(config=config, catalog=catalog, console=console, precision=None)
    subject = _Subject(config=config, task=task, texts=texts, cached=cached)
    own = subject.embed(encoder)
    drift, not_evaluated = None, missing_texts(config, texts)
    if run is not None and isinstance(config.encoder, ClipConfig):
        try:
            drift = _drift(run, subject, own)
        except CheckpointError as error:
            not_evaluated.append(f"embedding drift from the initial weights: unavailable: {error}")
    return EvaluationReport(
        name=_name(run, loaded),
        split=split,
        relevance=relevance.columns_or_name(),
        relevance_description=relevance.description,
        encoder=config.encoder.model_dump(mode="json") if loaded is None else loaded.section(),
        alpha=share,
        data=data,
        images=cached.images(encoder.preprocessing.image_size).description,
        arithmetic=encoder.arithmetic,
        evaluation=evaluate_embeddings(own.embeddings, task, config=config),
        text=evaluate_texts(texts, own.text_scores, encoder, config=config),
        drift=drift,
        not_evaluated=not_evaluated,
        weights=inspect_weights_file(config.encoder) if run is None and loaded is None else None,
        test_readings=count_test_reading(run) if run is not None and split == "test" else None,
    )


def _name(run: Run | None, loaded: LoadedEncoder | None) -> str:
    if loaded is not None:
        return loaded.name
    return "zero-shot" if run is None else run.folder.name


def _encoder(
    config: RunConfig, run: Run | None, alpha: float | None, catalog: Catalog, *, console: Console
) -> tuple[Encoder, float | None]:
    """The encoder to evaluate, and the share of fine-tuned weights in it."""
    if run is None:
        torch.manual_seed(config.seed)  # layers without pretrained weights start as they do in fit
        with error_path("encoder"):
            encoder = build_encoder(config.encoder, load=True)
        whiten_untouched(encoder, catalog, config=config, console=console)
        return encoder, None
    share = chosen_alpha(run.folder) if alpha is None else alpha
    return run_encoder(run, alpha=share, console=console), share


def _of_memory(network: Encoder, config: RunConfig, catalog: Catalog, *, console: Console) -> Encoder:
    """An encoder in memory, which stays as it is; whitened, if the configuration says so and it is not yet."""
    if network.whitening is not None or whitening_of(config.encoder) is None:
        return network
    encoder = copy.copy(network)
    whiten_untouched(encoder, catalog, config=config, console=console)
    return encoder


def _drift(run: Run, subject: _Subject, tuned: _Embedded) -> EmbeddingDrift:
    """Embedding drift of the run from its initial encoder, which embeds the same images here."""
    initial = subject.embed(load_initial_encoder(subject.config.encoder, run.folder))
    return embedding_drift(
        tuned.embeddings,
        initial.embeddings,
        tuned_scores=tuned.text_scores,
        start_scores=initial.text_scores,
        bootstrap=build_bootstrap(subject.config),
    )

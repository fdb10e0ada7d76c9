"""Evaluation of a run's encoder on a retrieval task, with the run's settings."""

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch

from simtrain.builders.bootstrap import build_bootstrap
from simtrain.builders.devices import embedding_precision, run_device, run_embedding_cards
from simtrain.catalog.store.reader import ImageReader
from simtrain.config import RunConfig
from simtrain.console import Console
from simtrain.data.datasets import worker_count
from simtrain.data.embedding import EmbeddingSettings
from simtrain.encoders.arithmetic import Precision
from simtrain.encoders.base import Encoder
from simtrain.encoders.text import TextEncoder
from simtrain.errors import error_path
from simtrain.evaluation.protocol import Evaluation, RetrievalTask, evaluate_retrieval
from simtrain.evaluation.text_figures import TextEvaluation, text_retrieval_figures
from simtrain.evaluation.text_prompts import template_columns
from simtrain.evaluation.text_task import TextScores, TextTasks
from simtrain.launch.shared_embedding import EmbeddingPass
from simtrain.training.ranks import local_count


def embed_rows(
    encoder: Encoder,
    images: ImageReader,
    rows: list[int],
    *,
    config: RunConfig,
    console: Console,
    precision: Precision | None = None,
) -> torch.Tensor:
    """(N, D) embeddings of these catalogue rows, with the run's batch size, loading processes and device.

    Args:
        encoder: The encoder.
        images: Reader of the catalogue's images.
        rows: N catalogue rows.
        config: Configuration of the run.
        console: Shows how many batches are embedded.
        precision: Arithmetic of the network; None: as `evaluation.precision` says.
    """
    shared = embedding_pass(encoder, images, config=config, console=console, precision=precision)
    with error_path("evaluation"):
        return shared.embed(np.array(rows, dtype=np.int64))


def embedding_pass(
    encoder: Encoder,
    images: ImageReader,
    *,
    config: RunConfig,
    console: Console,
    precision: Precision | None = None,
) -> EmbeddingPass:
    """The pass of an encoder over images with the run's settings, on the run's devices; as `embed_rows` takes them."""
    settings = EmbeddingSettings(
        batch_size=config.evaluation.batch_size,
        workers=worker_count(config.data.workers, sharing=local_count()),
        device=run_device(config),
        precision=embedding_precision(config, encoder) if precision is None else precision,
    )
    cards = run_embedding_cards(config)
    return EmbeddingPass(encoder=encoder, images=images, settings=settings, cards=cards, console=console)


def evaluate_embeddings(embeddings: torch.Tensor, task: RetrievalTask, *, config: RunConfig) -> Evaluation:
    """Metrics of (N, D) embeddings of the task's rows, with the run's bootstrap settings."""
    return evaluate_retrieval(task, embeddings, bootstrap=build_bootstrap(config))


def score_texts(texts: TextTasks | None, embeddings: torch.Tensor, encoder: Encoder) -> dict[str, TextScores]:
    """Scores of text retrieval by captions and by class names.

    Args:
        texts: Text retrieval task of N images; None: there are no texts.
        embeddings: (N, D) unit embeddings of the images by the encoder.
        encoder: The encoder, which embeds texts, unless there are none.
    """
    return {} if texts is None else texts.scores_by_kind(embeddings, cast(TextEncoder, encoder))


def evaluate_texts(
    texts: TextTasks | None, scores: Mapping[str, TextScores], encoder: Encoder, *, config: RunConfig
) -> TextEvaluation | None:
    """Metrics of text retrieval with the run's intervals; None where there are no texts.

    Args:
        texts: Text retrieval task; None: there are no texts.
        scores: Scores that `score_texts` returned for this task and encoder.
        encoder: The encoder, which counts the texts that it truncates.
        config: Configuration of the run.
    """
    if texts is None:
        return None
    return text_retrieval_figures(
        texts,
        scores,
        cast(TextEncoder, encoder),
        bootstrap=build_bootstrap(config),
    )


def missing_texts(config: RunConfig, texts: TextTasks | None) -> list[str]:
    """One line for the user for each kind of text that the configuration asks for and no image of a task has."""
    if not config.reads_texts:
        return []
    captions, templates = config.evaluation.captions, config.evaluation.label_templates
    missing = []
    if captions is not None and (texts is None or texts.captions is None):
        missing.append(("captions", captions))
    if templates and (texts is None or texts.labels is None):
        missing.append(("classes", templates[0]))
    return [f"{name}: no image has a value of {' + '.join(template_columns(first))}" for name, first in missing]

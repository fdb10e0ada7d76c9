"""An encoder's figures on a task, as `fit` takes them before training and `evaluate` after it."""

import torch

from simtrain.catalog.progress import Progress
from simtrain.catalog.store.reader import ImageReader
from simtrain.config import RunConfig
from simtrain.data.datasets import worker_count
from simtrain.data.embedding import embed_images, inference_device
from simtrain.encoders.base import Encoder
from simtrain.evaluation.protocol import Evaluation, RetrievalTask, judge
from simtrain.training.ranks import local_count


def embed_rows(
    encoder: Encoder, images: ImageReader, rows: list[int], *, config: RunConfig, progress: Progress
) -> torch.Tensor:
    """(N, D) embeddings of these catalogue rows, with the run's batch size, loading processes and device."""
    return embed_images(
        encoder,
        images,
        rows,
        batch_size=config.evaluation.batch_size,
        workers=worker_count(config.data.workers, sharing=local_count()),
        device=inference_device(config.trainer.accelerator),
        progress=progress,
    )


def judge_encoder(
    encoder: Encoder, images: ImageReader, task: RetrievalTask, *, config: RunConfig, progress: Progress
) -> Evaluation:
    """The figures of an encoder on a task, with the run's intervals."""
    embeddings = embed_rows(encoder, images, task.rows.tolist(), config=config, progress=progress)
    return judge_embeddings(embeddings, task, config=config)


def judge_embeddings(embeddings: torch.Tensor, task: RetrievalTask, *, config: RunConfig) -> Evaluation:
    """The figures of (N, D) embeddings of the task's rows, with the run's intervals."""
    return judge(
        task,
        embeddings,
        draws=config.evaluation.bootstrap_draws,
        confidence=config.evaluation.confidence,
        seed=config.seed,
    )

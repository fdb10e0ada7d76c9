"""What the untouched encoder does on a run's images, before training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from simtrain.build import wants_reference
from simtrain.catalog.progress import Progress
from simtrain.catalog.store.reader import ImageReader
from simtrain.catalog.table import Catalog
from simtrain.commands.judging import embed_rows, judge_encoder
from simtrain.config import RunConfig
from simtrain.encoders.base import Encoder
from simtrain.errors import CheckpointError, first_line
from simtrain.evaluation.protocol import Evaluation, RetrievalTask

REFERENCE_FILE = "untouched_embeddings.safetensors"
_TENSOR = "embeddings"


def zero_shot_figures(
    config: RunConfig,
    images: ImageReader,
    encoder: Encoder,
    task: RetrievalTask | None,
    record: dict[str, Any],
    *,
    say: Callable[[str], None],
    progress: Progress,
) -> dict[str, float]:
    """The validation figures of the untouched encoder, which go on record; a resumed run has them there."""
    if task is None:
        say("no product or label in the catalogue: nothing to validate on; the last epoch will count as the best")
        return {}
    if "zero_shot" not in record:
        found = judge_encoder(encoder, images, task, config=config, progress=progress)
        say(_zero_shot_line(found, config))
        record["zero_shot"] = {"split": "val", **found.to_dict()}
    return {name: float(found["mean"]) for name, found in record["zero_shot"]["metrics"].items()}


def reference_embeddings(
    config: RunConfig,
    catalog: Catalog,
    images: ImageReader,
    encoder: Encoder,
    folder: Path,
    *,
    begins: bool,
    progress: Progress,
) -> torch.Tensor | None:
    """(catalogue rows, D) unit vectors of the training images under the untouched encoder, zeros elsewhere."""
    if not wants_reference(config):
        return None
    if not begins:
        try:
            return load_file(folder / REFERENCE_FILE)[_TENSOR]
        except (OSError, SafetensorError, KeyError) as error:
            raise CheckpointError(f"{folder / REFERENCE_FILE}: cannot be read: {first_line(error)}") from None
    rows = catalog.rows_of(["train"])
    vectors = torch.zeros(len(catalog.rows), encoder.embedding_size, dtype=torch.float16)
    vectors[torch.from_numpy(rows)] = embed_rows(
        encoder, images, rows.tolist(), config=config, progress=progress
    ).half()
    return vectors


def keep_reference(reference: torch.Tensor, folder: Path) -> None:
    """Put reference embeddings into a run's folder, for when it goes on.

    Raises:
        CheckpointError: if they cannot be written.
    """
    try:
        save_file({_TENSOR: reference}, folder / REFERENCE_FILE)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder / REFERENCE_FILE}: cannot be written: {first_line(error)}") from None


def _zero_shot_line(found: Evaluation, config: RunConfig) -> str:
    figures = "  ".join(f"{name} {found.metrics[name].mean:.3f}" for name in ("map_at_r", "recall_at_1"))
    what = "zero-shot" if config.init_from is None else f"before training ({config.init_from})"
    return f"{what} on val ({found.queries} queries, {found.gallery} images): {figures}"

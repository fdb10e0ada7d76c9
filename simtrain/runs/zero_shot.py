"""Zero-shot evaluation of the initial encoder before training, and its reference embeddings."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from simtrain.builders import needs_reference
from simtrain.catalog.store.reader import ImageReader
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig
from simtrain.console import Console
from simtrain.encoders.base import Encoder
from simtrain.errors import CheckpointError, first_line
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.statistics import Interval
from simtrain.evaluation.text_figures import means_by_name
from simtrain.evaluation.text_task import TextTask
from simtrain.runs.evaluation import embed_rows, judge_embeddings, judge_texts, score_texts
from simtrain.training.ranks import on_rank_zero

REFERENCE_FILE = "untouched_embeddings.safetensors"
_TENSOR = "embeddings"


def zero_shot_figures(
    config: RunConfig,
    images: ImageReader,
    encoder: Encoder,
    task: RetrievalTask | None,
    record: dict[str, Any],
    *,
    texts: TextTask | None,
    console: Console,
) -> dict[str, float]:
    """Validation metrics of the initial encoder, which are added to the record; a resumed run has them there.

    Args:
        config: The run's configuration.
        images: Reader of the catalogue's images.
        encoder: The initial encoder.
        task: Retrieval task of validation; None: no validation.
        record: The run's record.
        texts: Text retrieval task of its images; None: there are no texts, or the encoder embeds none.
        console: Shows each line, and the progress of long work.
    """
    if task is None:
        console.line(
            "no product or label in the catalogue: nothing to validate on; the last epoch will count as the best"
        )
        return {}
    if "zero_shot" not in record:
        embeddings = embed_rows(encoder, images, task.rows.tolist(), config=config, console=console)
        found = judge_embeddings(embeddings, task, config=config)
        words = on_rank_zero(lambda: _of_texts(texts, embeddings, encoder, config=config))
        record["zero_shot"] = {"split": "val", **found.to_dict(), "text": words}
        console.line(_zero_shot_line(record["zero_shot"], config))
    return _means(record["zero_shot"])


def reference_embeddings(
    config: RunConfig,
    catalog: Catalog,
    images: ImageReader,
    encoder: Encoder,
    folder: Path,
    *,
    begins: bool,
    console: Console,
) -> torch.Tensor | None:
    """(catalogue rows, D) unit embeddings of the training images by the initial encoder, zeros elsewhere."""
    if not needs_reference(config):
        return None
    if not begins:
        try:
            return load_file(folder / REFERENCE_FILE)[_TENSOR]
        except (OSError, SafetensorError, KeyError) as error:
            raise CheckpointError(f"{folder / REFERENCE_FILE}: cannot be read: {first_line(error)}") from None
    rows = catalog.rows_of(["train"])
    vectors = torch.zeros(len(catalog.rows), encoder.embedding_size, dtype=torch.float16)
    vectors[torch.from_numpy(rows)] = embed_rows(encoder, images, rows.tolist(), config=config, console=console).half()
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


def _of_texts(
    texts: TextTask | None, embeddings: torch.Tensor, encoder: Encoder, *, config: RunConfig
) -> dict[str, Any] | None:
    found = judge_texts(texts, score_texts(texts, embeddings, encoder), encoder, config=config)
    return None if found is None else found.to_dict()


def _means(zero_shot: dict[str, Any]) -> dict[str, float]:
    """Name as in `evaluation.monitor` -> mean of the recorded metric; older records have no text metrics."""
    images = {name: Interval.from_dict(found).mean for name, found in zero_shot["metrics"].items()}
    words = zero_shot.get("text")
    return images if words is None else images | means_by_name(words)


def _zero_shot_line(zero_shot: dict[str, Any], config: RunConfig) -> str:
    means, shown = _means(zero_shot), ("map_at_r", "recall_at_1", "text_to_image_recall_at_5")
    figures = "  ".join(f"{name} {means[name]:.3f}" for name in shown if name in means)
    what = "zero-shot" if config.init_from is None else f"before training ({config.init_from})"
    return f"{what} on val ({zero_shot['queries']} queries, {zero_shot['gallery']} images): {figures}"

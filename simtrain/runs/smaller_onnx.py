"""Images of a run's catalogue that smaller copies of `encoder.onnx` are adjusted to and measured on."""

# Shapes: N images, S = image_size, D dimensions of the embedding.

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.catalog.store.reader import ImageReader
from simtrain.catalog.table import Catalog
from simtrain.encoders.base import Encoder
from simtrain.evaluation.chosen_rows import chosen_rows
from simtrain.evaluation.metrics import score_queries
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.serving.onnx_precision import PrecisionSample

CALIBRATION_IMAGES = 128
MEASURED_IMAGES = 512
_GALLERY = 20_000
_NEIGHBOURS = 10
_METRICS = ("recall_at_1", "recall_at_10", "map_at_r")


@dataclass(frozen=True, kw_only=True)
class EmbeddedCatalog:
    """A catalogue with the embeddings of all its rows.

    Attributes:
        catalog: The catalogue.
        images: Its images.
        embeddings: (rows of the catalogue, D) of unit length.
        task: Its validation; None: it has none.
    """

    catalog: Catalog
    images: ImageReader
    embeddings: Tensor
    task: RetrievalTask | None


def precision_sample(encoder: Encoder, embedded: EmbeddedCatalog) -> PrecisionSample:
    """Training images for the ranges of 8-bit integers, and queries by which the loss of recall is measured.

    The queries are of the validation split, at most 512, and search its images; without one they are images of the
    index, and what counts is how many of their 10 nearest images are found. The images that are searched have the
    encoder's own embeddings, as an index has.

    Args:
        encoder: The encoder.
        embedded: Its catalogue.
    """
    rows = embedded.catalog.rows
    training = np.flatnonzero((rows["split"] == "train").to_numpy())
    in_gallery = np.flatnonzero(rows["gallery"].to_numpy(dtype=bool))
    task = embedded.task
    if task is None:
        measured = _spread(in_gallery, MEASURED_IMAGES)
    else:
        positions = _spread(task.queries[task.answers() > 0], MEASURED_IMAGES)
        task = replace(task, queries=positions)
        measured = task.rows[positions]

    def pixels(chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
        read = (embedded.images.read(int(row), at_least=None) for row in chosen)
        return np.stack([encoder.preprocessing.pixels(image) for image in read])

    def figures(found: NDArray[np.float32]) -> dict[str, Any]:
        if task is not None:
            return _recall(task, embedded.embeddings, found)
        return _neighbours_kept(embedded.embeddings, _spread(in_gallery, _GALLERY), rows=measured, found=found)

    return PrecisionSample(
        calibration=pixels(_spread(training if len(training) else in_gallery, CALIBRATION_IMAGES)),
        pixels=pixels(measured),
        expected=embedded.embeddings[torch.from_numpy(measured)].numpy(),
        figures=figures,
    )


def _spread(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most so many of them, evenly spread."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64))]


def _recall(task: RetrievalTask, embeddings: Tensor, found: NDArray[np.float32]) -> dict[str, Any]:
    """Metrics of the queries by the copy and by the encoder itself, both among the encoder's own embeddings."""
    exact = task.retrieval_set(chosen_rows(embeddings, task.rows))
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    by_copy = replace(exact, query_embeddings=torch.from_numpy(found / lengths))
    before, after = score_queries(exact).means(), score_queries(by_copy).means()
    own = {name: after[name] for name in _METRICS}
    return {"measured_on": "val", **own, **{f"{name}_of_float32": before[name] for name in _METRICS}}


def _neighbours_kept(
    embeddings: Tensor, gallery: NDArray[np.int64], *, rows: NDArray[np.int64], found: NDArray[np.float32]
) -> dict[str, Any]:
    """Share of each image's nearest other images that it finds by the copy too."""
    searched = chosen_rows(embeddings, gallery).numpy()
    own = rows[:, None] == gallery[None, :]
    count = min(_NEIGHBOURS, len(gallery) - 1)
    near = [
        np.argsort(np.where(own, -np.inf, queries @ searched.T) * -1, axis=1, kind="stable")[:, :count]
        for queries in (embeddings[torch.from_numpy(rows)].numpy(), found)
    ]
    kept = [len(set(one) & set(other)) for one, other in zip(*near, strict=True)]
    return {"measured_on": "items", "neighbours_kept": float(np.mean(kept)) / max(count, 1)}

"""Preflight report of `simtrain fit`: source of the images, and warnings before training."""

from typing import Any

from simtrain.catalog.store.reader import OpenedImages
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig
from simtrain.console import Console
from simtrain.data.texts import CatalogTexts
from simtrain.encoders.base import Encoder
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.preflight import conflict_warnings
from simtrain.runs.text_embeddings import truncation_line


def tell_before_training(
    config: RunConfig,
    catalog: Catalog,
    images: OpenedImages,
    encoder: Encoder,
    task: RetrievalTask | None,
    texts: CatalogTexts | None,
    record: dict[str, Any],
    *,
    console: Console,
) -> None:
    """Print where the images are read from, and warnings about settings that do not suit the catalogue."""
    console.line(images.told)
    before = record.get("images", images.told)
    if before != images.told:
        console.line(f"warning: image source changed since the start ({before}); results will differ")
    record["images"] = images.told
    cut = truncation_line(encoder, texts)
    if cut is not None:
        console.line(cut)
    if "conflicts" not in record:
        found = conflict_warnings(
            config,
            catalog,
            images=lambda row: images.reader.read(row, at_least=None),
            preprocessing=encoder.training_preprocessing,
            validation=task,
            texts=texts,
        )
        for conflict in found:
            console.line(f"warning: {conflict.message}")
        record["conflicts"] = [vars(conflict) for conflict in found]

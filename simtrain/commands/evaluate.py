"""`simtrain evaluate`: how well a run, or an untouched encoder, finds what it should."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from simtrain.build import build_encoder, kept_config
from simtrain.catalog.progress import Progress
from simtrain.catalog.store.reader import open_images
from simtrain.commands.judging import judge_encoder
from simtrain.commands.runs import Run, configured_catalog, data_fingerprint, read_run_catalog
from simtrain.config import RunConfig
from simtrain.encoders.base import Encoder
from simtrain.evaluation.protocol import Evaluation, retrieval_task
from simtrain.training.checkpoints import take_encoder_weights


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """The figures and what they belong to.

    Attributes:
        name: The run's, or `zero-shot`.
        split: The evaluated one.
        relevance: Columns that tell what is relevant.
        encoder: Configuration of the encoder.
        data: Fingerprint of the catalogue.
        images: Where its pictures were read from.
        evaluation: The figures.
    """

    name: str
    split: str
    relevance: list[str]
    encoder: dict[str, Any]
    data: dict[str, Any]
    images: str
    evaluation: Evaluation

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "split": self.split,
            "relevance": self.relevance,
            "encoder": self.encoder,
            "data": self.data,
            "images": self.images,
            **self.evaluation.to_dict(),
        }


def evaluate(config: RunConfig, *, run: Run | None, split: str, progress: Progress) -> EvaluationReport:
    """Judge an encoder on a split of the configured catalogue.

    Args:
        config: Catalogue, encoder, relevance.
        run: The run whose best weights are judged; None: the encoder as it comes (zero-shot).
        split: `train`, `val` or `test`.
        progress: Shows how many batches are embedded.

    Raises:
        SimtrainError: for anything that the user can mend.
    """
    catalog = configured_catalog(config) if run is None else read_run_catalog(run)
    task = retrieval_task(
        catalog, split=split, gallery_splits=config.evaluation.gallery_splits, relevance=config.relevance_columns
    )
    torch.manual_seed(config.seed)  # layers without pretrained weights start as they do in fit
    encoder = build_encoder(config.encoder, load=True) if run is None else tuned_encoder(config, run.folder)
    images = open_images(catalog, smallest=encoder.preprocessing.image_size)
    return EvaluationReport(
        name="zero-shot" if run is None else run.folder.name,
        split=split,
        relevance=config.relevance_columns,
        encoder=config.encoder.model_dump(mode="json"),
        data=data_fingerprint(catalog),
        images=images.told,
        evaluation=judge_encoder(encoder, images.reader, task, config=config, progress=progress),
    )


def tuned_encoder(config: RunConfig, run_folder: Path) -> Encoder:
    """The encoder of a run with the weights of its best epoch: averaged where the run averages, low-rank factors added.

    Raises:
        CheckpointError: if the checkpoint is missing, broken, or of another encoder.
    """
    encoder = build_encoder(kept_config(config.encoder, run_folder), load=False)
    take_encoder_weights(encoder, run_folder)
    return encoder.merged().eval()

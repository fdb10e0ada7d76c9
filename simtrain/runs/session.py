"""Session of a training run in one process: everything that is settled before anything is embedded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from simtrain.builders.training_inputs import TrainingInputs
from simtrain.catalog.store.reader import OpenedImages
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig
from simtrain.console import Console
from simtrain.encoders.base import Encoder
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.locks import FileLock
from simtrain.training.ranks import Ranks


@dataclass(frozen=True, kw_only=True)
class RunSession:
    """A training run in one process, checked and ready to embed images.

    Attributes:
        config: Configuration of the run, with normalisation and embedding size filled in.
        ranks: Number of this process, and how many there are.
        folder: Folder of the run; a new run has none on disk before its training begins.
        lock: Of the folder; process 0 holds it while it trains, and from the beginning where the run is resumed.
        record: Content of `run.json`; the steps before training add what they find.
        resumed: Whether the run was begun before.
        begins: Whether the run has no checkpoint yet, so that its encoder holds the initial weights.
        catalog: Catalogue of the run.
        images: Reader of the catalogue's images, and a description of where it reads them from.
        encoder: Encoder to fine-tune.
        precision: Arithmetic that it is trained in, in Lightning's words.
        validation: Retrieval task of validation; None: the catalogue has nothing to score by.
        inputs: Inputs of the objective. What has to be embedded first is a placeholder here.
        data: Training views and validation images.
        console: Shows lines and progress; silent on other processes than the first.
    """

    config: RunConfig
    ranks: Ranks
    folder: Path
    lock: FileLock
    record: dict[str, Any]
    resumed: bool
    begins: bool
    catalog: Catalog
    images: OpenedImages
    encoder: Encoder
    precision: str
    validation: RetrievalTask | None
    inputs: TrainingInputs
    data: pl.LightningDataModule
    console: Console

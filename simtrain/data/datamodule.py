"""Lightning DataModule of a run: its loaders, and their position in the epoch for resuming."""

from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader
from typing_extensions import override

from simtrain.data.batch import Batch
from simtrain.data.datasets import CatalogImages, TrainingViews, image_loader, training_loader
from simtrain.data.joined_batches import JoinedBatches
from simtrain.data.samplers import EpochBatches, Share


@dataclass(frozen=True, kw_only=True)
class LoaderSettings:
    """How images are loaded; no setting changes which images are in a batch.

    Attributes:
        evaluation_batch_size: Number of validation images embedded at once, 1 or more.
        workers: Number of loading processes; 0 loads in this process.
        pin_memory: Whether batches are put in page-locked memory, for a GPU.
        share: Share of the validation batches that this process embeds.
    """

    evaluation_batch_size: int
    workers: int
    pin_memory: bool
    share: Share


class CatalogData(pl.LightningDataModule):
    """Training views and validation images.

    Args:
        training: Dataset of training views.
        batches: Batches of each epoch.
        validation: Images of the validation task in the order of its rows; None where there is none.
        loading: Batch size of validation, loading processes and this process's share.
    """

    def __init__(
        self,
        *,
        training: TrainingViews,
        batches: EpochBatches,
        validation: CatalogImages | None,
        loading: LoaderSettings,
    ) -> None:
        super().__init__()
        self._training = training
        self._batches = batches
        self._validation = validation
        self._loading = loading

    @override
    def train_dataloader(self) -> DataLoader[Any] | JoinedBatches:
        return training_loader(
            self._training,
            batches=self._batches,
            workers=self._loading.workers,
            pin_memory=self._loading.pin_memory,
        )

    @override
    def val_dataloader(self) -> Any:
        if self._validation is None:
            return []
        return image_loader(
            self._validation,
            batch_size=self._loading.evaluation_batch_size,
            workers=self._loading.workers,
            pin_memory=self._loading.pin_memory,
            share=self._loading.share,
        )

    @override
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch.made() if isinstance(batch, Batch) else batch

    @override
    def state_dict(self) -> dict[str, Any]:
        return position_in_epoch(self.trainer)

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict:
            self._batches.start_at(epoch=state_dict["epoch"], batch=state_dict["batch"])


def position_in_epoch(trainer: pl.Trainer | None) -> dict[str, Any]:
    """Epoch and batch, from 0, that a run goes on with; empty without a trainer.

    What the trainer has used counts: the workers have fetched further.
    """
    if trainer is None:
        return {}
    epochs: Any = trainer.fit_loop.epoch_progress.current
    batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    within = epochs.processed < epochs.ready  # between two epochs, the batches of the last one are still counted
    return {
        "epoch": epochs.processed,
        "batch": batches.processed if within else 0,
    }

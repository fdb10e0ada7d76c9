"""Callback that logs single steps to `steps.csv` and the trackers."""

import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override

from simtrain.training.step_record import StepRecord
from simtrain.training.tracking.embedding_statistics import embedding_statistics, histograms
from simtrain.training.tracking.step_table import STEPS_FILE, StepTable
from simtrain.training.tracking.tracker import Tracker
from simtrain.training.tracking.watched_module import last_step


class StepLog(pl.Callback):
    """Takes the figures of step 1 and of every `every_steps`-th step; on the first process, which asks no other.

    Args:
        folder: The run's folder.
        every_steps: Steps between two logged ones, 1 or more.
        trackers: Trackers that receive the table's figures, and histograms of similarities too.
    """

    def __init__(self, *, folder: Path, every_steps: int, trackers: Sequence[Tracker]) -> None:
        self._table = StepTable(folder / STEPS_FILE)
        self._every_steps = every_steps
        self._trackers = trackers
        self._images = 0
        self._seconds = self._mark = 0.0
        self._of_optimizer: dict[str, float] = {}

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self._table.resume_from(trainer.global_step)
        self._images, self._seconds, self._mark = 0, 0.0, time.perf_counter()

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._mark = time.perf_counter()  # what lies between two epochs is no training

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._mark = time.perf_counter()

    @override
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if trainer.is_global_zero and self._is_due(trainer.global_step + 1):
            self._of_optimizer = {"gradient_norm": gradient_norm(pl_module.parameters()), **learning_rates(optimizer)}

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        record = last_step(pl_module)
        if not trainer.is_global_zero or record is None:
            return
        self._images += len(record.rows)
        self._seconds += time.perf_counter() - self._mark
        if self._is_due(trainer.global_step):
            self._take(trainer, record)
            self._images, self._seconds = 0, 0.0
        self._mark = time.perf_counter()

    def _is_due(self, step: int) -> bool:
        return step == 1 or step % self._every_steps == 0

    def _take(self, trainer: pl.Trainer, record: StepRecord) -> None:
        step = trainer.global_step
        statistics = embedding_statistics(record.embeddings, record.groups)
        figures = {
            **figures_of_step(record),
            **self._of_optimizer,
            "images_per_second": self._images / max(self._seconds, 1e-9),
            **_gpu_memory(record.embeddings.device),
            **statistics.figures(),
        }
        self._table.append({"step": step, "epoch": trainer.current_epoch + 1, **figures})
        for tracker in self._trackers:
            tracker.figures({"epoch": trainer.current_epoch + 1, **figures}, step=step)
            tracker.histograms(histograms(statistics), step=step)


def figures_of_step(record: StepRecord) -> dict[str, float]:
    """The loss, the parts that it has as `loss_NAME`, and its temperature and tuple counts where it has them."""
    found = {"loss": float(record.loss)}
    parts = {f"loss_{name}": float(value) for name, value in record.parts.items()}
    found |= {name: value for name, value in parts.items() if not math.isnan(value)}
    if record.temperature is not None:
        found["temperature"] = float(record.temperature)
    if record.mined is not None:
        found["mined"] = int(record.mined)
    if record.active_share is not None:
        found["active_share"] = float(record.active_share)
    return found


def gradient_norm(parameters: Iterable[torch.nn.Parameter]) -> float:
    """Euclidean norm of all gradients together, as they are now; 0 where there are none."""
    gradients: list[Tensor] = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return float(torch.nn.utils.get_total_norm(gradients)) if gradients else 0.0


def learning_rates(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """`learning_rate_GROUP` -> rate; a group without a name goes by its number from 0."""
    groups = enumerate(optimizer.param_groups)
    return {f"learning_rate_{group.get('name', number)}": float(group["lr"]) for number, group in groups}


def _gpu_memory(device: torch.device) -> dict[str, float]:
    """The most that tensors have taken of the GPU since the run began, in GiB; nothing on a CPU."""
    if device.type != "cuda":
        return {}
    return {"gpu_memory_gib": torch.cuda.max_memory_allocated(device) / 2**30}

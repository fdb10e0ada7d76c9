"""`metrics.csv` and console lines: one per epoch."""

import csv
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from typing_extensions import override

from simtrain.console import Console, Step
from simtrain.errors import CheckpointError
from simtrain.failures import damage_told
from simtrain.files import write_whole
from simtrain.training.file_names import METRICS_FILE
from simtrain.training.tracking.step_table import check_rows

_LEADING = ("epoch", "step", "train_loss", "learning_rate", "images_per_second", "seconds")


class EpochLog(pl.Callback):
    """One row of `metrics.csv` and one line of text per epoch, on rank 0; row 0 is the initial encoder.

    Args:
        folder: The run's folder.
        monitor: Validation metric that the line shows; None: no validation.
        parts: Validation metrics that it is made of, which the line shows too; empty: of none.
        first: Validation metrics before the first step.
        console: Shows each line, and the progress after each batch.
    """

    def __init__(
        self,
        *,
        folder: Path,
        monitor: str | None,
        parts: Sequence[str],
        first: Mapping[str, float],
        console: Console,
    ) -> None:
        self._path = folder / METRICS_FILE
        self._monitor = monitor
        self._made_of = [f"val_{name}" for name in parts]
        self._first = {f"val_{name}": value for name, value in first.items()}
        self._console = console
        self._images = 0
        self._began = self._last_batch_ended = 0.0

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            rows = [row for row in read_metrics(self._path) if int(row["epoch"]) <= trainer.current_epoch]
            if not rows:
                rows = [{"epoch": "0", "step": "0", **_as_text(self._first)}]
            _write_rows(self._path, rows)
        self._images, self._began = 0, time.perf_counter()  # a resume in mid-epoch begins no epoch

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._images, self._began = 0, time.perf_counter()

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._images += batch.views.shape[0] * batch.views.shape[1] * trainer.world_size
        self._last_batch_ended = time.perf_counter()
        if not trainer.is_global_zero:
            return
        self._console.step(
            Step(
                epoch=trainer.current_epoch + 1,
                epochs=trainer.max_epochs,
                batch=batch_idx + 1,
                batches=int(trainer.num_training_batches),
                images_per_second=self._rate(),
            )
        )

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}  # may ask other processes
        if not trainer.is_global_zero:
            return
        row = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "train_loss": figures["train_loss"],
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "images_per_second": self._rate(),
            "seconds": time.perf_counter() - self._began,
            **{name: value for name, value in figures.items() if name.startswith("val_")},
        }
        _write_rows(self._path, [*read_metrics(self._path), _as_text(row)])
        self._console.line(self._line(row, epochs=trainer.max_epochs))

    def _rate(self) -> float:
        """Training images per second of this epoch, validation left out."""
        return self._images / max(self._last_batch_ended - self._began, 1e-9)

    def _line(self, row: Mapping[str, Any], *, epochs: int | None) -> str:
        figure = ""
        if self._monitor is not None:
            first = self._first.get(self._monitor)
            was = f" (zero-shot {first:.3f})" if first is not None else ""
            figure = f"  {self._monitor} {row[self._monitor]:.3f}{was}{self._parts(row)}"
        return (
            f"epoch {row['epoch']}/{epochs}  loss {row['train_loss']:.4f}{figure}  "
            f"{row['images_per_second']:.0f} images/s"
        )

    def _parts(self, row: Mapping[str, Any]) -> str:
        """What the monitored metric is made of, so that no part falls unseen."""
        parts = ", ".join(f"{name.removeprefix('val_')} {row[name]:.3f}" for name in self._made_of)
        return f" from {parts}" if parts else ""


def read_metrics(path: Path) -> list[dict[str, str]]:
    """The rows of a `metrics.csv`; none where there is no file.

    Raises:
        CheckpointError: if it is damaged.
    """
    if not path.exists():
        return []
    with damage_told(path, error=CheckpointError, advice="; move it away to go on without the figures so far"):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, strict=True))
        check_rows(rows, number="epoch")
    return rows


def _as_text(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in row.items()}


def _write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    names = [*_LEADING, *dict.fromkeys(name for row in rows for name in row if name not in _LEADING)]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())

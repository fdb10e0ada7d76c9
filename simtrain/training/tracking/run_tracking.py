"""Callback that sends a run's epochs, worst queries and end to the trackers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from typing_extensions import override

from simtrain.training.epoch_choice import EpochChoice
from simtrain.training.tracking.tracker import Tracker
from simtrain.training.tracking.watched_module import last_worst_queries
from simtrain.training.tracking.worst_queries import Picture, WorstQuery, show_queries


@dataclass(frozen=True, kw_only=True)
class CatalogueImages:
    """Pixels and ids of catalogue rows, for showing queries.

    Attributes:
        picture: Catalogue row -> (H, W, 3) uint8 RGB.
        ids: Catalogue row -> image id.
    """

    picture: Callable[[int], Picture]
    ids: Callable[[int], str]


class RunTracking(pl.Callback):
    """Begins the trackers, sends them every epoch's metrics beside the zero-shot ones, and ends them.

    It goes after the callbacks that validate and save: the end of a tracker may take its time.

    Args:
        trackers: Trackers to send to, on rank 0.
        choice: Chooses the epoch, whose worst queries are shown; None: no validation.
        first: Validation metrics before the first step, their names without `val_`.
        images: Pixels and ids of catalogue rows, for the worst queries.
    """

    def __init__(
        self,
        *,
        trackers: Sequence[Tracker],
        choice: EpochChoice | None,
        first: Mapping[str, float],
        images: CatalogueImages,
    ) -> None:
        self._trackers = trackers
        self._choice = choice
        self._first = dict(first)
        self._images = images
        self._shown = False
        self._worst: list[WorstQuery] = []

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"shown": self._shown}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._shown = state_dict["shown"]

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        for tracker in self._trackers:
            tracker.begin(step=trainer.global_step)
            if trainer.global_step == 0 and self._first:
                tracker.figures({"epoch": 0, **self._zero_shot(), **_prefixed("val", self._first)}, step=0)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}  # may ask other processes
        if not trainer.is_global_zero:
            return
        logged = {name: value for name, value in figures.items() if name == "train_loss" or name.startswith("val_")}
        for tracker in self._trackers:
            tracker.figures(
                {"epoch": trainer.current_epoch + 1, **logged, **self._zero_shot()}, step=trainer.global_step
            )
        self._worst = last_worst_queries(pl_module)
        if self._choice is not None and self._choice.chosen.epoch == trainer.current_epoch + 1:
            self._show(trainer.global_step)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and not self._shown:
            self._show(trainer.global_step)

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._end(trainer, None)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._end(trainer, exception)

    def _zero_shot(self) -> dict[str, float]:
        return _prefixed("zero_shot", self._first)

    def _show(self, step: int) -> None:
        if self._trackers and self._worst:
            shown = show_queries(self._worst, picture=self._images.picture, ids=self._images.ids)
            for tracker in self._trackers:
                tracker.queries(shown, step=step)
            self._shown = True

    def _end(self, trainer: pl.Trainer, failure: BaseException | None) -> None:
        if trainer.is_global_zero:
            for tracker in self._trackers:
                tracker.end(failure)


def _prefixed(prefix: str, figures: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}_{name}": value for name, value in figures.items()}

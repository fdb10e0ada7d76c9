"""Validation figure of each epoch, handed to whoever watches a run and may end it."""

from collections.abc import Callable

import pytorch_lightning as pl
from typing_extensions import override

Watch = Callable[[int, float], bool]
"""Told the number of an epoch, from 1, and its validation figure; True ends the run after it."""


class EpochWatch(pl.Callback):
    """Hands the monitored figure of each epoch on, once the epoch is saved, and ends the run where it is asked to.

    For runs of one process: of several, each would have to be asked alike.

    Args:
        monitor: Name of the validation metric.
        watch: Told each epoch's figure.
    """

    def __init__(self, *, monitor: str, watch: Watch) -> None:
        self._monitor = monitor
        self._watch = watch

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._watch(trainer.current_epoch + 1, float(trainer.callback_metrics[self._monitor])):
            trainer.should_stop = True

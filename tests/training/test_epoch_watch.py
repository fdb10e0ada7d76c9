"""Validation figures of epochs, handed on; a run that is ended."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytorch_lightning as pl
import torch

from simtrain.training.epoch_watch import EpochWatch


@pytest.mark.parametrize(("answer", "stops"), [(False, False), (True, True)])
def test_the_figure_of_an_epoch_is_handed_on_and_the_answer_heeded(answer: bool, stops: bool) -> None:
    told: list[tuple[int, float]] = []

    def watch(epoch: int, value: float) -> bool:
        told.append((epoch, value))
        return answer

    trainer: Any = SimpleNamespace(
        current_epoch=2, callback_metrics={"val_map_at_r": torch.tensor(0.5)}, should_stop=False
    )
    EpochWatch(monitor="val_map_at_r", watch=watch).on_train_epoch_end(trainer, cast(pl.LightningModule, None))
    assert told == [(3, 0.5)]
    assert trainer.should_stop is stops

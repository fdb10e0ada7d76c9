"""Guard against NaN and infinity in losses, embeddings and gradients."""

# Shapes: N embeddings of the whole batch, D features.

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override

from simtrain.errors import SimtrainError
from simtrain.training.setting_names import SettingNames
from simtrain.training.tracking.step_log import gradient_norm
from simtrain.training.tracking.watched_module import last_step

_IDS_SHOWN = 8


class NonFiniteError(SimtrainError):
    """NaN or infinity in a loss, an embedding or a gradient; the weights are those of the step before."""


class NonFiniteGuard(pl.Callback):
    """Raises `NonFiniteError` for a gradient that is not finite, before the step spoils the weights.

    Arithmetic in float16 is exempt: there, the scaler meets such gradients and skips their steps.

    Args:
        item_id: Catalogue row -> image id.
        names: Names of the settings that the message proposes to change, as the user writes them.
    """

    def __init__(self, *, item_id: Callable[[int], str], names: SettingNames) -> None:
        self._item_id = item_id
        self._names = names

    @override
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if getattr(trainer.precision_plugin, "scaler", None) is not None:
            return
        if math.isfinite(gradient_norm(pl_module.parameters())):  # averaged: alike on every process
            return
        spoilt = [
            name
            for name, parameter in pl_module.named_parameters()
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all()
        ]
        record = last_step(pl_module)
        ids = _ids(record.rows.tolist() if record is not None else [], self._item_id)
        raise NonFiniteError(
            f"training diverged: the gradient of {spoilt[0] if spoilt else 'all weights together'} is not finite in "
            f"step {trainer.global_step + 1} of epoch {trainer.current_epoch + 1} (batch: {ids})\n"
            f"set a smaller {self._names.learning_rate}, or {self._names.precision}: 32-true"
        )


@dataclass(frozen=True, kw_only=True)
class FailedStep:
    """A training step whose loss is not finite.

    Attributes:
        loss: Loss of the step.
        embeddings: (N, D) embeddings that the loss received.
        rows: Catalogue row of each of the N embeddings.
        step: Number of the step, from 1.
        epoch: Number of the epoch, from 1.
    """

    loss: float
    embeddings: Tensor
    rows: Sequence[int]
    step: int
    epoch: int


def non_finite_message(failed: FailedStep, *, item_id: Callable[[int], str], names: SettingNames) -> str:
    """Message about a loss that is not finite: where, which images, and what to do.

    Args:
        failed: Step, loss and embeddings.
        item_id: Catalogue row -> image id.
        names: Names of the settings that the message proposes to change, as the user writes them.
    """
    rows = failed.rows
    slower = f"set a smaller {names.learning_rate}"
    where = f"training diverged: the loss is {failed.loss} in step {failed.step} of epoch {failed.epoch}"
    spoilt = (~torch.isfinite(failed.embeddings).all(dim=1)).tolist()
    if not any(spoilt):
        advice = f"{slower}, or a larger {names.temperature} where there is one"
        return f"{where}, though every embedding is finite (batch: {_ids(rows, item_id)})\n{advice}"
    if all(spoilt):
        advice = f"the weights themselves are spoilt: {slower}, or {names.precision}: 32-true"
        return f"{where}, and no embedding is finite (batch: {_ids(rows, item_id)})\n{advice}"
    guilty = _ids([row for row, bad in zip(rows, spoilt, strict=True) if bad], item_id)
    advice = f"look at these images; if nothing is wrong with them, {slower}"
    return f"{where}, because embeddings are not finite: {guilty}\n{advice}"


def _ids(rows: Iterable[int], item_id: Callable[[int], str]) -> str:
    """The first ids, each once, and how many more there are."""
    names = [item_id(row) for row in dict.fromkeys(rows)]
    more = f" and {len(names) - _IDS_SHOWN} more" if len(names) > _IDS_SHOWN else ""
    return ", ".join(names[:_IDS_SHOWN]) + more

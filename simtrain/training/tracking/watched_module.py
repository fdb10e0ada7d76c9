"""Protocol of the LightningModule that callbacks read: last step and worst queries."""

from collections.abc import Sequence
from typing import Protocol, cast

import pytorch_lightning as pl

from simtrain.training.step_record import StepRecord
from simtrain.training.tracking.worst_queries import WorstQuery


class WatchedModule(Protocol):
    """Attributes of a LightningModule that guards and trackers read.

    Attributes:
        last_step: Record of the last training step, the same on every process; None before the first.
        validation_outcome: The worst queries of the last validation, on the first process only.
    """

    last_step: StepRecord | None
    validation_outcome: Sequence[WorstQuery] | None


def last_step(module: pl.LightningModule) -> StepRecord | None:
    """Record of the last training step."""
    return cast(WatchedModule, module).last_step


def last_worst_queries(module: pl.LightningModule) -> list[WorstQuery]:
    """Worst queries of the last validation, the worst first; empty on other ranks than 0."""
    return list(cast(WatchedModule, module).validation_outcome or ())

"""What those who watch a run may ask of its LightningModule, which this layer does not know."""

from collections.abc import Sequence
from typing import Protocol, cast

import pytorch_lightning as pl

from simtrain.training.step_record import StepRecord
from simtrain.training.tracking.worst_queries import WorstQuery


class WatchedModule(Protocol):
    """The module's part.

    Attributes:
        last_step: Of the last training step, the same on every process; None before the first.
        validation_outcome: The worst queries of the last validation, on the first process only.
    """

    last_step: StepRecord | None
    validation_outcome: Sequence[WorstQuery] | None


def last_step(module: pl.LightningModule) -> StepRecord | None:
    """What the last training step has seen."""
    return cast(WatchedModule, module).last_step


def worst_queries(module: pl.LightningModule) -> list[WorstQuery]:
    """The last validation's, the worst first; none on other processes than the first."""
    return list(cast(WatchedModule, module).validation_outcome or ())

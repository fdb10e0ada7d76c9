"""Protocol of the LightningModule that callbacks read: last step, monitored figure and worst queries."""

from collections.abc import Sequence
from typing import Protocol, cast

import pytorch_lightning as pl

from simtrain.training.product_sums import ProductSums
from simtrain.training.step_record import StepRecord
from simtrain.training.tracking.worst_queries import WorstQuery


class WatchedModule(Protocol):
    """Attributes of a LightningModule that guards and trackers read.

    Attributes:
        last_step: Record of the last training step, the same on every process; None before the first.
        monitored: The figure of the last validation that chooses the epoch, by product; None: there was none.
        worst_queries: The worst queries of the last validation, on the first process only.
    """

    last_step: StepRecord | None
    monitored: ProductSums | None
    worst_queries: Sequence[WorstQuery] | None


def last_step(module: pl.LightningModule) -> StepRecord | None:
    """Record of the last training step."""
    return cast(WatchedModule, module).last_step


def last_worst_queries(module: pl.LightningModule) -> list[WorstQuery]:
    """Worst queries of the last validation, the worst first; empty on other ranks than 0."""
    return list(cast(WatchedModule, module).worst_queries or ())


def last_monitored(module: pl.LightningModule) -> ProductSums | None:
    """The figure of the last validation that chooses the epoch, by product."""
    return cast(WatchedModule, module).monitored

"""Record of a training step for guards and trackers: embeddings, groups, loss."""

# Shapes: N = V·B embeddings of the whole batch, all processes' together; D features.

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """One step, the same on every process.

    Attributes:
        embeddings: (N, D) float32 of unit length, without gradient: those that the loss received, view by view.
        groups: (N,) int64, equal where two embeddings are positives of each other.
        rows: (N,) int64 catalogue rows.
        loss: Scalar loss, without gradient.
        parts: Name of a part of the loss -> scalar, without gradient; NaN where the batch has none.
        temperature: Temperature that divides the similarities, a scalar or a number; None where the loss has none.
        active_share: Share of the mined tuples with a loss above 0, 0 to 1; None for a loss without tuples.
        mined: Number of tuples that were mined, a scalar or a number; None for a loss without tuples.
    """

    embeddings: Tensor
    groups: Tensor
    rows: Tensor
    loss: Tensor
    parts: Mapping[str, Tensor]
    temperature: Tensor | float | None
    active_share: Tensor | None
    mined: Tensor | int | None

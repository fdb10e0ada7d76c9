"""What a training step has seen, for those who watch the run."""

# Shapes: N = V·B embeddings of the whole batch, all processes' together; D features.

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """One step, the same on every process.

    Attributes:
        embeddings: (N, D) float32 of unit length, without gradient: what the loss saw, view by view.
        groups: (N,) int64, equal where two embeddings are positives of each other.
        rows: (N,) int64 catalogue rows.
        loss: Scalar, without gradient.
        parts: Name -> scalar, without gradient.
        temperature: That divides the similarities; None where the loss has none.
        active_share: Of the mined tuples, how many cost anything, 0 to 1; None for a loss without tuples.
        mined: Number of tuples that were mined; None for a loss without tuples.
    """

    embeddings: Tensor
    groups: Tensor
    rows: Tensor
    loss: Tensor
    parts: Mapping[str, Tensor]
    temperature: float | None
    active_share: Tensor | None
    mined: int | None

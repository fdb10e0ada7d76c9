"""Value of a loss: the scalar to minimise, its parts, and counts of tuples."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LossValue:
    """A loss of one global batch.

    Attributes:
        total: Scalar with a gradient: the number to minimise.
        parts: Name of a part of `total` -> scalar without gradient, before it is multiplied by its weight.
        active_share: Scalar from 0 to 1 without gradient: share of the mined tuples with a loss above 0; None for a
            loss without tuples.
        mined: Number of tuples that were mined, a scalar or a number; None for a loss without tuples.
    """

    total: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    active_share: Tensor | None = None
    mined: Tensor | int | None = None

    def plus(self, name: str, loss: Tensor, *, weight: float) -> "LossValue":
        """This value plus `weight` times another loss, which becomes the part `name`."""
        return replace(self, total=self.total + weight * loss, parts={**self.parts, name: loss.detach()})

"""What a loss gives back: the number to minimise, and what it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LossValue:
    """A loss of one global batch.

    Attributes:
        total: Scalar with a gradient.
        parts: Name -> scalar without gradient, before its weight; what `total` is made of.
        active_share: Scalar from 0 to 1 without gradient: of the tuples that were mined, how many cost anything; None
            for a loss without tuples.
        mined: Number of tuples that were mined; None for a loss without tuples.
    """

    total: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    active_share: Tensor | None = None
    mined: int | None = None

    def plus(self, name: str, loss: Tensor, *, weight: float) -> "LossValue":
        """The same with another loss added, times its weight."""
        return replace(self, total=self.total + weight * loss, parts={**self.parts, name: loss.detach()})

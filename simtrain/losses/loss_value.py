"""Value of a loss: the scalar to minimise, its parts, and counts of tuples."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LossValue:
    """A loss of one global batch.

    Attributes:
        total: Scalar with a gradient: the number to minimise.
        parts: Name of a part of `total` -> scalar without gradient, before it is multiplied by its weight; NaN where
            the batch has nothing for it.
        active_share: Scalar from 0 to 1 without gradient: share of the mined tuples with a loss above 0; None for a
            loss without tuples.
        mined: Number of tuples that were mined, a scalar or a number; None for a loss without tuples.
    """

    total: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    active_share: Tensor | None = None
    mined: Tensor | int | None = None

    def plus(self, name: str, loss: Tensor, *, weight: float, among: Tensor | None = None) -> "LossValue":
        """This value plus `weight` times another loss, which becomes the part `name`.

        Args:
            name: Name of the part.
            loss: Scalar.
            weight: Factor of the loss.
            among: Scalar, number of what the loss is the mean over: 0, for which the loss has to be 0, makes the part
                NaN. None: it is there in every batch.
        """
        part = loss.detach() if among is None else torch.where(among > 0, loss.detach(), torch.nan)
        return replace(self, total=self.total + weight * loss, parts={**self.parts, name: part})

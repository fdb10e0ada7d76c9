"""How a convolutional network's last feature map becomes one vector: its own pooling, the mean, or GeM."""

# Shapes: N images, C channels, H × W places of the feature map.

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

Pooling = Literal["default", "avg", "gem"]
GEM_POWER = 3.0
"""Where training of the power begins in the paper, and what is near to where it ends."""
_SMALLEST = 1e-6  # a root of zero has no gradient


class GeneralisedMeanPooling(nn.Module):
    """The generalised mean of each channel over all places, GeM (https://arxiv.org/abs/1711.02512, eq. 3).

    Between the mean (power 1) and the maximum (infinite power); what is below 1e-6 counts as 1e-6.

    Args:
        power: p > 0; a constant, so that no checkpoint gets another tensor.
        flatten: Whether (N, C) is returned instead of (N, C, 1, 1).

    Raises:
        ValueError: for a power that is not above 0.
    """

    def __init__(self, *, power: float, flatten: bool) -> None:
        super().__init__()
        if not power > 0:
            raise ValueError(f"power is {power}; allowed: above 0")
        self.power = power
        self.flatten = flatten

    @override
    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C), or (N, C, 1, 1), in the same precision; powers are taken in float32."""
        powers = maps.float().clamp_min(_SMALLEST).pow(self.power)
        means = F.adaptive_avg_pool2d(powers, 1).pow(1 / self.power).to(maps.dtype)
        return means.flatten(1) if self.flatten else means

    @override
    def extra_repr(self) -> str:
        return f"power={self.power:g}, flatten={self.flatten}"

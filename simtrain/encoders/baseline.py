"""Baseline encoders without weights: pixels and colour histograms."""

# Shapes: N images, S = image_size, B bins per channel.

from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.encoders.preprocessing import Preprocessing, Resize

_SRGB_TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
_D65_WHITE = (0.95047, 1.0, 1.08883)
_LAB_LOW, _LAB_HIGH = (0.0, -86.2, -107.9), (100.0, 98.3, 94.5)  # the extent of sRGB in Lab


def _unit_range(*, image_size: int, resize: Resize, mean: float) -> Preprocessing:
    return Preprocessing(
        image_size=image_size,
        resize=resize,
        interpolation="bilinear",
        mean=(mean,) * 3,
        std=(1.0,) * 3,
        flip_averaging=False,
    )


class PixelsEncoder(Encoder):
    """The image's pixels, flattened and centred.

    Each image's own mean is taken out, so that cosine compares patterns and colours and not the amount of white.
    """

    def __init__(self, *, image_size: int, resize: Resize) -> None:
        super().__init__(
            preprocessing=_unit_range(image_size=image_size, resize=resize, mean=0.5),
            feature_size=3 * image_size**2,
            embedding_size=None,
        )

    @override
    def features(self, images: Tensor) -> Tensor:
        flat = images.flatten(1)
        centred = flat - flat.mean(dim=1, keepdim=True)
        # A blank image has no pattern; a constant vector keeps it a unit vector like any other.
        return torch.where(centred.abs().amax(dim=1, keepdim=True) > 1e-6, centred, torch.ones_like(centred))


class HistogramEncoder(Encoder):
    """Square root of the joint colour histogram.

    Cosine is then the Bhattacharyya coefficient of two images' colours (the Hellinger kernel: Arandjelovic and
    Zisserman 2012, "Three things everyone should know to improve object retrieval", section 3).
    """

    def __init__(self, *, space: Literal["lab", "hsv"], bins: int, image_size: int, resize: Resize) -> None:
        super().__init__(
            preprocessing=_unit_range(image_size=image_size, resize=resize, mean=0.0),
            feature_size=bins**3,
            embedding_size=None,
        )
        self.space = space
        self.bins = bins

    @override
    def features(self, images: Tensor) -> Tensor:
        colours = images.flatten(2).transpose(1, 2)  # (N, S², 3)
        unit = _lab_in_unit_cube(colours) if self.space == "lab" else rgb_to_hsv(colours)
        cells = (unit * self.bins).long().clamp(0, self.bins - 1)
        index = (cells[..., 0] * self.bins + cells[..., 1]) * self.bins + cells[..., 2]
        counts = torch.zeros(images.shape[0], self.bins**3, device=images.device)  # len() would fix N in exports
        counts.scatter_add_(1, index, torch.ones_like(index, dtype=counts.dtype))
        return counts.sqrt()


def rgb_to_lab(colours: Tensor) -> Tensor:
    """(..., 3) sRGB in 0..1 -> (..., 3) CIE L*a*b* under D65 (IEC 61966-2-1 and CIE 15)."""
    linear = torch.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    xyz = linear @ torch.tensor(_SRGB_TO_XYZ, device=colours.device).T
    ratio = xyz / torch.tensor(_D65_WHITE, device=colours.device)
    delta = 6 / 29
    curve = torch.where(ratio > delta**3, ratio.clamp_min(1e-12) ** (1 / 3), ratio / (3 * delta**2) + 4 / 29)
    x, y, z = curve.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-1)


def rgb_to_hsv(colours: Tensor) -> Tensor:
    """(..., 3) RGB in 0..1 -> (..., 3) hue, saturation and value, each in 0..1 (Smith 1978)."""
    red, green, blue = colours.unbind(-1)
    value, lowest = colours.amax(-1), colours.amin(-1)
    chroma = value - lowest
    safe = chroma.clamp_min(1e-12)
    sector = torch.where(
        value == red,
        ((green - blue) / safe) % 6,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue = torch.where(chroma > 0, sector / 6, torch.zeros_like(sector))
    saturation = torch.where(value > 0, chroma / value.clamp_min(1e-12), torch.zeros_like(value))
    return torch.stack([hue, saturation, value], dim=-1)


def _lab_in_unit_cube(colours: Tensor) -> Tensor:
    low = torch.tensor(_LAB_LOW, device=colours.device)
    high = torch.tensor(_LAB_HIGH, device=colours.device)
    return (rgb_to_lab(colours) - low) / (high - low)

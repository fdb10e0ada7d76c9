"""From a decoded image to the numbers that an encoder expects. One object serves training, evaluation and search."""

# Shapes: N images, H × W pixels as they came, S = image_size.

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Resize = Literal["pad", "crop", "squash"]
_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_WHITE = 255


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How an image becomes an encoder's input. It travels with the weights: another one makes another space."""

    image_size: int
    """Side of the square in pixels."""

    resize: Resize
    """`pad` with white to a square, `crop` the centre square, or `squash` both sides."""

    interpolation: Literal["bilinear", "bicubic"]
    """Resampling filter; always with antialiasing."""

    mean: tuple[float, float, float]
    """Subtracted from each channel scaled to 0..1."""

    std: tuple[float, float, float]
    """Divides each channel after that."""

    def frame(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of the picture that counts, (H, W, 3) RGB, at its own resolution; square unless `squash`."""
        height, width = image.shape[:2]
        if self.resize == "squash" or height == width:
            return image
        if self.resize == "crop":
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            return image[top : top + side, left : left + side]
        side = max(height, width)
        canvas = np.full((side, side, 3), _WHITE, dtype=np.uint8)
        top, left = (side - height) // 2, (side - width) // 2
        canvas[top : top + height, left : left + width] = image
        return canvas

    def pixels(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) RGB -> (S, S, 3) RGB, the view that evaluation, export and search use."""
        framed = self.frame(image)
        if framed.shape[:2] == (self.image_size, self.image_size):
            return framed
        size = (self.image_size, self.image_size)
        return np.asarray(Image.fromarray(framed).resize(size, _RESAMPLING[self.interpolation]))

    def normalise(self, pixels: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 -> (N, 3, S, S) float32 in the encoder's range, in channels-last memory."""
        mean = torch.tensor(self.mean, device=pixels.device)
        std = torch.tensor(self.std, device=pixels.device)
        return ((pixels.float() / 255 - mean) / std).permute(0, 3, 1, 2)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "Preprocessing":
        """The inverse of `to_dict`."""
        return Preprocessing(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})

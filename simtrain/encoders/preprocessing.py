"""From a decoded image to the numbers that an encoder expects. One object serves training, evaluation and search."""

# Shapes: N images, H × W pixels as they came, S = image_size.

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:  # a search by ONNX prepares its image without torch
    from torch import Tensor

Resize = Literal["pad", "crop", "squash"]
Normalisation = Literal["imagenet", "unit_range"]
WHITE = 255
"""Level of the margin beside a picture that is padded."""

_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_LONGEST = 10  # times the shorter side
_LARGEST = 4096  # pixels of a square that an encoder takes
_CHANNELS = 3
_FURTHEST = 1e6  # from 0, of a mean or a deviation; NaN is nowhere


def on_white_square(picture: NDArray[np.uint8], *, side: int) -> NDArray[np.uint8]:
    """(H, W, 3) RGB, no larger than `side`, in the middle of a white square of (side, side, 3)."""
    height, width = picture.shape[:2]
    square = np.full((side, side, 3), WHITE, dtype=np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return square


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How an image becomes an encoder's input. It travels with the weights: another one makes another space."""

    image_size: int
    """Side of the square in pixels that validation, evaluation, export and search embed."""

    resize: Resize
    """`pad` with white to a square, `crop` the centre square, or `squash` both sides."""

    interpolation: Literal["bilinear", "bicubic"]
    """Resampling filter; always with antialiasing."""

    mean: tuple[float, float, float]
    """Subtracted from each channel scaled to 0..1."""

    std: tuple[float, float, float]
    """Divides each channel after that."""

    flip_averaging: bool
    """Whether an embedding is the mean of those of the image and of its mirror image, again of unit length."""

    def square(self, image: NDArray[np.uint8], *, side: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB -> (side, side, 3) RGB; a picture is resized before it is padded, however long it is."""
        height, width = image.shape[:2]
        if self.resize == "squash" or height == width:
            return self._resized(image, width=side, height=side)
        if self.resize == "crop":
            return self._cropped(image, side=side)
        scale = side / max(height, width)
        part = self._resized(image, width=max(1, round(width * scale)), height=max(1, round(height * scale)))
        return on_white_square(part, side=side)

    def pixels(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) RGB -> (S, S, 3) RGB, the view that evaluation, export and search use."""
        return self.square(image, side=self.image_size)

    def _cropped(self, image: NDArray[np.uint8], *, side: int) -> NDArray[np.uint8]:
        """Shrunk, then cropped, as torchvision, timm and transformers do it: the other order is up to a pixel off.

        Where an odd number of pixels is left over the libraries differ; this is what transformers does.
        """
        height, width = image.shape[:2]
        shortest = min(height, width)
        if max(height, width) > _LONGEST * shortest:  # the whole of it could fill the memory
            reach = _LONGEST * shortest // 2
            row, column = height // 2, width // 2
            image = image[max(0, row - reach) : row + reach, max(0, column - reach) : column + reach]
            height, width = image.shape[:2]
        image = self._resized(image, width=side * width // shortest, height=side * height // shortest)
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        return image[top : top + side, left : left + side]

    def _resized(self, image: NDArray[np.uint8], *, width: int, height: int) -> NDArray[np.uint8]:
        if image.shape[:2] == (height, width):
            return image
        return np.asarray(Image.fromarray(image).resize((width, height), _RESAMPLING[self.interpolation]))

    def normalise(self, pixels: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 -> (N, 3, S, S) float32 in the encoder's range, in channels-last memory."""
        scaled = pixels.float() / 255
        # A host that made these numbers on the GPU would wait for it, at every step.
        mean, std = (
            scaled.new_tensor(numbers, device="cpu").to(scaled.device, non_blocking=True)
            for numbers in (self.mean, self.std)
        )
        return ((scaled - mean) / std).permute(0, 3, 1, 2)

    def normalised(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """`normalise` without torch: (N, S, S, 3) uint8 -> (N, 3, S, S) float32 in the encoder's range."""
        mean, std = np.array(self.mean, dtype=np.float32), np.array(self.std, dtype=np.float32)
        values = (pixels.astype(np.float32) / np.float32(255) - mean) / std
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; without what is off, which bundles of before do not know."""
        values = asdict(self)
        return values if self.flip_averaging else {k: v for k, v in values.items() if k != "flip_averaging"}

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Preprocessing:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: for values that no preprocessing has.
        """
        known = {"flip_averaging": False, **values}
        found = Preprocessing(**{**known, "mean": tuple(values["mean"]), "std": tuple(values["std"])})
        found._check()
        return found

    def _check(self) -> None:
        """Refuse what another program has written."""
        numbers = (*self.mean, *self.std)
        good = {
            "image_size": type(self.image_size) is int and 1 <= self.image_size <= _LARGEST,
            "resize": self.resize in get_args(Resize),
            "interpolation": self.interpolation in _RESAMPLING,
            "mean and std": len(self.mean) == len(self.std) == _CHANNELS
            and all(isinstance(number, int | float) and abs(number) < _FURTHEST for number in numbers)
            and all(number > 0 for number in self.std),
            "flip_averaging": isinstance(self.flip_averaging, bool),
        }
        for name, is_good in good.items():
            if not is_good:
                raise ValueError(f"preprocessing: {name}: no value that it can have")

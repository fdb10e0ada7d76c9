"""Images given as paths, arrays or PIL images, read like those of a catalogue."""

# Shapes: H × W pixels.

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simtrain.catalog.images import opaque_srgb, read_image

GivenImage = str | Path | NDArray[np.uint8] | Image.Image
"""A file, an (H, W, 3) RGB or (H, W) grey uint8 array, or a PIL image of any mode."""


@dataclass(frozen=True, kw_only=True)
class GivenImages:
    """An `ImageReader` over images that a caller holds.

    Attributes:
        images: One for each row.
    """

    images: Sequence[GivenImage]

    @staticmethod
    def of(images: Sequence[GivenImage] | GivenImage) -> "GivenImages":
        """Of several images, or of one alone."""
        if isinstance(images, str | Path | np.ndarray | Image.Image):
            return GivenImages(images=[images])
        return GivenImages(images=list(images))

    def read(self, row: int, *, at_least: int | None) -> NDArray[np.uint8]:
        """(H, W, 3) sRGB of a row: transparency on white; files and PIL images turned as EXIF says.

        Raises:
            CatalogError: for a file that cannot be read.
            ValueError: for an array of another shape or type, or something that is no image.
        """
        image = self.images[row]
        if isinstance(image, str | Path):
            return read_image(Path(image).expanduser(), at_least=at_least)
        if isinstance(image, Image.Image):
            return opaque_srgb(image)
        return _rgb(image, row=row)


def _rgb(image: object, *, row: int) -> NDArray[np.uint8]:
    if not isinstance(image, np.ndarray):
        raise ValueError(f"images[{row}] is {type(image).__name__}; allowed: a path, a uint8 array or a PIL image")  # noqa: TRY004 - one error for whatever is no image
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(
            f"images[{row}] is {image.dtype} of shape {image.shape}; allowed: uint8 of shape (H, W, 3) or (H, W)"
        )
    return image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)

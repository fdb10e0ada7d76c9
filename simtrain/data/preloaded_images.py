"""Preprocessed images held in memory, decoded once for several encoders of one preprocessing."""

# Shapes: N images, S = image_size.

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.store.reader import ImageReader
from simtrain.console import Console
from simtrain.data.datasets import CatalogImages, image_loader
from simtrain.data.samplers import Share
from simtrain.encoders.preprocessing import Preprocessing

MOST_BYTES = 2**30
_BATCH = 64


class PreloadedImages:
    """An `ImageReader` of images in memory that are preprocessed already; preprocessing again changes nothing.

    Args:
        pixels: (N, S, S, 3) uint8 RGB.
        rows: Catalogue row of each of the N images.
    """

    def __init__(self, pixels: NDArray[np.uint8], rows: Sequence[int]) -> None:
        self._pixels = pixels
        self._index = {row: index for index, row in enumerate(rows)}

    def read(self, row: int, *, at_least: int | None) -> NDArray[np.uint8]:
        """The picture of a row, (S, S, 3)."""
        picture: NDArray[np.uint8] = self._pixels[self._index[row]]
        return picture


def preload_images(
    images: ImageReader,
    rows: Sequence[int],
    *,
    preprocessing: Preprocessing,
    workers: int,
    most_bytes: int,
    console: Console,
) -> PreloadedImages | None:
    """Read and resize the pictures of catalogue rows; None where they would take too much memory.

    Args:
        images: Reader of the catalogue's images.
        rows: N different catalogue rows.
        preprocessing: Preprocessing that the encoders share.
        workers: Number of loading processes; 0 loads in this process.
        most_bytes: Largest memory for the preprocessed images, in bytes.
        console: Shows how many batches are read.
    """
    side = preprocessing.image_size
    if len(rows) * side * side * 3 > most_bytes:
        return None
    pixels = np.empty((len(rows), side, side, 3), dtype=np.uint8)
    dataset = CatalogImages(images=images, rows=rows, preprocessing=preprocessing)
    loader = image_loader(dataset, batch_size=_BATCH, workers=workers, pin_memory=False, share=Share(index=0, of=1))
    for batch in console.bar(loader, len(loader), "reading images"):
        pixels[batch.positions.numpy()] = batch.pixels.numpy()
    return PreloadedImages(pixels, rows)

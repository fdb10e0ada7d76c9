"""Image reader of a catalogue with changed copies: turned, cut, darkened and saved with loss."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.changed_rows import CHANGE, has_changed_rows
from simtrain.catalog.store.reader import ImageReader, OpenedImages, open_images
from simtrain.catalog.table import Catalog
from simtrain.data.robustness import brightened, cropped, reencoded, rotated

CHANGE_WORDS = "turned by 10 degrees, cut to the lower right 70 % of each side, 30 % darker, a JPEG of quality 40"
"""What `changed` does, for people."""


def changed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB as `CHANGE_WORDS` says; without chance, so that all encoders are asked the same."""
    turned = rotated(image, degrees=10.0)
    cut = cropped(turned, share=0.7, across=1.0, down=1.0)
    return reencoded(brightened(cut, factor=0.7), quality=40)


@dataclass(frozen=True, kw_only=True)
class ChangedPictures:
    """Image reader that changes the pictures of some rows.

    Attributes:
        images: Reader of the unchanged pictures, which has these rows too.
        rows: (N,) whether a row's picture is changed.
    """

    images: ImageReader
    rows: NDArray[np.bool_]

    def read(self, row: int, *, at_least: int | None) -> NDArray[np.uint8]:
        """(H, W, 3) RGB of a row, changed where the row is a changed copy."""
        picture = self.images.read(row, at_least=at_least)
        return changed(picture) if self.rows[row] else picture


def open_judged_images(catalog: Catalog, *, smallest: int) -> OpenedImages:
    """Like `open_images`, for a catalogue that may have rows of changed copies.

    Raises:
        CatalogError: if a file is no longer what the catalogue says about it.
    """
    opened = open_images(catalog, smallest=smallest)
    if not has_changed_rows(catalog):
        return opened
    rows = catalog.rows[CHANGE].to_numpy(dtype=bool)
    return replace(opened, reader=ChangedPictures(images=opened.reader, rows=rows))

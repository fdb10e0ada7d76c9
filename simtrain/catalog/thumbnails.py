"""JPEG thumbnails for HTML pages."""

from pathlib import Path

import pandas as pd
import simplejpeg

from simtrain.catalog.images import read_image
from simtrain.catalog.store.reduction import reduced
from simtrain.errors import CatalogError

_SIDE = 112
_QUALITY = 80


class Thumbnails:
    """JPEG thumbnails of a source's images.

    Args:
        root: Folder that the paths start from.
        rows: One row per image, with the columns `id` and `path`.
    """

    def __init__(self, *, root: Path, rows: pd.DataFrame) -> None:
        self._root = root
        self._paths = dict(zip(rows["id"], rows["path"], strict=True))

    def __call__(self, identifier: str) -> bytes | None:
        """The thumbnail of an image; None if it cannot be read."""
        try:
            picture = read_image(self._root / self._paths[identifier], at_least=_SIDE, largest_pixels=None)
        except (CatalogError, KeyError):
            return None
        return bytes(simplejpeg.encode_jpeg(reduced(picture, side=_SIDE), quality=_QUALITY))

"""Pictures of items, as small JPEGs."""

from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

from simtrain.catalog.images import read_image
from simtrain.errors import CatalogError
from simtrain.serving.app.request_error import RequestError
from simtrain.serving.picture_folders import PictureFolders

_MISSING = 404
_QUALITY = 85


def picture_file(path: str, *, folders: PictureFolders) -> Path:
    """The file of an item's picture, which lies within the folder of pictures, links followed.

    Args:
        path: The item's path.
        folders: Folders of the pictures.

    Raises:
        RequestError: with status 404, if it is not there.
    """
    file = folders.within(path)
    if file is None:
        raise RequestError("its picture is not here", status=_MISSING)
    return file


def small_picture(file: Path, *, side: int) -> bytes:
    """A JPEG of the picture, without anything else that its file holds.

    Args:
        file: The picture's file.
        side: Pixels of the longer side, or fewer where the picture is smaller.

    Raises:
        RequestError: with status 404, if it cannot be read.
    """
    try:
        pixels = read_image(file, at_least=side)
    except CatalogError:
        raise RequestError("its picture cannot be read", status=_MISSING) from None
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    content: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(np.asarray(image)), quality=_QUALITY)
    return content

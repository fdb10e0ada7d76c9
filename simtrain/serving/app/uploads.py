"""Decoding of pictures that strangers send, within bounds."""

# Shapes: H × W pixels.

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.image_opening import TOO_MANY_PIXELS
from simtrain.catalog.images import decode_image
from simtrain.catalog.picture_kinds import HEAD_BYTES, picture_suffix, reads_heif
from simtrain.errors import CatalogError
from simtrain.serving.app.request_error import RequestError
from simtrain.serving.app.settings import Limits

_KINDS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WebP", ".gif": "GIF", ".bmp": "BMP", ".avif": "AVIF"}
_MOST_SCANS = 64  # of a progressive JPEG: programs write up to a dozen, and each costs a pass over the picture
_SCAN_MARK = b"\xff\xda"  # within a JPEG's coded data it cannot stand
_TOO_LARGE, _WRONG_TYPE, _UNREADABLE = 413, 415, 422


def decoded_upload(data: bytes, *, limits: Limits) -> NDArray[np.uint8]:
    """(H, W, 3) sRGB of an uploaded picture, as `simtrain search --image` decodes a file.

    The first bytes decide of which kind it is; its name and its declared type do not count.

    Args:
        data: The file's bytes.
        limits: Bounds of bytes and pixels.

    Raises:
        RequestError: 413 for too many bytes, pixels or passes, 415 for another kind, 422 for a damaged picture.
    """
    if len(data) > limits.upload_bytes:
        raise RequestError(
            f"image: {len(data) / 1e6:.1f} MB; allowed: up to {limits.upload_bytes / 1e6:g} MB", status=_TOO_LARGE
        )
    suffix = picture_suffix(data[:HEAD_BYTES])
    if suffix not in _KINDS and not (suffix == ".heic" and reads_heif()):
        kinds = ", ".join([*_KINDS.values(), *(["HEIC"] if reads_heif() else [])])
        raise RequestError(f"image: not a picture that is read here; allowed: {kinds}", status=_WRONG_TYPE)
    if suffix == ".jpg" and data.count(_SCAN_MARK) > _MOST_SCANS:
        raise RequestError(f"image: a JPEG of more than {_MOST_SCANS} scans", status=_TOO_LARGE)
    try:
        return decode_image(data, at_least=None, largest_pixels=limits.pixels).pixels
    except CatalogError as error:
        if str(error).startswith(TOO_MANY_PIXELS):
            raise RequestError(
                f"image: too many pixels; allowed: up to {limits.pixels / 1e6:g} million", status=_TOO_LARGE
            ) from None
        raise RequestError(f"image: {error}", status=_UNREADABLE) from None

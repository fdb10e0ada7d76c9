"""Opening of image files by Pillow, with bounds for a shop's own photographs instead of for strangers' files."""

from io import BytesIO
from threading import Lock

from PIL import Image

from simtrain.catalog.picture_kinds import HEAD_BYTES, HEIC_HINT, picture_suffix, reads_heif
from simtrain.catalog.png_texts import without_large_texts
from simtrain.errors import CatalogError

LARGEST_PIXELS = 300_000_000
"""Pixels of an image that is read unless a setting says otherwise: cameras have up to 200 megapixels, and 300 take 1 to
2 GB of memory while they are read. A small hostile file can claim to be a million times as large."""

TOO_MANY_PIXELS = "too many pixels: "
"""Beginning of the reason why an image beyond that bound is not read."""

_GUARD = Lock()


def open_image(data: bytes, *, largest_pixels: int | None) -> tuple[Image.Image, str | None]:
    """The opened image, and a note where a PNG's texts were passed over.

    Pillow itself stops at 89 megapixels, and at 1 MB for each text or colour profile of a PNG. Texts say nothing of the
    picture; a profile of up to 64 MB is used.

    Args:
        data: The file's bytes.
        largest_pixels: An image of more pixels is refused before they are decoded; None: none is.

    Raises:
        CatalogError: for too many pixels, and for HEIC where the package that reads it is not installed.
        Exception: whatever Pillow raises for what it cannot read.
    """
    if picture_suffix(data[:HEAD_BYTES]) == ".heic" and not reads_heif():
        raise CatalogError(f"is HEIC, as phones write it; {HEIC_HINT}")
    try:
        image = _opened(data, largest_pixels=largest_pixels)
        if image.format == "PNG":
            image.load()  # texts may stand behind the pixels
    except ValueError as error:
        if "MAX_TEXT" not in str(error):
            raise
    else:
        return image, None
    stripped, profile = without_large_texts(data)
    image = _opened(stripped, largest_pixels=largest_pixels)
    if profile is not None:
        image.info["icc_profile"] = profile
    return image, "it carries more than 1 MB of texts (XMP, comments) or colour profile; texts were passed over"


def _opened(data: bytes, *, largest_pixels: int | None) -> Image.Image:
    with _GUARD:  # Pillow's bound is one for all of the process, whose other threads may rely on it
        bound, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(BytesIO(data))  # reads the header
        finally:
            Image.MAX_IMAGE_PIXELS = bound
    pixels = image.width * image.height
    if largest_pixels is not None and pixels > largest_pixels:
        raise CatalogError(f"{TOO_MANY_PIXELS}Image size ({pixels} pixels) exceeds limit of {largest_pixels} pixels")
    return image

"""Image decoding to sRGB pixels: EXIF orientation, ICC colours, transparency on white; used by every step."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISBLK, S_ISCHR

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from simtrain.catalog.icc import NO_PROFILE, Conversion, conversion_to_srgb
from simtrain.catalog.image_opening import LARGEST_PIXELS, open_image
from simtrain.catalog.picture_kinds import IMAGE_SUFFIXES, accident_of
from simtrain.errors import CatalogError, first_line

__all__ = [
    "IMAGE_SUFFIXES",
    "LARGEST_FILE",
    "LARGEST_PIXELS",
    "DecodedImage",
    "decode_image",
    "opaque_srgb",
    "read_image",
]

LARGEST_FILE = 1 << 30
"""Bytes. An image file larger than this is something else."""

_UNREADABLE = "cannot be read as an image"
_SIXTEEN_BITS_IN_32 = frozenset({"PNG", "PPM"})  # what these call mode "I" has 16 bits
_SEVERAL = {"TIFF": "pages", "GIF": "frames", "WEBP": "frames", "PNG": "frames"}
"""What the further pictures of a file are called, by its format."""
_EIGHTHS = (1, 2, 3, 4, 5, 8)  # of a JPEG's size; six and seven take longer than the whole
_NO_EXIF = "its EXIF block cannot be read; not turned"
_EXIF_HEADER = 8  # bytes; behind it a block without entries is all zeros


@dataclass(frozen=True, kw_only=True)
class DecodedImage:
    """A decoded image.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB, C-contiguous.
        note: What was ignored to read it, such as an invalid colour profile; None if nothing was.
    """

    pixels: NDArray[np.uint8]
    note: str | None


def read_image(
    path: Path, *, at_least: int | None = None, largest_pixels: int | None = LARGEST_PIXELS
) -> NDArray[np.uint8]:
    """Decode a file completely, as `decode_image` does: (H, W, 3) sRGB, turned as EXIF says, transparency on white.

    Args:
        path: The file; of an animation the first picture counts.
        at_least: A JPEG may be decoded at a fraction of its size, as long as both sides keep so many pixels, 1 or
            more; None: whole.
        largest_pixels: As in `decode_image`.

    Raises:
        CatalogError: if the file is missing, truncated, not an image, or unreasonably large.
    """
    try:
        _refuse_endless(path)
        return decode_image(path.read_bytes(), at_least=at_least, largest_pixels=largest_pixels).pixels
    except FileNotFoundError:
        raise CatalogError(f"{path}: no such image") from None
    except OSError as error:
        raise CatalogError(f"{path}: {_UNREADABLE}: {first_line(error)}") from None
    except CatalogError as error:
        raise CatalogError(f"{path}: {error}") from None


def _refuse_endless(path: Path) -> None:
    found = path.stat()
    if S_ISCHR(found.st_mode) or S_ISBLK(found.st_mode) or found.st_size > LARGEST_FILE:
        raise CatalogError("is a device or a file of more than 1 GB, and no image")


def decode_image(data: bytes, *, at_least: int | None, largest_pixels: int | None = LARGEST_PIXELS) -> DecodedImage:
    """Decode a file's content completely: turned as EXIF says, colours in sRGB, transparency laid on white.

    Colours follow an embedded ICC profile. What is not looked at: a PNG's gAMA, cHRM and cICP chunks, which browsers
    and programs treat each in its own way, and the colour space that EXIF names. Grey of 16 bits keeps its upper half;
    grey in floating point must lie within 0 (black) and 1 (white).

    Args:
        data: The file's bytes; of an animation the first picture counts.
        at_least: As in `read_image`.
        largest_pixels: An image of more pixels is refused before they are decoded; None: none is, for files that were
            read before.

    Raises:
        CatalogError: if it is truncated, not an image, or unreasonably large; the message names no file.
    """
    try:
        with warnings.catch_warnings():
            # Pillow's remarks on files are not the user's to mend; filters that a thread may find still set after
            # another one left are ones that every thread sets.
            warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
            image, note = open_image(data, largest_pixels=largest_pixels)
            with image:
                return _decoded(image, data, at_least=at_least, note=note)
    except CatalogError:
        raise
    except UnidentifiedImageError:
        accident = accident_of(data[:4096])
        told = f": it {accident}" if accident is not None else ""
        raise CatalogError(f"not an image, or of a kind that Pillow does not know{told}") from None
    except Exception as error:  # Pillow's plugins raise whatever their parsers trip over
        raise CatalogError(f"{_UNREADABLE}: {first_line(error)}") from None


def opaque_srgb(image: Image.Image) -> NDArray[np.uint8]:
    """A PIL image of any mode as (H, W, 3) sRGB, treated as a file's would be: turned as EXIF says, on white."""
    image.load()
    pixels, _ = _flattened(image)
    orientation, _ = _orientation(image)
    return _turned(pixels, orientation)


def _decoded(image: Image.Image, data: bytes, *, at_least: int | None, note: str | None) -> DecodedImage:
    pages = _pages(image) if at_least is None else None  # of a whole picture, as `prepare` reads it
    pixels, damage = _jpeg(image, data, at_least=at_least)
    if pixels is None:
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        image.load()
        pixels, colour_note = _flattened(image)
    else:
        pixels, colour_note = _managed(pixels, image)
    orientation, exif_note = _orientation(image)
    notes = [told for told in (note, pages, damage, colour_note, exif_note) if told is not None]
    return DecodedImage(pixels=_turned(pixels, orientation), note="; ".join(notes) or None)


def _pages(image: Image.Image) -> str | None:
    """What is told of a file that holds several pictures; the second ones of phones' JPEGs are no pictures to see."""
    what = _SEVERAL.get(str(image.format))
    if what is None:
        return None
    try:
        count = int(getattr(image, "n_frames", 1))
    except Exception:  # whatever Pillow's plugins raise for damage behind the first picture
        return f"only the first of its {what} can be read"
    return f"the first of its {count} {what} is read" if count > 1 else None


def _jpeg(image: Image.Image, data: bytes, *, at_least: int | None) -> tuple[NDArray[np.uint8] | None, str | None]:
    """The fast way, whole to the same pixels as Pillow's; None if Pillow has to decide, with what is wrong, if any."""
    if image.format not in ("JPEG", "MPO") or image.mode not in ("L", "RGB"):
        return None, None
    try:
        if simplejpeg.decode_jpeg_header(data)[:2] != (image.height, image.width):
            return None, None
    except ValueError:  # uncommon subsampling
        return None, None
    short = min(image.size)
    eighths = 8 if at_least is None else next((n for n in _EIGHTHS if n * short >= 8 * at_least), 8)
    width, height = (-(-side * eighths // 8) for side in image.size)  # rounded up, as Pillow's draft does
    try:
        pixels = simplejpeg.decode_jpeg(data, colorspace="RGB", min_height=height, min_width=width)
    except ValueError as error:  # also for what Pillow takes: stray bytes, a spoilt block
        return None, f"damaged, yet readable: {first_line(error)}"
    return np.asarray(pixels, dtype=np.uint8), None


def _managed(pixels: NDArray[np.uint8], image: Image.Image) -> tuple[NDArray[np.uint8], str | None]:
    """What the fast way gave, in sRGB: grey pixels come as three equal bands."""
    conversion = _conversion(image, mode=image.mode)
    if conversion.transform is None:
        return pixels, conversion.note
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0]) if image.mode == "L" else pixels)
    return np.asarray(conversion.apply(picture)), conversion.note


def _conversion(image: Image.Image, *, mode: str) -> Conversion:
    profile = image.info.get("icc_profile")
    return conversion_to_srgb(profile, mode) if isinstance(profile, bytes) and profile else NO_PROFILE


def _flattened(image: Image.Image) -> tuple[NDArray[np.uint8], str | None]:
    """A loaded picture of any mode, as opaque sRGB."""
    layers = _with_plain_bands(image)
    colours = layers.convert(layers.mode.removesuffix("A"))
    # Pillow's own way from Lab ends in sRGB, and no profile can add to it
    conversion = NO_PROFILE if image.mode == "LAB" else _conversion(image, mode=colours.mode)
    colours = conversion.apply(colours)
    if layers.mode.endswith("A"):
        colours = Image.composite(colours, Image.new("RGB", colours.size, "white"), layers.getchannel("A"))
    return np.asarray(colours), conversion.note


def _with_plain_bands(image: Image.Image) -> Image.Image:
    """As L, LA, RGB, RGBA or CMYK, of 8 bits."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _eight_bits(image)
    transparent = "transparency" in image.info
    match image.mode:
        case "L" | "RGB" if not transparent:
            return image
        case "LA" | "RGBA" | "CMYK":
            return image
        case "1" | "L" | "La":
            return image.convert("LA" if transparent or image.mode == "La" else "L")
        case "PA" | "RGBa":
            return image.convert("RGBA")
        case _:
            return image.convert("RGBA" if transparent else "RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """L of deep grey, or LA where one value stands for transparency."""
    values = np.asarray(image)
    if image.mode == "F":
        lowest, highest = values.min(), values.max()
        if not (lowest >= 0 and highest <= 1):
            raise CatalogError(
                f"{_UNREADABLE}: its grey in floating point runs from {lowest:g} to {highest:g}, not within 0 (black) "
                "and 1 (white); save it with 8 or 16 bits"
            )
        return Image.fromarray(np.rint(values * 255).astype(np.uint8))
    if image.mode == "I" and image.format not in _SIXTEEN_BITS_IN_32:
        raise CatalogError(
            f"{_UNREADABLE}: nobody can tell what white is in its signed or 32-bit grey; save it with 8 or 16 bits"
        )
    grey = Image.fromarray((np.clip(values, 0, 65535) // 257).astype(np.uint8))
    key = image.info.get("transparency")
    if key is not None:
        grey.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return grey


def _orientation(image: Image.Image) -> tuple[int, str | None]:
    """EXIF's 1 to 8, and what is wrong with it; to be asked when the pixels are loaded.

    A PNG may carry EXIF behind the pixels, and a TIFF is turned by Pillow while it loads.
    """
    try:
        exif = image.getexif()
    except Exception:  # the picture is there all the same
        return 1, _NO_EXIF
    # what a JPEG's EXIF raised, Pillow swallowed on opening it
    if len(exif) == 0 and any((image.info.get("exif") or b"").removeprefix(b"Exif\0\0")[_EXIF_HEADER:]):
        return 1, _NO_EXIF
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    if orientation in range(1, 9):
        return int(orientation), None
    if orientation == 0:  # some cameras' word for not knowing
        return 1, None
    return 1, f"its EXIF orientation is {orientation!r}, not one of 1 to 8; not turned"


def _turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """By OpenCV: numpy moves pixels of three bytes more slowly than they are decoded."""
    match orientation:
        case 2:
            turned = cv2.flip(pixels, 1)
        case 3:
            turned = cv2.rotate(pixels, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(pixels, 0)
        case 5:
            turned = cv2.transpose(pixels)
        case 6:
            turned = cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180)
        case 8:
            turned = cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            turned = pixels
    return np.ascontiguousarray(turned, dtype=np.uint8)

"""One way to read an image file, for every step."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from simtrain.errors import CatalogError, first_line

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
_WHITE = (255, 255, 255, 255)


def read_image(path: Path, *, at_least: int | None = None) -> NDArray[np.uint8]:
    """Decode a file completely: (H, W, 3) RGB, turned as EXIF says, transparency laid on white.

    Args:
        path: The file; of an animation the first picture counts.
        at_least: A JPEG may be decoded at a fraction of its size, as long as both sides keep so many pixels;
            None: whole.

    Raises:
        CatalogError: if the file is missing, truncated, not an image, or unreasonably large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if at_least is not None:
                    image.draft(None, (at_least, at_least))
                return _to_rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise CatalogError(f"{path}: no such image") from None
    except UnidentifiedImageError:
        raise CatalogError(f"{path}: not an image, or of a kind that Pillow does not know") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise CatalogError(f"{path}: too many pixels: {error}") from None
    except Exception as error:  # Pillow's plugins raise whatever their parsers trip over
        raise CatalogError(f"{path}: cannot be read as an image: {first_line(error)}") from None


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        values = np.asarray(image, dtype=np.float64)
        scale = 255.0 / 65535.0 if values.max(initial=0.0) > 255.0 else 1.0  # 16-bit grey
        grey = np.clip(values * scale, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layers = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layers.size, _WHITE), layers)
    return np.asarray(image.convert("RGB"))

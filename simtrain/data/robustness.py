"""Alterations of query images for robustness tests: turned, cropped, compressed, darker, on another background.

Every variant is a fixed function of the picture, without chance, so that all encoders are asked the same. They test;
the views to train on are in `transforms`.
"""

# Shapes: H, W pixels.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_LEAST_WHITE = 240
"""Darkest channel of a pixel of white background."""
_MOST_COLOURED = 10
"""Difference between the channels of such a pixel."""
_SURELY_PRODUCT = 215
"""Darkest channel that a product has somewhere; what JPEG scatters around it is lighter."""
_LEAST_BORDER = 0.5
"""White share of the picture's outermost pixels without which there is no white background."""
_GREY = (150, 150, 150)
_WOOD = (166, 128, 90)


@dataclass(frozen=True, kw_only=True)
class QueryVariant:
    """One alteration of an image."""

    name: str
    """Key of its figures, such as `rotated_10`."""
    words: str
    """Description for people, such as "turned by 10 degrees"."""
    apply: Callable[[Picture], Picture | None]
    """(H, W, 3) RGB -> the same of the variant's size; None where it makes no sense for the picture."""


def rotated(image: Picture, *, degrees: float) -> Picture:
    """Turned about its middle, counter-clockwise, at the same size.

    The corners that come in have the colour of the background if half of the picture's border is of one colour;
    mirrored as elsewhere, a product that touches the border would get a twin in the corner.
    """
    _check(image)
    height, width = image.shape[:2]
    outermost = image[_border(height, width)]
    colour = np.median(outermost, axis=0)
    plain = (np.abs(outermost - colour) <= _MOST_COLOURED).all(axis=1).mean() >= _LEAST_BORDER
    turned = cv2.warpAffine(
        image,
        cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0),
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT if plain else cv2.BORDER_REFLECT_101,
        borderValue=colour.tolist(),
    )
    return np.asarray(turned, dtype=np.uint8)


def cropped(image: Picture, *, share: float, across: float, down: float) -> Picture:
    """A window of `share` of the width and of the height, above 0 to 1.

    Args:
        image: (H, W, 3) uint8 RGB.
        share: Share of each side that the window covers, above 0 to 1.
        across: Horizontal position of the window, 0 (left) to 1 (right).
        down: Vertical position of the window, 0 (top) to 1 (bottom).
    """
    _check(image)
    height, width = (max(1, round(side * share)) for side in image.shape[:2])
    top, left = round((image.shape[0] - height) * down), round((image.shape[1] - width) * across)
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def reencoded(image: Picture, *, quality: int) -> Picture:
    """Saved as JPEG of a quality of 1 to 100, colours at half the resolution, and opened again."""
    _check(image)
    settings = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    _, encoded = cv2.imencode(".jpg", image[:, :, ::-1], settings)
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(decoded[:, :, ::-1])


def brightened(image: Picture, *, factor: float) -> Picture:
    """All levels times a factor, above 0; below 1 is darker, and above 1 what is bright is lost in white."""
    _check(image)
    levels: Picture = np.clip(np.arange(256) * factor, 0, 255).round().astype(np.uint8)
    return np.take(levels, image)


def rebackgrounded(image: Picture, *, backdrop: Callable[[int, int], Picture]) -> Picture | None:
    """The white background replaced by another one; None where there is none.

    What lies on white is multiplied, as light is by a surface: faint shadows stay, and the half-white pixels along the
    product's outline get no halo. Darker shadows are taken for a part of the product.

    Args:
        image: (H, W, 3) uint8 RGB.
        backdrop: (height, width) -> (H, W, 3) uint8 RGB of the new background.
    """
    background = white_background(image)
    if background is None:
        return None
    edge = cv2.dilate(background.astype(np.uint8), np.ones((3, 3), dtype=np.uint8)).astype(bool)
    behind = backdrop(*image.shape[:2]).astype(np.float32)
    placed = (image * (behind / 255.0)).round().astype(np.uint8)
    return np.where(edge[:, :, None], placed, image)


def white_background(image: Picture) -> NDArray[np.bool_] | None:
    """Where the picture shows nothing but white, (H, W); None if less than half of its border is white.

    White pixels count if other white pixels lead from them to the border: a white product stays whole as long as its
    outline is closed, and so does the white seen through a chair's back, which looks like a white part. Specks
    on the white count too if nothing of them is dark or coloured.
    """
    _check(image)
    darkest, brightest = image.min(axis=2), image.max(axis=2)
    white = (darkest >= _LEAST_WHITE) & (brightest - darkest <= _MOST_COLOURED)
    border = _border(*white.shape)
    if white[border].mean() < _LEAST_BORDER:
        return None
    speckless = white | ~_touched(~white, by=darkest < _SURELY_PRODUCT)
    return _touched(speckless, by=border & speckless)


def grey(height: int, width: int) -> Picture:
    """A plain grey wall."""
    return np.full((height, width, 3), _GREY, dtype=np.uint8)


def wood(height: int, width: int) -> Picture:
    """Boards with a grain along them, the same at every size."""
    lightness = cv2.resize(_grain(), (width, height), interpolation=cv2.INTER_AREA)
    return np.clip(lightness[:, :, None] * np.array(_WOOD, dtype=np.float32), 0, 255).round().astype(np.uint8)


VARIANTS = (
    QueryVariant(name="rotated_10", words="turned by 10 degrees", apply=partial(rotated, degrees=10.0)),
    QueryVariant(
        name="cropped_centre_80",
        words="cut to the middle 80 % of each side",
        apply=partial(cropped, share=0.8, across=0.5, down=0.5),
    ),
    QueryVariant(
        name="cropped_corner_80",
        words="cut to the lower right 80 % of each side",
        apply=partial(cropped, share=0.8, across=1.0, down=1.0),
    ),
    QueryVariant(name="jpeg_40", words="saved as JPEG of quality 40", apply=partial(reencoded, quality=40)),
    QueryVariant(name="on_grey", words="white background made grey", apply=partial(rebackgrounded, backdrop=grey)),
    QueryVariant(name="on_wood", words="white background made wood", apply=partial(rebackgrounded, backdrop=wood)),
    QueryVariant(name="darker_30", words="30 % darker", apply=partial(brightened, factor=0.7)),
    QueryVariant(name="brighter_15", words="15 % brighter", apply=partial(brightened, factor=1.15)),
)


@cache
def _grain() -> NDArray[np.float32]:
    """Lightness of the wood, (256, 256), around 1."""
    noise = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), sigmaX=40, sigmaY=0.8) * 9 + cv2.GaussianBlur(noise, (0, 0), sigmaX=24) * 12
    grain[::64] -= 1.5  # the gaps between four boards
    lightness: NDArray[np.float32] = (1 + 0.16 * np.tanh(grain)).astype(np.float32)
    lightness.flags.writeable = False
    return lightness


def _touched(mask: NDArray[np.bool_], *, by: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Those connected parts of a mask that have a pixel in `by`, (H, W)."""
    _, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return np.asarray(mask & np.isin(regions, np.unique(regions[mask & by])))


def _border(height: int, width: int) -> NDArray[np.bool_]:
    """The outermost pixels, (H, W)."""
    border = np.ones((height, width), dtype=bool)
    border[1:-1, 1:-1] = False
    return border


def _check(image: Picture) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(f"image is {image.dtype} of shape {image.shape}; allowed: uint8 of shape (H, W, 3)")

"""Geometry of a view: crop, mirror, turn, zoom and shift as one map, and one resampling."""

# Shapes: H × W pixels of a picture, S = side of a view.

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from simtrain.data.presets import Border
from simtrain.data.view_draws import WHOLE, Box, Move, ViewDraw
from simtrain.encoders.preprocessing import WHITE, Resize, on_white_square

Picture = NDArray[np.uint8]
_SHARPEST = 1.5
"""Pixels of a picture for each of a view above which a linear interpolation would leave some of them out."""
MIRROR = np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]])
"""The unit square, left for right."""
_BORDERS = {
    "white": cv2.BORDER_CONSTANT,
    "own_color": cv2.BORDER_CONSTANT,
    "replicate": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
}


def framed(image: Picture, *, resize: Resize, side: int) -> Picture:
    """What, stretched to a square, is what an encoder sees of an image: in the image's own pixels where they are few.

    Args:
        image: (H, W, 3) RGB.
        resize: How the encoder makes a square of it.
        side: Pixels of the square that views are cut from; an image that has more than half as many again is halved.
    """
    if resize == "crop":
        image = _middle(image)
    height, width = image.shape[:2]
    down, across = (height, width) if resize == "squash" else (max(height, width),) * 2
    image = _reduced(image, down=down / side, across=across / side)
    if resize != "pad" or height == width:
        return image
    return on_white_square(image, side=max(image.shape[:2]))


def cut(picture: Picture, draw: ViewDraw, *, side: int, crop_first: bool, border: Border) -> Picture:
    """The view's pixels, before any change of colour.

    Args:
        picture: (H, W, 3) RGB that `framed` made.
        draw: What happens to it.
        side: Side of the view, S.
        crop_first: As in the augmentation's parts.
        border: What a move shows beside the picture.

    Returns:
        (S, S, 3) RGB in memory of its own.
    """
    if draw.move is None:
        crop = mirrored_box(draw.crop) if draw.mirrored and not crop_first else draw.crop
        return _cropped(picture, crop, mirrored=draw.mirrored, side=side)
    if crop_first:  # what comes into view beside the crop is the border, not the rest of the picture
        picture = _cropped(picture, draw.crop, mirrored=draw.mirrored, side=side)
        return _moved(picture, draw.move, crop=WHOLE, mirrored=False, side=side, border=border)
    return _moved(picture, draw.move, crop=draw.crop, mirrored=draw.mirrored, side=side, border=border)


def mirrored_box(box: Box) -> Box:
    """The part of the mirrored square."""
    return replace(box, left=1 - box.left - box.width)


def _middle(image: Picture) -> Picture:
    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    return image[top : top + short, left : left + short]


def _reduced(picture: Picture, *, down: float, across: float) -> Picture:
    """Halved, by averages, each way as often as it has too many pixels, by `down` and `across` times.

    Rows and columns beyond the last whole mean, less than a pixel of the result, are left out: whole means take a
    tenth of the time.
    """
    height, width = picture.shape[:2]
    rows, columns = halvings(down), halvings(across)
    if rows == columns == 1:
        return picture
    size = width // columns, height // rows
    whole = picture[: size[1] * rows, : size[0] * columns]
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def halvings(times: float) -> int:
    """How many pixels become one where a view has one for `times` of them: the power of two that leaves few enough."""
    power = 1
    while times / power > _SHARPEST:
        power *= 2
    return power


def _cropped(picture: Picture, box: Box, *, mirrored: bool, side: int) -> Picture:
    left, top, right, bottom = pixels_of_box(box, height=picture.shape[0], width=picture.shape[1])
    part = picture[top:bottom, left:right]
    part = _reduced(part, down=(bottom - top) / side, across=(right - left) / side)
    view = cv2.resize(part, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.flip(view, 1) if mirrored else view, dtype=np.uint8)


def pixels_of_box(box: Box, *, height: int, width: int) -> tuple[int, int, int, int]:
    """First column and row of a part of a picture, and those behind its last ones."""
    left, right = _pixels(box.left, box.width, width)
    top, bottom = _pixels(box.top, box.height, height)
    return left, top, right, bottom


def _pixels(start: float, length: float, side: int) -> tuple[int, int]:
    first = min(side - 1, round(start * side))
    return first, min(side, max(first + 1, round((start + length) * side)))


def _moved(picture: Picture, move: Move, *, crop: Box, mirrored: bool, side: int, border: Border) -> Picture:
    to_square = to_square_of(move, crop=crop, side=side)
    if mirrored:
        to_square = MIRROR @ to_square
    height, width = picture.shape[:2]
    across, down = np.linalg.norm(to_square[:2, :2], axis=1)  # of the square, from one pixel of the view to the next
    picture = _reduced(picture, down=float(down) * height, across=float(across) * width)
    view = cv2.warpAffine(
        picture,
        (np.linalg.inv(_centres(picture.shape[1], picture.shape[0])) @ to_square)[:2],
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=_BORDERS[border],
        borderValue=filling(picture, border),
    )
    return np.asarray(view, dtype=np.uint8)


def to_square_of(move: Move | None, *, crop: Box, side: int) -> NDArray[np.float64]:
    """(3, 3), from the numbers of a view's pixels to the places in the unit square that they show, before mirroring."""
    moved_back = np.eye(3) if move is None else _moved_back(move)
    return np.asarray(moved_back @ of_box(crop) @ _centres(side), dtype=np.float64)


def _moved_back(move: Move) -> NDArray[np.float64]:
    """(3, 3), from a moved unit square to where its points were."""
    angle = np.deg2rad(move.degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = np.array([[cosine, sine], [-sine, cosine]]) @ np.diag(move.zoom)
    forth = np.eye(3)
    forth[:2, :2] = turned
    forth[:2, 2] = 0.5 + np.array(move.shift) - turned @ (0.5, 0.5)
    return np.asarray(np.linalg.inv(forth), dtype=np.float64)


def of_box(box: Box) -> NDArray[np.float64]:
    """(3, 3), from the unit square of a box to that which it is a part of."""
    return np.array([[box.width, 0, box.left], [0, box.height, box.top], [0, 0, 1]])


def _centres(width: int, height: int | None = None) -> NDArray[np.float64]:
    """(3, 3), from the numbers of pixels to the places of their centres in the unit square."""
    height = width if height is None else height
    return np.array([[1 / width, 0, 0.5 / width], [0, 1 / height, 0.5 / height], [0, 0, 1]])


def filling(picture: Picture, border: Border) -> tuple[float, ...]:
    """(3,) levels of the border beside a picture."""
    if border != "own_color":
        return (WHITE,) * 3
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    return tuple(float(value) for value in np.median(edge, axis=0))

"""Light, colour, blur and holes of a view: linear changes as one matrix, a blur no wider than it shows."""

# Shapes: S = side of a view.

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from simtrain.data.view_draws import Box, ColorChange

View = NDArray[np.uint8]
GREY = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in a grey: ITU-R BT.601, as in OpenCV, Pillow and torchvision."""
_HUES = 180  # of OpenCV's 8-bit hue
LEAST_BLUR = 0.25
"""Pixels of a blur's standard deviation below which the next pixel counts for less than a level."""
REACH = 3
"""Standard deviations beyond which a blur, a 370th of it, is left out."""


def recolored(view: View, changes: Sequence[ColorChange]) -> View:
    """(S, S, 3) RGB -> (S, S, 3) RGB after these changes.

    All but a change of hue are affine in the three channels; those that follow one another are one product, so that
    values are rounded and cut off at 0 and 255 once after all of them instead of after each.
    """
    matrix: NDArray[np.float64] | None = None
    for change in changes:
        if change.kind == "hue":
            view, matrix = _turned(_applied(view, matrix), change.amount), None
            continue
        matrix = np.eye(4) if matrix is None else matrix
        mean = (matrix @ (*cv2.mean(view)[:3], 1.0))[:3] if change.kind == "contrast" else np.zeros(3)
        matrix = _matrix(change, mean=mean) @ matrix
    return _applied(view, matrix)


def blurred(view: View, *, deviation: float, widest: int) -> View:
    """Blurred by a Gaussian.

    Args:
        view: (S, S, 3) RGB.
        deviation: Its standard deviation in pixels, 0 or more.
        widest: Pixels of its window, odd.
    """
    if deviation < LEAST_BLUR:
        return view
    window = min(widest, 2 * math.ceil(REACH * deviation) + 1)
    kernel = cv2.getGaussianKernel(window, deviation)
    return np.asarray(cv2.sepFilter2D(view, -1, kernel, kernel), dtype=np.uint8)


def cut_hole(view: View, hole: Box) -> None:
    """Black out a part, in place."""
    top, left, bottom, right = hole_pixels(hole, side=len(view))
    view[top:bottom, left:right] = 0


def hole_pixels(hole: Box, *, side: int) -> tuple[int, int, int, int]:
    """First row and column of a hole in a view, and those behind its last ones."""
    top, left = round(hole.top * side), round(hole.left * side)
    return top, left, top + int(hole.height * side), left + int(hole.width * side)


def _matrix(change: ColorChange, *, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, 4) of a change of a picture whose mean colour is `mean`."""
    matrix = np.eye(4)
    amount = change.amount
    match change.kind:
        case "grey":
            matrix[:3, :3] = GREY
        case "saturation":
            matrix[:3, :3] = amount * np.eye(3) + (1 - amount) * GREY
        case "contrast":
            matrix[:3, :3] *= amount
            matrix[:3, 3] = (1 - amount) * (GREY @ mean)
        case _:
            matrix[:3, :3] *= amount
            matrix[:3, 3] = change.offset
    return matrix


def _applied(view: View, matrix: NDArray[np.float64] | None) -> View:
    return view if matrix is None else np.asarray(cv2.transform(view, matrix[:3]), dtype=np.uint8)


def _turned(view: View, amount: float) -> View:
    """Every hue turned by a share of the circle."""
    colors = cv2.cvtColor(view, cv2.COLOR_RGB2HSV)
    turned = np.zeros(256, dtype=np.uint8)
    turned[:_HUES] = np.mod(np.arange(_HUES) + _HUES * amount, _HUES)
    hues = cv2.LUT(cv2.extractChannel(colors, 0), turned)
    cv2.insertChannel(hues, colors, 0)
    return np.asarray(cv2.cvtColor(colors, cv2.COLOR_HSV2RGB), dtype=np.uint8)

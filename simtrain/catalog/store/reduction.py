"""Reduction of an image's size for the store."""

import cv2
import numpy as np
from numpy.typing import NDArray

_LONGEST = 16
"""A longer side never keeps more than so many times the shorter side's pixels: a picture can be one pixel high."""

_LARGEST_SIDE = 65_500
"""Of a JPEG."""


def reduced(pixels: NDArray[np.uint8], *, side: int) -> NDArray[np.uint8]:
    """(H, W, 3) -> (h, w, 3): the shorter side at most `side`; a smaller picture stays as it is.

    Halved by averaging as often as that leaves enough, then bilinear: a quarter of the time of averaging areas, which
    is a third of what reading a photograph takes, and embeddings differ no more than by JPEG of quality 95.
    """
    height, width = pixels.shape[:2]
    longest = min(_LONGEST * side, _LARGEST_SIDE)
    scale = min(1.0, side / min(height, width), longest / max(height, width))
    if scale == 1.0:
        return pixels
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    covered = np.array([width, height], dtype=np.float64)  # of the halved picture: an odd side leaves half a pixel over
    while (covered >= 2 * np.array([across, down])).all():
        pixels, covered = _halved(pixels), covered / 2
    step = covered / [across, down]
    back = np.array([[step[0], 0, step[0] / 2 - 0.5], [0, step[1], step[1] / 2 - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    small = cv2.warpAffine(pixels, back, (across, down), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(small, dtype=np.uint8)


def _halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        pixels = np.asarray(cv2.copyMakeBorder(pixels, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE))
    size = pixels.shape[1] // 2, pixels.shape[0] // 2
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)

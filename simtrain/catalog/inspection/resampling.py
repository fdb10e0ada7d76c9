"""Batched resampling, blur and gradients of small grey images."""

# Shapes: P pictures, S pixels along a side, N of a side asked for.

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

HALVED_VARIANCE = 0.75
"""Pixels squared, before halving, by which `halved` blurs."""


def sample_places(share: Floats, shift: Floats, *, side: int) -> Floats:
    """(P, S): where the pixels of a crop lie along a side; it has that share of it, its centre is shifted by so much.

    Args:
        share: (P,) share of the side that the crop covers.
        shift: (P,) shift of the crop's centre, in pixels.
        side: S, pixels along a side of the crop's copy as of the whole image's.
    """
    offsets = np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)
    places: Floats = share[:, None] * offsets + shift[:, None] + np.float32((side - 1) / 2)
    return places


def linear_weights(places: Floats, *, side: int) -> Floats:
    """(P, N, S) for linear interpolation at (P, N) places; beyond the edge, the edge."""
    return np.maximum(0, 1 - _distances(places, side=side))


def cubic_weights(places: Floats, *, side: int) -> Floats:
    """(P, N, S) for the cubic convolution of R. Keys (1981, eq. 15) at (P, N) places; beyond the edge, the edge."""
    distance = _distances(places, side=side)
    near = (np.float32(1.5) * distance - np.float32(2.5)) * distance**2 + 1
    far = ((np.float32(2.5) - np.float32(0.5) * distance) * distance - 4) * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, np.float32(0)))
    normalised: Floats = weights / weights.sum(axis=2, keepdims=True)
    return normalised


def gradients(pictures: Floats) -> tuple[Floats, Floats]:
    """Change per pixel downwards and to the right, (P, S, S) each: central differences, one-sided at the edges."""
    down, right = np.empty_like(pictures), np.empty_like(pictures)
    for change, picture in ((down, pictures), (right.transpose(0, 2, 1), pictures.transpose(0, 2, 1))):
        change[:, 1:-1] = (picture[:, 2:] - picture[:, :-2]) / 2
        change[:, 0] = picture[:, 1] - picture[:, 0]
        change[:, -1] = picture[:, -1] - picture[:, -2]
    return down, right


def blurred(pictures: Floats, *, deviation: float) -> Floats:
    """Gaussian blur by `deviation` pixels of (P, S, S), which does not darken the edges."""
    if deviation == 0:
        return pictures
    places = np.arange(pictures.shape[1])
    weights = np.exp(-0.5 * ((places[:, None] - places) / deviation) ** 2)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    smooth: Floats = weights @ pictures @ weights.T
    return smooth


def halved(pictures: Floats) -> Floats:
    """(P, S / 2, S / 2), each pixel the mean of four each way with weights 1, 3, 3, 1; S is even."""
    side = pictures.shape[1]
    weights = np.zeros((side // 2, side), dtype=np.float32)
    for row in range(side // 2):
        for offset, weight in zip((-1, 0, 1, 2), (1, 3, 3, 1), strict=True):
            weights[row, min(max(2 * row + offset, 0), side - 1)] += np.float32(weight / 8)
    half: Floats = weights @ pictures @ weights.T
    return half


def spread(pictures: Floats, *, down: Floats, right: Floats) -> Floats:
    """Blur of (P, S, S) by little: by (P,) variances in pixels squared, below a half, each way."""
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1)), mode="edge")
    vertical = padded[:, 2:, 1:-1] + padded[:, :-2, 1:-1] - 2 * pictures
    horizontal = padded[:, 1:-1, 2:] + padded[:, 1:-1, :-2] - 2 * pictures
    blurrier: Floats = pictures + down[:, None, None] / 2 * vertical + right[:, None, None] / 2 * horizontal
    return blurrier


def _distances(places: Floats, *, side: int) -> Floats:
    distances: Floats = np.abs(places.clip(0, side - 1)[:, :, None] - np.arange(side, dtype=np.float32))
    return distances

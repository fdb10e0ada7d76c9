"""Mirror probe: how often an augmentation mirrors images."""

import numpy as np
from numpy.typing import NDArray

from simtrain.data.transforms import ViewTransform

_SEEDS = 64  # a flip in a twentieth of the views is missed once in 27 times
_DARK, _BRIGHT = 64, 192  # away from black and white, where changes of light would cut the slope off
_LEAST_TURN = 0.1  # sine between the two slopes; below, a view shows too little to tell


def mirroring_share(transform: ViewTransform, *, side: int) -> float:
    """Share of views, 0 to 1, that are mirrored, from two pictures of side × side that get brighter across and down.

    A view of either made with one seed has gone through the same geometry. A turn carries both slopes along, while a
    mirror swaps their order, whatever becomes of crop, light and colour; a mirror with a turn (upside down) counts.
    """
    ramp = np.linspace(_DARK, _BRIGHT, side)
    across = np.repeat(np.broadcast_to(np.rint(ramp), (side, side))[..., None], 3, axis=2).astype(np.uint8)
    down = np.ascontiguousarray(across.transpose(1, 0, 2))
    turns = [_turn(_slope(transform(across, seed=seed)), _slope(transform(down, seed=seed))) for seed in range(_SEEDS)]
    return float(np.mean([turn < -_LEAST_TURN for turn in turns]))


def _slope(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How much brighter it gets across and down; the median, so that a hole in the picture does not count."""
    grey = picture.astype(np.float64).mean(axis=2)
    step = max(1, len(grey) // 8)  # wide enough for a slope of less than a level per pixel
    return np.array([np.median(grey[:, step:] - grey[:, :-step]), np.median(grey[step:] - grey[:-step])])


def _turn(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Sine of the angle from the first slope to the second; 0 where there is none."""
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first[0] * second[1] - first[1] * second[0]) / lengths if lengths > 0 else 0.0

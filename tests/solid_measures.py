"""Volumes and extents of solids that are grids of points."""

# Shapes: R rows, S columns, the last joined to the first.

import numpy as np
from numpy.typing import NDArray

from simtrain.synthetic.palette import Paint
from simtrain.synthetic.solids import Surface

PAINT = Paint(primary=(200.0, 10.0, 10.0), accent=(10.0, 200.0, 10.0), metallic=False)


def volume(grid: NDArray[np.float64]) -> float:
    """Volume enclosed by a grid (R, S, 3) that is closed above and below, by the divergence theorem over triangles.

    Negative if the faces point inwards.
    """
    lower, upper = grid[:-1], grid[1:]
    triangles = ((lower, np.roll(lower, -1, axis=1), upper), (np.roll(lower, -1, axis=1), np.roll(upper, -1, 1), upper))
    return float(sum(np.einsum("rsi,rsi", np.cross(one, two), three) for one, two, three in triangles) / 6)


def extent(parts: list[Surface]) -> NDArray[np.float64]:
    """(2, 3) lowest and highest coordinates of a product."""
    points = np.concatenate([part.grid.reshape(-1, 3) for part in parts])
    return np.stack([points.min(axis=0), points.max(axis=0)])


def painted(parts: list[Surface], color: tuple[float, float, float]) -> int:
    """Number of parts of this colour."""
    return sum(part.color == color for part in parts)

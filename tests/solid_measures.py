"""Volumes and extents of solids that are grids of points."""

# Shapes: R rows, S columns, the last joined to the first.

from collections.abc import Callable

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


def check_style(build: Callable[..., list[Surface]], style: str) -> None:
    """Check that a style of a product is finite, about a unit large, in both colours, and the same for one seed."""
    for seed in range(5):
        parts = build(style=style, paint=PAINT, rng=np.random.default_rng(seed))
        assert all(np.isfinite(part.grid).all() for part in parts)
        low, high = extent(parts)
        assert 0.4 < (high - low).max() < 3.0
        assert painted(parts, PAINT.primary) >= 1
        assert painted(parts, PAINT.accent) >= 1
        again = build(style=style, paint=PAINT, rng=np.random.default_rng(seed))
        assert all(np.array_equal(one.grid, other.grid) for one, other in zip(parts, again, strict=True))

"""Solids as grids of points: every shape of the catalogue is a ring of columns lofted over rows.

A grid is (R, S, 3): R rows, S columns, the last column joined to the first. x points right, y up, z towards the viewer.
Column direction x row direction points out of the solid.
"""

# Shapes: R rows, S columns, K control points, D space dimensions.

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simtrain.synthetic.palette import Rgb

Array = NDArray[np.float64]
Vector = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """One painted part of a product."""

    grid: Array
    """(R, S, 3) points, model units (a product is about one unit tall)."""
    color: Rgb
    """sRGB, 0..255."""
    pattern: str | None = None
    """How the product's pattern lies on it: `round` (around the y axis), `flat` (on x and y); None leaves it plain."""
    gloss: float = 0.15
    """Strength of the highlight, 0..1."""
    metal: float = 0.0
    """How much it reflects the room instead of its own colour, 0..1."""
    glow: float = 0.0
    """Light of its own, 0..1."""
    cavity: bool = False
    """The inside of a vessel, which darkens with depth."""
    casts: bool = True
    """Whether it throws a shadow; parts inside or on another part need not."""
    raised: float = 0.0
    """How much nearer than it is the painter takes it to be, model units; for parts that lie on another part."""


def smooth_path(control: Sequence[Sequence[float] | Array], *, count: int) -> Array:
    """A Catmull-Rom curve through `control` (K, D); returns (count, D), evenly spaced in parameter."""
    points = np.asarray(control, dtype=np.float64)
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    position = np.linspace(0.0, len(points) - 1.0, count)
    start = np.minimum(position.astype(np.int64), len(points) - 2)
    t = (position - start)[:, None]
    before, here, there, after = (padded[start + offset] for offset in range(4))
    linear = (there - before) * t
    square = (2 * before - 5 * here + 4 * there - after) * t**2
    cube = (3 * here - before - 3 * there + after) * t**3
    return np.asarray(0.5 * (2 * here + linear + square + cube))


def circle(*, segments: int) -> Array:
    """The unit circle as (x, z) points (segments, 2), starting at the viewer and turning to the right."""
    angle = np.linspace(0.0, 2 * np.pi, segments, endpoint=False)
    return np.stack([np.sin(angle), np.cos(angle)], axis=1)


def rounded_rectangle(*, width: float, depth: float, roundness: float, segments: int) -> Array:
    """A superellipse (x, z) (segments, 2); `roundness` 1 is an ellipse, towards 0 a rectangle."""
    # Eight times too many points, of which those at even distances stay: sampled by angle, they would crowd at corners.
    unit = circle(segments=8 * segments)
    curve = np.sign(unit) * np.abs(unit) ** max(roundness, 0.05) * (width / 2, depth / 2)
    closed = np.concatenate([curve, curve[:1]])
    travelled = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    stops = np.linspace(0.0, travelled[-1], segments, endpoint=False)
    return np.stack([np.interp(stops, travelled, closed[:, axis]) for axis in range(2)], axis=1)


def loft(outline: Array, *, levels: Array) -> Array:
    """Stacks `outline` (S, 2) scaled by levels (R, 2) of (height, scale) into a grid (R, S, 3)."""
    grid = np.empty((len(levels), len(outline), 3))
    grid[:, :, 0] = levels[:, 1:] * outline[None, :, 0]
    grid[:, :, 1] = levels[:, :1]
    grid[:, :, 2] = levels[:, 1:] * outline[None, :, 1]
    return grid


def revolve(profile: Array, *, segments: int = 52) -> Array:
    """A solid of revolution around y from profile (R, 2) of (radius, height), bottom first."""
    return loft(circle(segments=segments), levels=profile[:, ::-1])


def box(*, size: Vector, center: Vector, step: float = 0.16) -> Array:
    """An upright box with faces cut into pieces of about `step`, so that sorting them by depth is safe."""
    width, height, depth = size
    across, along = (max(1, min(10, round(length / step))) for length in (width, depth))
    corners = np.array([(-width, depth), (width, depth), (width, -depth), (-width, -depth)]) / 2
    sides = [
        corners[side] + (corners[(side + 1) % 4] - corners[side]) * np.arange(pieces)[:, None] / pieces
        for side, pieces in enumerate((across, along, across, along))
    ]
    up = np.linspace(-height / 2, height / 2, max(1, min(12, round(height / step))) + 1)
    inset = np.linspace(1.0, 0.0, max(2, min(6, round(max(width, depth) / step / 2) + 1)))
    levels = np.concatenate([np.stack([up, np.ones_like(up)], axis=1), [(height / 2, scale) for scale in inset[1:]]])
    levels = np.concatenate([[(-height / 2, 0.0)], levels])
    return loft(np.concatenate(sides), levels=levels) + center


def slab(outline: Array, *, thickness: float, rounding: float = 0.12, rings: int = 5) -> Array:
    """A plate facing z: `outline` (S, 2) of (x, -y), edges rounded by the share `rounding`, 0..0.5, of its size."""
    turn = np.linspace(0.0, np.pi / 2, 5)
    half = thickness / 2
    # Outlines are about one unit wide, so a share of the scale and a length along z round the edge alike.
    heights = half - min(half, rounding) * (1 - np.sin(turn))
    edge = np.stack([heights, 1 - rounding * (1 - np.cos(turn))], axis=1)
    front = np.concatenate([edge, [(half, (1 - rounding) * (1 - ring / rings)) for ring in range(1, rings + 1)]])
    back = front[::-1] * (-1, 1)
    return turned(loft(outline, levels=np.concatenate([back, front])), x=90.0)


def tube(
    path: Array, *, radius: float | Array, facing: Vector = (0.0, 0.0, 1.0), flatness: float = 1.0, segments: int = 10
) -> Array:
    """Sweeps an ellipse along path (K, 3); closed at both ends.

    Args:
        path: (K, 3) points.
        radius: Half the width across `facing`, one number or one per point.
        facing: The direction in which the tube's cross-section is `flatness` times as thick; not along the path.
        flatness: Thickness along `facing` over thickness across it, > 0.
        segments: Number of columns around the path, >= 4.
    """
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    across = np.asarray(facing) - (tangent @ np.asarray(facing))[:, None] * tangent
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    side = np.cross(tangent, across)
    width = np.broadcast_to(np.asarray(radius, dtype=np.float64), (len(path),))[:, None, None]
    angle = np.linspace(0.0, 2 * np.pi, segments, endpoint=False)
    ring = np.cos(angle)[None, :, None] * across[:, None] * flatness + np.sin(angle)[None, :, None] * side[:, None]
    body = path[:, None] + width * ring
    first_cap, last_cap = (np.broadcast_to(path[end], (1, segments, 3)) for end in (0, -1))
    return np.concatenate([first_cap, body, last_cap])


def rod(*, start: Vector, end: Vector, radius: float, tip: float | None = None, segments: int = 8) -> Array:
    """A straight leg or stem from `start` to `end`, tapering to radius `tip` (default: no taper)."""
    share = np.linspace(0.0, 1.0, 8)[:, None]
    path = np.asarray(start) * (1 - share) + np.asarray(end) * share
    narrowing = np.linspace(radius, radius if tip is None else tip, 8)
    direction = np.abs(path[-1] - path[0])
    facing = (1.0, 0.0, 0.0) if direction[0] < max(direction[1], direction[2]) else (0.0, 1.0, 0.0)
    return tube(path, radius=narrowing, facing=facing, segments=segments)


def torus(*, radius: float, thickness: float, height: float = 0.0) -> Array:
    """A ring lying around the y axis at `height`."""
    angle = np.linspace(0.0, 2 * np.pi, 12)
    profile = np.stack([radius + thickness * np.cos(angle), height + thickness * np.sin(angle)], axis=1)
    return revolve(profile, segments=36)


def moved(grid: Array, *, by: Vector) -> Array:
    """Shifts a grid."""
    return np.asarray(grid + np.asarray(by))


def turned(grid: Array, *, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Array:
    """Rotates a grid about the x, then the y, then the z axis; degrees."""
    points = grid
    for axis, degrees in enumerate((x, y, z)):
        if degrees:
            cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
            rotation = np.eye(3)
            first, second = (axis + 1) % 3, (axis + 2) % 3
            rotation[first, first] = rotation[second, second] = cosine
            rotation[first, second], rotation[second, first] = -sine, sine
            points = points @ rotation.T
    return points

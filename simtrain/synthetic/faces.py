"""A product cut into coloured quadrilaterals, ready to be turned, lit and drawn."""

# Shapes: F faces, N points, R rows and S columns of a grid.

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simtrain.synthetic.patterns import Print, printed, surface_coordinates
from simtrain.synthetic.products import SyntheticProduct, product_surfaces
from simtrain.synthetic.solids import Array, Surface

# Printed edges are cut to pieces of this length, model units: two to three pixels of a 160-pixel picture.
_FINEST = 0.035


@dataclass(frozen=True, kw_only=True, eq=False)
class Faces:
    """All quadrilaterals of a product, standing on y = 0 around the origin."""

    corners: Array
    """(F, 4, 3)."""
    centers: Array
    """(F, 3)."""
    normals: Array
    """(F, 3), unit length, outwards."""
    albedo: Array
    """(F, 3), sRGB 0..255."""
    gloss: Array
    """(F,), 0..1."""
    metal: Array
    """(F,), 0..1."""
    glow: Array
    """(F,), 0..1."""
    raised: Array
    """(F,), model units; see Surface."""
    outline: Array
    """Points (N, 3) that span the product."""
    casters: tuple[Array, ...]
    """Points (N, 3) of each part that throws a shadow."""


@lru_cache(maxsize=8)
def product_faces(product: SyntheticProduct) -> Faces:
    """Builds a product; cached because its views are usually drawn one after the other."""
    surfaces, surface_print = product_surfaces(product)
    cut = [_cut(surface, surface_print=surface_print) for surface in surfaces]
    corners = np.concatenate([part[0] for part in cut])
    points = np.concatenate([surface.grid.reshape(-1, 3) for surface in surfaces])
    low, high = points.min(axis=0), points.max(axis=0)
    base = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    counts = [len(part[0]) for part in cut]
    return Faces(
        corners=corners - base,
        centers=corners.mean(axis=1) - base,
        normals=np.concatenate([part[1] for part in cut]),
        albedo=np.concatenate([part[2] for part in cut]),
        gloss=np.repeat([surface.gloss for surface in surfaces], counts),
        metal=np.repeat([surface.metal for surface in surfaces], counts),
        glow=np.repeat([surface.glow for surface in surfaces], counts),
        raised=np.repeat([surface.raised for surface in surfaces], counts),
        outline=points - base,
        casters=tuple(surface.grid.reshape(-1, 3) - base for surface in surfaces if surface.casts),
    )


def _cut(surface: Surface, *, surface_print: Print) -> tuple[Array, Array, Array]:
    """Corners (F, 4, 3), normals (F, 3) and colours (F, 3) of a surface; F = (R - 1) · S unless a print cuts finer."""
    lower, upper = surface.grid[:-1], surface.grid[1:]
    corners = np.stack([lower, np.roll(lower, -1, axis=1), np.roll(upper, -1, axis=1), upper], axis=2).reshape(-1, 4, 3)
    normals = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    kept = lengths[:, 0] > 1e-9
    corners, normals = corners[kept], normals[kept] / lengths[kept]
    if surface.pattern is not None and surface_print.pattern != "plain":
        return _cut_print(corners, normals=normals, surface=surface, surface_print=surface_print)
    colors = np.tile(np.asarray(surface.color), (len(corners), 1))
    if surface.cavity:
        height = corners[:, :, 1].mean(axis=1)
        colors *= 1.0 - 0.6 * np.sqrt((height.max() - height) / max(float(np.ptp(height)), 1e-9))[:, None]
    return corners, normals, colors


def _cut_print(corners: Array, *, normals: Array, surface: Surface, surface_print: Print) -> tuple[Array, Array, Array]:
    """As _cut: faces that a printed edge crosses are cut finer, so that the edge is sharp."""
    lengths = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    # Sides 1 and 3 run along a row, 0 and 2 along a column. A few long faces may stay coarse: thousands must not grow.
    usual = np.quantile(lengths, 0.9, axis=0)
    columns, rows = (
        int(np.clip(np.ceil(side / _FINEST), 1, 6)) for side in (max(usual[1], usual[3]), max(usual[0], usual[2]))
    )
    fine = _subdivide(corners, columns=columns, rows=rows)
    along, up = surface_coordinates(fine.mean(axis=2).reshape(-1, 3), mapping=surface.pattern or "round")
    inked = printed(surface_print, along=along, up=up).reshape(len(corners), -1)
    crossed = inked.any(axis=1) & ~inked.all(axis=1)
    ink = np.concatenate([inked[~crossed, 0], inked[crossed].ravel()])
    return (
        np.concatenate([corners[~crossed], fine[crossed].reshape(-1, 4, 3)]),
        np.concatenate([normals[~crossed], np.repeat(normals[crossed], fine.shape[1], axis=0)]),
        np.where(ink[:, None], np.asarray(surface_print.color), np.asarray(surface.color)),
    )


def _subdivide(corners: Array, *, columns: int, rows: int) -> Array:
    """Cuts quadrilaterals (F, 4, 3) into columns x rows smaller ones: (F, rows · columns, 4, 3)."""
    share = np.linspace(0.0, 1.0, columns + 1)[:, None]
    height = np.linspace(0.0, 1.0, rows + 1)[:, None, None]
    lower, right, upper, left = (corners[:, None, corner] for corner in range(4))
    bottom, top = lower + (right - lower) * share, left + (upper - left) * share
    lattice = bottom[:, None] + (top - bottom)[:, None] * height
    cells = (lattice[:, :-1, :-1], lattice[:, :-1, 1:], lattice[:, 1:, 1:], lattice[:, 1:, :-1])
    return np.stack(cells, axis=3).reshape(len(corners), rows * columns, 4, 3)

"""Printed patterns: which share of a product's surface carries its accent colour."""

# Shapes: F faces.

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simtrain.synthetic.palette import Rgb
from simtrain.synthetic.solids import Array

PATTERNS: tuple[str, ...] = ("plain", "striped", "pinstriped", "dotted", "banded", "two-tone", "checked", "zigzag")


@dataclass(frozen=True, kw_only=True)
class Print:
    """A pattern with its measures."""

    pattern: str
    """One of PATTERNS."""
    color: Rgb
    """sRGB, 0..255."""
    period: float
    """Distance of one stripe, dot or square to the next; model units."""
    duty: float
    """Share of a period that is printed, 0..1."""
    level: float
    """Height of a band or of a two-tone edge, as a share of the printed part's height, 0..1."""
    upper: bool
    """Whether the two-tone accent lies above its edge."""


def draw_print(pattern: str, *, color: Rgb, rng: np.random.Generator) -> Print:
    """A pattern's measures at random; all numbers are drawn whatever the pattern is."""
    return Print(
        pattern=pattern,
        color=color,
        period=rng.uniform(0.14, 0.3),
        duty=rng.uniform(0.3, 0.55),
        level=rng.uniform(0.3, 0.72),
        upper=bool(rng.random() < 0.5),
    )


def surface_coordinates(centers: Array, *, mapping: str) -> tuple[Array, Array]:
    """Coordinates (F,) along and up a printed part, model units, from its face centres (F, 3).

    `round` unrolls the part around the y axis; `flat` takes the two axes along which the part is largest.
    """
    if mapping == "round":
        radius = np.hypot(centers[:, 0], centers[:, 2])
        return np.arctan2(centers[:, 0], centers[:, 2]) * float(np.median(radius)), centers[:, 1]
    along, up = np.sort(np.argsort(np.ptp(centers, axis=0), stable=True)[1:])
    return centers[:, along], centers[:, up]


def printed(print_: Print, *, along: Array, up: Array) -> NDArray[np.bool_]:
    """Which faces (F,) take the accent colour, from their coordinates `along` and `up`, each (F,)."""
    duty, row = print_.duty, up / print_.period
    # A whole number of periods around avoids a seam at the back of solids of revolution.
    turns = max(3.0, np.round(float(np.ptp(along)) / print_.period))
    column = (along - along.min()) / max(float(np.ptp(along)), 1e-9) * turns
    share = (up - up.min()) / max(float(np.ptp(up)), 1e-9)
    inked: Array | NDArray[np.bool_]
    match print_.pattern:
        case "striped":
            inked = row % 1.0 < duty
        case "pinstriped":
            inked = column % 1.0 < duty * 0.7
        case "dotted":
            shifted = column + 0.5 * (np.floor(row) % 2)
            inked = np.hypot(shifted % 1.0 - 0.5, row % 1.0 - 0.5) < 0.2 + duty * 0.3
        case "banded":
            inked = np.abs(share - print_.level) < duty * 0.28
        case "two-tone":
            edge = 0.35 + 0.4 * (print_.level - 0.5)
            inked = share > 1 - edge if print_.upper else share < edge
        case "checked":
            inked = (np.floor(column * 2) + np.floor(row * 2)) % 2 == 0
        case "zigzag":
            inked = (row + np.abs(column % 1.0 - 0.5)) % 1.0 < duty
        case _:
            inked = np.zeros(len(up))
    return np.asarray(inked, dtype=np.bool_)

"""Lamps and clocks."""

import numpy as np

from simtrain.synthetic.palette import DARK, PAPER, STEEL, Paint, Rgb
from simtrain.synthetic.solids import (
    Array,
    Surface,
    box,
    circle,
    moved,
    revolve,
    rod,
    rounded_rectangle,
    slab,
    smooth_path,
    torus,
    turned,
)


def _shade(*, style: str, bottom: float, height: float, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    width = rng.uniform(0.4, 0.56)
    top = width * {"cone": rng.uniform(0.35, 0.55), "drum": rng.uniform(0.86, 1.0), "dome": 0.2}[style]
    control = [(width, bottom), ((width + top) / 2, bottom + height / 2), (top, bottom + height)]
    if style == "dome":
        control = [(width, bottom), (width * 0.94, bottom + height * 0.4), (width * 0.66, bottom + height * 0.8),
                   (top, bottom + height)]  # fmt: skip
    profile = smooth_path(control, count=20)
    inside = revolve(profile[::-1] - (0.015, 0.0))
    lid = revolve(np.linspace((top, bottom + height), (top * 0.3, bottom + height + 0.015), 4))
    edge = torus(radius=width, thickness=0.015, height=bottom)
    return [
        Surface(grid=revolve(profile), color=paint.primary, pattern="round", gloss=0.02, glow=rng.uniform(0.0, 0.22)),
        Surface(grid=inside, color=PAPER, glow=0.3, casts=False),
        Surface(grid=lid, color=paint.primary, glow=0.1, casts=False),
        Surface(grid=edge, color=paint.accent, casts=False),
    ]


def _lamp_base(*, kind: str, height: float, color: Rgb, rng: np.random.Generator) -> list[Surface]:
    if kind == "tripod":
        spread, parts = rng.uniform(0.3, 0.45), []
        for angle in np.radians((0.0, 120.0, 240.0)) + rng.uniform(0.0, 1.0):
            start = (float(spread * np.sin(angle)), 0.0, float(spread * np.cos(angle)))
            leg = rod(start=start, end=(0.0, height, 0.0), radius=rng.uniform(0.025, 0.04))
            parts.append(Surface(grid=leg, color=color))
        return parts
    foot, stem = rng.uniform(0.2, 0.34), rng.uniform(0.022, 0.04)
    body = rng.uniform(0.12, 0.3) if kind == "bellied" else stem * rng.uniform(1.0, 1.6)
    middle = rng.uniform(0.3, 0.55) * height
    profile: Array = smooth_path(
        [
            (foot, 0.0),
            (foot * 0.96, 0.05),
            (foot * 0.4, 0.1),
            (body, middle),
            (stem * 1.2, height * 0.8),
            (stem, height),
        ],
        count=34,
    )
    profile[:, 0] = np.maximum(profile[:, 0], stem)
    return [Surface(grid=revolve(profile, segments=36), color=color, gloss=0.45)]


def lamp(*, style: str, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """A table lamp: shade in the primary colour on a stem, a bellied body or a tripod."""
    stem, shade_height = rng.uniform(0.65, 0.95), rng.uniform(0.38, 0.6)
    kind = ("stem", "bellied", "tripod")[int(rng.choice(3, p=(0.4, 0.4, 0.2)))]
    base = _lamp_base(kind=kind, height=stem + 0.1, color=paint.accent, rng=rng)
    shade = _shade(style=style, bottom=stem, height=shade_height, paint=paint, rng=rng)
    tip = stem + shade_height
    finial = Surface(grid=rod(start=(0, tip, 0), end=(0, tip + 0.09, 0), radius=0.022), color=paint.accent, casts=False)
    return [*base, *shade, finial]


def _dial(*, radius: float, z: float, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """Face, bezel, hour marks and hands; the hands stand at ten past ten, as in every shop window."""
    dark = rng.random() < 0.3
    face, ink = (DARK, PAPER) if dark else (PAPER, DARK)
    parts = [
        Surface(
            grid=moved(slab(circle(segments=40) * radius, thickness=0.02, rounding=0.004, rings=9), by=(0, 0, z)),
            color=face,
            raised=0.1,
        )
    ]
    marks = 12 if rng.random() < 0.6 else 4
    length = rng.uniform(0.08, 0.2) * radius
    for angle in np.arange(marks) * 360.0 / marks:
        mark = box(size=(0.03 * radius + 0.012, length, 0.012), center=(0, radius * 0.9 - length / 2, z + 0.02))
        parts.append(Surface(grid=turned(mark, z=float(angle)), color=ink, casts=False, raised=0.2))
    bezel = moved(turned(torus(radius=radius, thickness=rng.uniform(0.015, 0.035)), x=90.0), by=(0, 0, z))
    parts.append(Surface(grid=bezel, color=paint.accent, gloss=0.4, casts=False, raised=0.15))
    thickness = rng.uniform(0.025, 0.05)
    for angle, reach, color in ((60.0, 0.5, ink), (-60.0, 0.75, paint.accent if rng.random() < 0.5 else ink)):
        hand = box(size=(thickness, radius * reach, 0.012), center=(0, radius * reach * 0.42, z + 0.04), step=0.1)
        parts.append(Surface(grid=turned(hand, z=angle), color=color, casts=False, raised=0.25))
    hub = moved(slab(circle(segments=12) * 0.04, thickness=0.03, rounding=0.004, rings=2), by=(0, 0, z + 0.05))
    return [*parts, Surface(grid=hub, color=ink, casts=False, raised=0.3)]


def clock(*, style: str, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """A desk clock facing the viewer: round on feet, square, or an alarm clock with two bells."""
    radius, depth = rng.uniform(0.44, 0.54), rng.uniform(0.2, 0.42)
    square = style == "square"
    outline = circle(segments=52) * (radius * rng.uniform(1.06, 1.2))
    if square:
        side = radius * rng.uniform(2.15, 2.5)
        outline = rounded_rectangle(
            width=side * rng.uniform(1.0, 1.3), depth=side, roundness=rng.uniform(0.1, 0.4), segments=56
        )
    half = float(np.abs(outline[:, 1]).max())
    shell = slab(outline, thickness=depth, rounding=rng.uniform(0.03, 0.09), rings=8)
    parts = [Surface(grid=shell, color=paint.primary, pattern="flat", gloss=0.4, metal=0.5 * paint.metallic)]
    dial = radius * rng.uniform(0.74, 0.92)
    parts += _dial(radius=dial, z=depth / 2 + 0.012, paint=paint, rng=rng)
    if style == "alarm":
        dome = np.linspace(0.0, np.pi / 2, 8)
        rounded = np.stack([0.19 * np.cos(dome), 0.16 * np.sin(dome)], axis=1)
        bell = revolve(np.concatenate([[(0.0, 0.0)], rounded]), segments=24)
        bells = [turned(moved(bell, by=(0, half + 0.04, 0)), z=tilt) for tilt in (34.0, -34.0)]
        parts += [Surface(grid=grid, color=paint.accent, metal=0.3, gloss=0.6) for grid in bells]
        hammer = rod(start=(0, half - 0.02, 0), end=(0, half + 0.16, 0), radius=0.03)
        parts.append(Surface(grid=hammer, color=STEEL, metal=0.6))
    if not square:
        for x in (-1, 1):
            foot = rod(start=(x * half * 0.62, -half - 0.04, 0.0), end=(x * half * 0.45, -half * 0.7, 0.0), radius=0.05)
            parts.append(Surface(grid=foot, color=paint.accent))
    return parts

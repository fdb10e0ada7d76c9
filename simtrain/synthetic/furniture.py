"""Chairs, tables, stools and bookshelves."""

from itertools import pairwise

import numpy as np

from simtrain.synthetic.palette import DARK, PAPER, STEEL, Paint, Rgb
from simtrain.synthetic.solids import (
    Array,
    Surface,
    box,
    circle,
    loft,
    moved,
    revolve,
    rod,
    rounded_rectangle,
    slab,
    smooth_path,
    torus,
    tube,
    turned,
)


def _cushion(outline: Array, *, height: float, thickness: float, softness: float) -> Array:
    """A seat or table top lying flat, its upper edge rounded by `softness` 0..1 of its thickness."""
    soft = thickness * softness
    turn = np.linspace(0.0, np.pi / 2, 5)
    edge = np.stack([height - soft * (1 - np.sin(turn)), 1 - soft * (1 - np.cos(turn))], axis=1)
    inset = [(height, edge[-1, 1] * share) for share in np.linspace(1.0, 0.0, 7)[1:]]
    return loft(outline, levels=np.concatenate([[(height - thickness, 1.0)], edge, inset]))


def _four_legs(
    *, size: tuple[float, float, float], splay: float, thickness: float, tip: float, square: bool
) -> list[Array]:
    """Legs below a top of (width, height, depth)."""
    width, height, depth = size
    legs = []
    for x, z in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
        top = (x * (width / 2 - thickness), height, z * (depth / 2 - thickness))
        foot = (top[0] + x * splay, 0.0, top[2] + z * splay)
        segments = 4 if square else 10
        legs.append(rod(start=foot, end=top, radius=tip, tip=thickness, segments=segments))
    return legs


def _chair_back(
    *, style: str, paint: Paint, seat: tuple[float, float, float], rng: np.random.Generator
) -> list[Surface]:
    width, height, depth = seat
    rise, lean = rng.uniform(0.6, 0.9), rng.uniform(6.0, 14.0)
    span = width * rng.uniform(0.84, 1.0)
    pieces: list[tuple[Array, Rgb, str | None]] = []
    if style == "panel":
        outline = rounded_rectangle(width=span, depth=rise, roundness=rng.uniform(0.1, 0.7), segments=40)
        lift = rise / 2 + rng.uniform(0.0, 0.1)
        pieces.append((moved(slab(outline, thickness=0.08, rounding=0.05), by=(0, lift, 0)), paint.primary, "flat"))
        pieces += [(rod(start=(x, -0.05, -0.03), end=(x, lift, -0.05), radius=0.03), paint.accent, None)
                   for x in (-span * 0.3, span * 0.3)]  # fmt: skip
    else:
        posts = (-span / 2, span / 2)
        pieces += [(rod(start=(x, 0, 0), end=(x, rise, 0), radius=0.04), paint.accent, None) for x in posts]
        top = rng.uniform(0.1, 0.26)
        pieces.append((box(size=(span + 0.08, top, 0.06), center=(0, rise - top / 2, 0)), paint.primary, "flat"))
        count = int(rng.integers(3, 7))
        if style == "spindle":
            pieces += [(rod(start=(x, 0, 0), end=(x, rise - top / 2, 0), radius=0.02), paint.accent, None)
                       for x in np.linspace(*posts, count + 2)[1:-1]]  # fmt: skip
        else:
            rungs = np.linspace(0.1, rise - top - 0.08, min(count, 4))
            pieces += [(box(size=(span, 0.075, 0.04), center=(0, y, 0)), paint.primary, None) for y in rungs]
    offset = (0.0, height - 0.03, -depth / 2 + 0.05)
    return [
        Surface(grid=turned(grid, x=-lean) + offset, color=color, pattern=pattern) for grid, color, pattern in pieces
    ]


def chair(*, style: str, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """A chair facing the viewer, with a panel, ladder or spindle back and perhaps armrests."""
    width, depth, height = rng.uniform(0.62, 0.84), rng.uniform(0.58, 0.74), rng.uniform(0.56, 0.74)
    outline = rounded_rectangle(width=width, depth=depth, roundness=rng.uniform(0.1, 0.6), segments=40)
    thickness = rng.uniform(0.05, 0.15)
    seat = _cushion(outline, height=height, thickness=thickness, softness=rng.uniform(0.3, 1.0))
    legs = _four_legs(
        size=(width * 0.9, height - thickness, depth * 0.9), splay=rng.uniform(0.0, 0.12),
        thickness=rng.uniform(0.03, 0.055), tip=rng.uniform(0.018, 0.04), square=bool(rng.random() < 0.5),
    )  # fmt: skip
    parts = [Surface(grid=leg, color=paint.accent) for leg in legs]
    parts.append(Surface(grid=seat, color=paint.primary, pattern="flat", gloss=0.05))
    parts += _chair_back(style=style, paint=paint, seat=(width, height, depth), rng=rng)
    if rng.random() < 0.35:
        lift, back = height + rng.uniform(0.2, 0.32), -depth / 2 + 0.02
        for x in (-width / 2, width / 2):
            path = smooth_path([(x, lift, back), (x, lift, depth * 0.25), (x, height - 0.05, depth * 0.32)], count=14)
            parts.append(Surface(grid=tube(path, radius=0.035, facing=(1, 0, 0)), color=paint.accent))
    return parts


def _pedestal(*, height: float, rng: np.random.Generator) -> Array:
    foot, stem = rng.uniform(0.26, 0.42), rng.uniform(0.04, 0.09)
    return revolve(
        smooth_path(
            [(foot, 0.0), (foot * 0.9, 0.05), (stem, 0.22), (stem, height * 0.7), (stem * 2, height)], count=24
        ),
        segments=32,
    )


def table(*, style: str, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """A table: four-legged or on a pedestal, its top a rounded rectangle or an ellipse; some have a drawer."""
    height, depth = rng.uniform(0.55, 0.95), rng.uniform(0.65, 0.95)
    width = depth * (rng.uniform(1.0, 1.15) if style == "pedestal" else rng.uniform(1.1, 1.9))
    roundness = 1.0 if style in ("pedestal", "oval") else rng.uniform(0.05, 0.3)
    outline = rounded_rectangle(width=width, depth=depth, roundness=roundness, segments=56)
    thickness = rng.uniform(0.04, 0.1)
    top = _cushion(outline, height=height, thickness=thickness, softness=rng.uniform(0.2, 0.8))
    parts = [Surface(grid=top, color=paint.primary, pattern="flat", gloss=rng.uniform(0.05, 0.4))]
    if style == "pedestal":
        return [*parts, Surface(grid=_pedestal(height=height - thickness, rng=rng), color=paint.accent)]
    shrink = 0.9 if style == "rectangular" else 0.68
    legs = _four_legs(
        size=(width * shrink, height - thickness, depth * shrink), splay=rng.uniform(-0.02, 0.12),
        thickness=rng.uniform(0.03, 0.065), tip=rng.uniform(0.015, 0.06), square=bool(rng.random() < 0.6),
    )  # fmt: skip
    parts += [Surface(grid=leg, color=paint.accent) for leg in legs]
    if style == "rectangular" and rng.random() < 0.6:
        drop = rng.uniform(0.1, 0.2)
        level = height - thickness - drop / 2
        parts.append(
            Surface(grid=box(size=(width * 0.84, drop, depth * 0.8), center=(0, level, 0)), color=paint.primary)
        )
        knob = moved(torus(radius=0.018, thickness=0.018), by=(0.0, level, depth * 0.4 + 0.02))
        parts.append(Surface(grid=knob, color=STEEL, metal=0.6, casts=False, raised=0.1))
    if rng.random() < 0.3:
        shelf = box(size=(width * shrink * 0.9, 0.04, depth * shrink * 0.9), center=(0, height * 0.3, 0))
        parts.append(Surface(grid=shelf, color=paint.primary))
    return parts


def stool(*, style: str, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """A stool: round or square seat on splayed legs with a foot ring."""
    height, width = rng.uniform(0.95, 1.35), rng.uniform(0.44, 0.6)
    thickness = rng.uniform(0.06, 0.2)
    outline = circle(segments=48) * (width / 2)
    if style == "square":
        outline = rounded_rectangle(width=width, depth=width * 0.9, roundness=rng.uniform(0.1, 0.4), segments=40)
    seat = _cushion(outline, height=height, thickness=thickness, softness=rng.uniform(0.3, 1.0))
    count = 3 if style == "tripod" else 4
    splay, radius = rng.uniform(0.04, 0.2), rng.uniform(0.022, 0.042)
    parts = [Surface(grid=seat, color=paint.primary, pattern="flat", gloss=0.1)]
    for angle in np.arange(count) * 2 * np.pi / count + np.pi / 4:
        x, z = np.sin(angle), np.cos(angle)
        reach = width / 2 * 0.82
        foot, head = (x * (reach + splay), 0.0, z * (reach + splay)), (x * reach, height - thickness, z * reach)
        parts.append(Surface(grid=rod(start=foot, end=head, radius=radius * 0.8, tip=radius), color=paint.accent))
    level = rng.uniform(0.22, 0.45)
    around = width / 2 * 0.82 + splay * (1 - level)
    parts.append(Surface(grid=torus(radius=around, thickness=0.02, height=level * height), color=paint.accent))
    return parts


def _books(
    *, across: tuple[float, float], floor: float, room: float, depth: float, paint: Paint, rng: np.random.Generator
) -> list[Surface]:
    """Books from the left to the right end of a shelf, part of which stays empty."""
    left, right = across
    colors: tuple[Rgb, ...] = (paint.accent, PAPER, DARK, (158, 60, 52), (64, 96, 130), (196, 168, 110), (86, 116, 86))
    books, x = [], left + rng.uniform(0.0, 0.25) * (right - left)
    end = right - rng.uniform(0.0, 0.4) * (right - left)
    while x < end - 0.09:
        width, height = rng.uniform(0.045, 0.09), room * rng.uniform(0.55, 0.9)
        grid = box(size=(width * 0.94, height, depth), center=(x + width / 2, floor + height / 2, 0.02), step=0.2)
        books.append(Surface(grid=grid, color=colors[int(rng.integers(len(colors)))], casts=False))
        x += width
    return books


def bookshelf(*, style: str, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """A bookcase with two to five shelves, partly filled; `style` is tall, wide or cube."""
    width, height = {
        "tall": (rng.uniform(0.6, 0.85), rng.uniform(1.5, 1.9)),
        "wide": (rng.uniform(1.2, 1.6), rng.uniform(0.8, 1.0)),
        "cube": (rng.uniform(0.95, 1.2), rng.uniform(0.95, 1.2)),
    }[style]
    depth, board, foot = rng.uniform(0.28, 0.4), rng.uniform(0.035, 0.07), rng.uniform(0.0, 0.16)
    rows = int(rng.integers(4, 6)) if style == "tall" else int(rng.integers(2, 4))
    sides = [-width / 2, width / 2] + ([0.0] if style != "tall" else [])
    # The middle board ends inside the top one: faces in one plane would be drawn in no certain order.
    boards = [((board, height - board * (x == 0.0), depth), (x, (height - board * (x == 0.0)) / 2, 0.0)) for x in sides]
    levels = np.linspace(foot + board / 2, height - board / 2, rows + 1)
    levels[1:-1] += rng.uniform(-0.04, 0.04, size=rows - 1)
    boards += [((width, board, depth), (0.0, float(y), 0.0)) for y in levels]
    back = box(size=(width, height - foot - board, 0.02), center=(0, (height + foot) / 2, 0.02 - depth / 2), step=0.09)
    parts = [Surface(grid=back, color=paint.accent, raised=-0.15)]
    parts += [
        Surface(grid=box(size=size, center=center, step=0.09), color=paint.primary, pattern="flat")
        for size, center in boards
    ]
    sides.sort()
    for floor, ceiling in zip(levels[:-1] + board / 2, levels[1:] - board / 2, strict=True):
        for left, right in pairwise(sides):
            if rng.random() < 0.75:
                parts += _books(
                    across=(left + board / 2, right - board / 2), floor=float(floor), room=float(ceiling - floor),
                    depth=depth * 0.6, paint=paint, rng=rng,
                )  # fmt: skip
    return parts

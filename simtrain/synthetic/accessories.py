"""Handbags, suitcases, hats and headphones."""

import numpy as np

from simtrain.synthetic.palette import BRASS, DARK, STEEL, Paint
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


def _bag_strap(*, span: float, top: float, rise: float, z: float, squareness: float) -> Array:
    half = span / 2
    return smooth_path(
        [
            (-half, top - 0.14, z), (-half, top + rise * 0.3, z * 0.9),
            (-half * squareness, top + rise * 0.85, z * 0.7), (0, top + rise, z * 0.6),
            (half * squareness, top + rise * 0.85, z * 0.7), (half, top + rise * 0.3, z * 0.9), (half, top - 0.14, z),
        ],
        count=30,
    )  # fmt: skip


def _bag_flap(*, width: float, height: float, depth: float, drop: float, paint: Paint) -> list[Surface]:
    outline = rounded_rectangle(width=width * 0.96, depth=drop, roundness=0.45, segments=36)
    front = slab(outline, thickness=0.03, rounding=0.02, rings=4)
    front = moved(front, by=(0, height - drop / 2 + 0.01, depth / 2 + 0.015))
    buckle = box(size=(0.09, 0.07, 0.03), center=(0, height - drop + 0.04, depth / 2 + 0.05))
    return [
        Surface(grid=front, color=paint.accent, gloss=0.2, casts=False, raised=0.12),
        Surface(grid=buckle, color=BRASS, metal=0.7, casts=False, raised=0.2),
    ]


def handbag(*, style: str, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """A handbag: tote with two handles, satchel with a flap, or bucket bag."""
    width = {"tote": rng.uniform(0.85, 1.15), "satchel": rng.uniform(0.8, 1.1), "bucket": rng.uniform(0.6, 0.75)}[style]
    height = width * {"tote": rng.uniform(0.7, 0.95), "satchel": rng.uniform(0.55, 0.72), "bucket": 1.15}[style]
    depth = width * (rng.uniform(0.8, 1.0) if style == "bucket" else rng.uniform(0.24, 0.4))
    roundness = 0.85 if style == "bucket" else rng.uniform(0.2, 0.5)
    outline = rounded_rectangle(width=width, depth=depth, roundness=roundness, segments=52)
    taper, belly = rng.uniform(0.78, 1.12), rng.uniform(0.0, 0.08)
    body = smooth_path(
        [(0.03, 0.97), (height * 0.15, 1.0 + belly), (height * 0.6, (1 + taper) / 2 + belly), (height, taper)], count=20
    )
    lid = [(height + 0.01, taper * share) for share in (0.9, 0.6, 0.3, 0.0)]
    grid = loft(outline, levels=np.concatenate([[(0.0, 0.0), (0.0, 0.9)], body, lid]))
    gloss = rng.uniform(0.05, 0.4)
    parts = [Surface(grid=grid, color=paint.primary, pattern="flat", gloss=gloss)]
    rise, squareness = rng.uniform(0.25, 0.55), rng.uniform(0.55, 0.95)
    span = width * rng.uniform(0.4, 0.7)
    for side in (-1, 1) if style == "tote" else (0,):
        z = side * depth * taper / 2
        path = _bag_strap(span=span, top=height, rise=rise, z=z, squareness=squareness)
        strap = tube(path, radius=rng.uniform(0.02, 0.032), flatness=1.4)
        parts.append(Surface(grid=strap, color=paint.accent, gloss=0.2))
    if style == "satchel":
        depth_at_top = depth * max(1.0 + belly, (1 + taper) / 2 + belly)
        drop = height * rng.uniform(0.35, 0.65)
        parts += _bag_flap(width=width * min(taper, 1.0), height=height, depth=depth_at_top, drop=drop, paint=paint)
    if style == "bucket":
        levels = np.array([(height * 0.86, 1.0), (height * 0.93, 1.0)]) * (1, (1 + taper) / 2 * 1.04)
        parts.append(Surface(grid=loft(outline, levels=levels), color=paint.accent, casts=False, raised=0.05))
    return parts


def suitcase(*, style: str, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """An upright trolley case, ribbed or smooth, or a vintage case with straps."""
    vintage = style == "vintage"
    width = rng.uniform(0.95, 1.25) if vintage else rng.uniform(0.66, 0.86)
    height = width * (rng.uniform(0.62, 0.8) if vintage else rng.uniform(1.3, 1.6))
    depth, lift = rng.uniform(0.28, 0.4), 0.0 if vintage else 0.1
    outline = rounded_rectangle(width=width, depth=height, roundness=rng.uniform(0.12, 0.3), segments=60)
    if style == "ribbed":
        ribs = int(rng.integers(5, 10))
        outline = outline * (1 + 0.012 * np.cos(outline[:, :1] / width * 2 * np.pi * ribs))
    middle = (0.0, lift + height / 2, 0.0)
    shell = slab(outline, thickness=depth, rounding=rng.uniform(0.06, 0.12), rings=8) + middle
    parts = [Surface(grid=shell, color=paint.primary, pattern="flat", gloss=0.35, metal=0.4 * paint.metallic)]
    if style == "ribbed":
        for x in np.linspace(-0.36, 0.36, int(rng.integers(4, 8))) * width:
            rib = box(size=(0.03, height * 0.82, 0.02), center=(float(x), middle[1], depth / 2 + 0.01), step=0.3)
            parts.append(Surface(grid=rib, color=paint.primary, gloss=0.4, casts=False, raised=0.1))
    seam = slab(outline * 1.012, thickness=0.035, rounding=0.01, rings=1) + middle
    parts.append(Surface(grid=seam, color=paint.accent if vintage else DARK, casts=False, raised=0.02))
    if vintage:
        parts += _vintage_trim(width=width, height=height, depth=depth, paint=paint, rng=rng)
    else:
        parts += _trolley(width=width, top=lift + height, depth=depth, paint=paint, rng=rng)
    return parts


def _vintage_trim(
    *, width: float, height: float, depth: float, paint: Paint, rng: np.random.Generator
) -> list[Surface]:
    parts = []
    for x in (-width * rng.uniform(0.24, 0.34), width * 0.29):
        strap = box(size=(0.08, height * 1.02, depth * 1.03), center=(x, height / 2, 0), step=0.1)
        parts.append(Surface(grid=strap, color=paint.accent, gloss=0.2, casts=False, raised=0.12))
        buckle = box(size=(0.12, 0.08, 0.03), center=(x, height * 0.72, depth / 2 + 0.02))
        parts.append(Surface(grid=buckle, color=BRASS, metal=0.7, casts=False, raised=0.16))
    grip = smooth_path(
        [(-0.15, height, 0), (-0.12, height + 0.1, 0), (0.12, height + 0.1, 0), (0.15, height, 0)], count=18
    )
    return [*parts, Surface(grid=tube(grip, radius=0.03), color=paint.accent)]


def _trolley(*, width: float, top: float, depth: float, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    parts = []
    pull, half = rng.uniform(0.12, 0.5), width * rng.uniform(0.2, 0.3)
    for x in (-half, half):
        bar = rod(start=(x, top - 0.05, -depth * 0.3), end=(x, top + pull, -depth * 0.3), radius=0.02)
        parts.append(Surface(grid=bar, color=STEEL, metal=0.7))
    grip = box(size=(half * 2 + 0.1, 0.07, 0.07), center=(0, top + pull, -depth * 0.3))
    parts.append(Surface(grid=grip, color=paint.accent))
    for x, z in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
        wheel = turned(torus(radius=0.035, thickness=0.035), z=90.0)
        place = (x * width * 0.36, 0.07, z * depth * 0.28)
        parts.append(Surface(grid=wheel + place, color=DARK))
    badge = slab(circle(segments=20) * rng.uniform(0.04, 0.07), thickness=0.02, rounding=0.004, rings=2)
    badge = moved(badge, by=(0, top - 0.2, depth / 2 + 0.02))
    parts.append(Surface(grid=badge, color=paint.accent, casts=False, raised=0.1))
    return parts


def _crown(*, style: str, radius: float, rng: np.random.Generator) -> Array:
    height = {"fedora": 0.46, "bowler": 0.44, "boater": 0.26, "sun": 0.4}[style] * rng.uniform(0.88, 1.15)
    top = radius * {"fedora": 0.78, "bowler": 0.8, "boater": 0.98, "sun": 0.7}[style]
    edge = [(top * 0.97, height), (top * 0.5, height + 0.01)] if style == "boater" else [(top * 0.6, height * 0.97)]
    control = [(radius, 0.04), (radius * 0.98, height * 0.35), (top, height * 0.84), *edge, (0.0, height)]
    grid = revolve(smooth_path(control, count=26))
    if style == "fedora":
        # The pinch: the crown sinks along its middle from front to back.
        depth = rng.uniform(0.08, 0.16)
        high = np.clip((grid[:, :, 1] / height - 0.55) / 0.45, 0.0, 1.0)
        grid[:, :, 1] -= depth * high * np.exp(-((grid[:, :, 0] / (radius * 0.3)) ** 2))
    return grid


def hat(*, style: str, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """A hat with a ribbon: fedora, bowler, boater or sun hat."""
    radius = rng.uniform(0.33, 0.4)
    brim = radius + {"fedora": 0.24, "bowler": 0.17, "boater": 0.24, "sun": 0.44}[style] * rng.uniform(0.8, 1.2)
    curl, droop = {"fedora": 0.05, "bowler": 0.12, "boater": 0.0, "sun": 0.03}[style], rng.uniform(0.0, 0.05)
    over = smooth_path([(brim, 0.0), ((brim + radius) / 2, 0.012), (radius * 0.9, 0.04)], count=12)
    edge = np.concatenate([[(brim - 0.02, -0.025), (brim, -0.02)], over])
    plate, wave = revolve(edge), rng.uniform(0.0, 0.04) if style == "sun" else 0.0
    turn = np.arctan2(plate[:, :, 0], plate[:, :, 2])
    reach = np.clip((np.hypot(plate[:, :, 0], plate[:, :, 2]) - radius) / (brim - radius), 0.0, 1.0)
    # Side brims curl up, front and back droop: the saddle every felt hat has.
    plate[:, :, 1] += reach**2 * (curl * np.sin(turn) ** 2 * 2 - droop * np.cos(turn) ** 2 + wave * np.sin(5 * turn))
    crown, oval = _crown(style=style, radius=radius, rng=rng), (0.92, 1.0, rng.uniform(1.0, 1.14))
    band_height = rng.uniform(0.06, 0.14)
    band = revolve(np.linspace((radius * 1.025, 0.04), (radius * 1.02, 0.04 + band_height), 4))
    return [
        Surface(grid=plate * oval, color=paint.primary, gloss=0.03),
        Surface(grid=crown * oval, color=paint.primary, pattern="round", gloss=0.03),
        Surface(grid=band * oval, color=paint.accent, gloss=0.15, casts=False, raised=0.03),
    ]


def headphones(*, style: str, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """Over-ear headphones standing on their cups, facing the viewer; `style` is round, oval or studio."""
    spread, rise = rng.uniform(0.4, 0.5), rng.uniform(0.95, 1.15)
    size, thick = rng.uniform(0.24, 0.32), rng.uniform(0.1, 0.17)
    stretch = 1.0 if style == "round" else rng.uniform(1.15, 1.35)
    center = size * stretch
    angle = np.linspace(-0.06, np.pi + 0.06, 34)
    squareness = rng.uniform(0.7, 1.0)
    arc_x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** squareness
    # The band ends inside the cups, between speaker and shell.
    arc = np.stack([(spread + 0.075) * arc_x, center + (rise - center) * np.sin(angle), 0 * angle], axis=1)
    band_color = paint.accent if rng.random() < 0.5 else paint.primary
    width = rng.uniform(1.8, 3.6)
    parts = [Surface(grid=tube(arc, radius=0.032, flatness=width, segments=14), color=band_color, gloss=0.3)]
    pad = tube(arc[8:-8] * (0.92, 1.0, 1.0) - (0, 0.045, 0), radius=0.03, flatness=width * 0.9, segments=12)
    parts.append(Surface(grid=pad, color=DARK, gloss=0.05, casts=False))
    dome = rng.uniform(0.02, 0.09)
    shell = smooth_path([(size * 0.94, 0.0), (size, thick * 0.4), (size * 0.9, thick), (0.0, thick + dome)], count=16)
    face = revolve(np.linspace((size * 0.52, thick + dome * 0.55 + 0.012), (0.0, thick + dome + 0.014), 5))
    turn = np.linspace(-np.pi, np.pi, 14)
    soft = revolve(np.stack([size * 0.66 + 0.09 * np.cos(turn), 0.06 * np.sin(turn) - 0.03], axis=1))
    speaker = revolve(np.linspace((0.0, 0.0), (size * 0.94, 0.0), 6))
    cushion = DARK if rng.random() < 0.6 else paint.accent
    for side in (-1, 1):
        pieces = (
            (revolve(shell), paint.primary, 0.35, 0.0),
            (face, paint.accent, 0.5, 0.05),
            (speaker, DARK, 0.0, 0.0),
            (soft, cushion, 0.05, 0.02),
        )
        for grid, color, gloss, raised in pieces:
            cup = turned(grid, z=-90.0 * side) * (1, stretch, 1) + (side * (spread + 0.02), center, 0)
            parts.append(Surface(grid=cup, color=color, gloss=gloss, raised=raised))
    return parts

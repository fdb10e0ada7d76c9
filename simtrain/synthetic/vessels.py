"""Mugs, bottles, vases and teapots: turned bodies with handles, spouts and lids."""

import numpy as np

from simtrain.synthetic.palette import STEEL, Paint
from simtrain.synthetic.solids import Array, Surface, revolve, smooth_path, torus, tube


def _body(profile: Array, *, paint: Paint, gloss: float) -> Surface:
    return Surface(
        grid=revolve(profile), color=paint.primary, pattern="round", gloss=gloss, metal=0.6 * float(paint.metallic)
    )


def _hollow(profile: Array, *, wall: float, paint: Paint, accent_inside: bool) -> Surface:
    """The inside of an open vessel: the outer profile walked back down, one wall thinner."""
    inside = profile[::-1][: max(4, len(profile) * 3 // 4)] - (wall, 0.0)
    inside[:, 0] = np.maximum(inside[:, 0], 0.02)
    floor = inside[-1:] * (0.0, 1.0)
    rim = profile[-1:]
    rounded_lip = rim + np.array([-wall / 2, wall * 0.4])
    path = np.concatenate([rim, rounded_lip, inside, floor])
    color = paint.accent if accent_inside else paint.primary
    # Raised, so that a handle's end behind the wall is not drawn over it.
    return Surface(grid=revolve(path), color=color, cavity=True, raised=0.04)


def _arc_handle(*, foot: tuple[float, float], head: tuple[float, float], reach: float, sag: float) -> Array:
    """A C-shaped path on the right of a vessel, between two points (x, y) on its wall; (24, 3)."""
    low, high = np.asarray(foot), np.asarray(head)
    middle = (low + high) / 2 + (reach, sag)
    shoulders = ((high * 0.8 + low * 0.2) + (reach * 0.85, 0.02), (low * 0.8 + high * 0.2) + (reach * 0.8, 0.0))
    flat = smooth_path([high, shoulders[0], middle, shoulders[1], low], count=24)
    return np.column_stack([flat, np.zeros(len(flat))])


def _mug_profile(*, style: str, radius: float, height: float, rng: np.random.Generator) -> Array:
    bulge = rng.uniform(0.05, 0.16)
    foot, middle, lip = {
        "straight": (radius * rng.uniform(0.94, 1.0), radius, radius),
        "tapered": (radius * rng.uniform(0.66, 0.82), radius * rng.uniform(0.84, 0.92), radius),
        "rounded": (radius * rng.uniform(0.7, 0.85), radius * (1 + bulge), radius * rng.uniform(0.85, 0.98)),
    }[style]
    edge = rng.uniform(0.015, 0.05)
    body = smooth_path(
        [(foot, edge), ((foot + middle) / 2 * (1 + bulge / 4), height * 0.28), (middle, height * 0.55), (lip, height)],
        count=26,
    )
    return np.concatenate([[(foot * 0.6, 0.0), (foot - edge * 0.7, 0.0)], body])


def mug(*, style: str, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """A mug with its handle on the right."""
    height = rng.uniform(0.72, 1.15)
    profile = _mug_profile(style=style, radius=rng.uniform(0.34, 0.46), height=height, rng=rng)
    low, high = rng.uniform(0.14, 0.32) * height, rng.uniform(0.72, 0.9) * height
    at_low, at_high = (float(np.interp(y, profile[2:, 1], profile[2:, 0])) for y in (low, high))
    path = _arc_handle(
        foot=(at_low, low), head=(at_high, high), reach=rng.uniform(0.2, 0.34), sag=rng.uniform(-0.08, 0.1)
    )
    handle = tube(path, radius=rng.uniform(0.032, 0.06), flatness=rng.uniform(0.9, 1.9))
    gloss = rng.uniform(0.1, 0.5)
    return [
        _body(profile, paint=paint, gloss=gloss),
        _hollow(profile, wall=rng.uniform(0.025, 0.045), paint=paint, accent_inside=bool(rng.random() < 0.6)),
        Surface(grid=handle, color=paint.accent, gloss=gloss),
    ]


def _bottle_cap(*, top: float, radius: float, height: float) -> Array:
    bevel = min(radius, height) * 0.18
    return revolve(
        np.array([
            (radius, top), (radius, top + height / 2), (radius, top + height - bevel), (radius - bevel, top + height),
            (radius / 2, top + height), (0.0, top + height),
        ])
    )  # fmt: skip


def bottle(*, style: str, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """A closed bottle: straight-shouldered, long-necked or waisted."""
    height, radius = rng.uniform(1.3, 1.9), rng.uniform(0.27, 0.38)
    shoulder = {"sport": rng.uniform(0.74, 0.84), "long-neck": rng.uniform(0.48, 0.62), "waisted": 0.72}[style]
    neck = radius * {"sport": rng.uniform(0.55, 0.8), "long-neck": rng.uniform(0.28, 0.4), "waisted": 0.5}[style]
    waist = rng.uniform(0.74, 0.86) if style == "waisted" else rng.uniform(0.97, 1.03)
    side = smooth_path(
        [
            (radius, 0.05), (radius, height * 0.15), (radius * waist, height * shoulder * 0.55),
            (radius, height * shoulder * 0.92), (radius * 0.93, height * shoulder),
            ((radius + neck) / 2 * 0.95, height * (shoulder * 0.6 + 0.4)), (neck, height * (shoulder * 0.2 + 0.8)),
            (neck, height),
        ],
        count=36,
    )  # fmt: skip
    profile = np.concatenate([[(radius * 0.6, 0.0), (radius - 0.04, 0.0)], side])
    gloss = rng.uniform(0.25, 0.7)
    cap_radius = neck * rng.uniform(1.05, 1.3)
    cap = _bottle_cap(top=height - 0.03, radius=cap_radius, height=rng.uniform(0.1, 0.26))
    parts = [_body(profile, paint=paint, gloss=gloss), Surface(grid=cap, color=paint.accent, gloss=0.3)]
    if rng.random() < 0.4:
        ring = torus(radius=cap_radius, thickness=0.03, height=height - 0.05)
        parts.append(Surface(grid=ring, color=STEEL, metal=0.7, casts=False, raised=0.05))
    if style == "sport" and rng.random() < 0.6:
        top = height + 0.1
        angle = np.linspace(0.0, np.pi, 14)
        loop = np.stack([cap_radius * 0.9 * np.cos(angle), top + 0.2 * np.sin(angle), 0 * angle], axis=1)
        parts.append(Surface(grid=tube(loop, radius=0.035), color=paint.accent))
    return parts


def _vase_profile(*, style: str, rng: np.random.Generator) -> Array:
    height = rng.uniform(1.1, 1.7)
    foot, low, belly, neck, lip = {
        "round": (0.22, 0.42, 0.5, 0.24, 0.28),
        "slender": (0.2, 0.26, 0.3, 0.15, 0.19),
        "trumpet": (0.24, 0.18, 0.2, 0.3, 0.46),
        "urn": (0.22, 0.3, 0.46, 0.34, 0.4),
    }[style]
    jitter = rng.uniform(0.8, 1.22, size=5)
    heights = np.array([0.03, 0.22, 0.55, 0.85, 1.0]) * height
    heights[1:4] += rng.uniform(-0.07, 0.07, size=3) * height
    radii = np.array([foot, low, belly, neck, lip]) * jitter
    side = smooth_path(np.stack([radii, heights], axis=1).tolist(), count=38)
    return np.concatenate([[(radii[0] * 0.5, 0.0), (radii[0], 0.0)], side])


def vase(*, style: str, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """A vase with a rim; urns carry two handles."""
    profile = _vase_profile(style=style, rng=rng)
    height = float(profile[-1, 1])
    parts = [
        _body(profile, paint=paint, gloss=rng.uniform(0.1, 0.7)),
        _hollow(profile, wall=0.03, paint=paint, accent_inside=bool(rng.random() < 0.5)),
    ]
    if style == "urn":
        low, high = rng.uniform(0.45, 0.6) * height, rng.uniform(0.82, 0.95) * height
        at_low, at_high = (float(np.interp(y, profile[2:, 1], profile[2:, 0])) for y in (low, high))
        path = _arc_handle(foot=(at_low, low), head=(at_high, high), reach=rng.uniform(0.12, 0.24), sag=0.05)
        thickness = rng.uniform(0.025, 0.05)
        # Mirrored through the axis, not only in x, so that the faces keep pointing outwards.
        parts += [
            Surface(grid=tube(path, radius=thickness) * side, color=paint.accent) for side in ((1, 1, 1), (-1, 1, -1))
        ]
    rim = torus(radius=float(profile[-1, 0]), thickness=rng.uniform(0.015, 0.04), height=height)
    return [*parts, Surface(grid=rim, color=paint.accent, casts=False, raised=0.03)]


def _teapot_spout(*, radius: float, height: float, rng: np.random.Generator) -> Array:
    tip = height * rng.uniform(0.85, 1.05)
    reach = radius + rng.uniform(0.28, 0.42)
    flat = smooth_path(
        [(radius * 0.8, height * 0.3), (radius + 0.1, height * 0.42), (reach - 0.1, tip * 0.78), (reach, tip)], count=18
    )
    path = np.column_stack([-flat[:, 0], flat[:, 1], np.zeros(len(flat))])
    return tube(path, radius=np.linspace(rng.uniform(0.12, 0.18), rng.uniform(0.04, 0.06), 18), segments=14)


def teapot(*, style: str, paint: Paint, rng: np.random.Generator) -> list[Surface]:
    """A teapot: handle on the right, spout on the left, lid with a knob."""
    height = {"round": rng.uniform(0.62, 0.76), "tall": rng.uniform(0.85, 1.05), "squat": rng.uniform(0.48, 0.58)}[
        style
    ]
    radius = {"round": rng.uniform(0.46, 0.54), "tall": rng.uniform(0.36, 0.44), "squat": rng.uniform(0.52, 0.6)}[style]
    neck = radius * rng.uniform(0.5, 0.68)
    widest = rng.uniform(0.38, 0.6)
    side = smooth_path(
        [
            (radius * rng.uniform(0.6, 0.78), 0.04),
            (radius * 0.96, height * widest * 0.6),
            (radius, height * widest),
            (radius * 0.9, height * (0.5 + widest / 2)),
            (neck, height),
        ],
        count=26,
    )
    profile = np.concatenate([[(side[0, 0] * 0.6, 0.0), (side[0, 0], 0.0)], side])
    gloss = rng.uniform(0.2, 0.7)
    dome, knob = rng.uniform(0.06, 0.18), rng.uniform(0.045, 0.08)
    lid = smooth_path([(neck * 1.05, height - 0.01), (neck * 0.8, height + dome * 0.7), (0.0, height + dome)], count=10)
    turn = np.linspace(-np.pi / 2, np.pi / 2, 8)
    ball = np.stack([knob * np.cos(turn), height + dome + knob * (0.8 + np.sin(turn))], axis=1)
    at = radius * 0.93
    path = _arc_handle(
        foot=(at * 0.95, height * 0.22), head=(at * 0.9, height * 0.8), reach=rng.uniform(0.26, 0.4), sag=0.04
    )
    return [
        _body(profile, paint=paint, gloss=gloss),
        Surface(grid=revolve(lid), color=paint.primary if rng.random() < 0.6 else paint.accent, gloss=gloss),
        Surface(grid=revolve(ball), color=paint.accent, gloss=gloss, casts=False),
        Surface(grid=_teapot_spout(radius=radius, height=height, rng=rng), color=paint.primary, gloss=gloss),
        Surface(grid=tube(path, radius=rng.uniform(0.035, 0.06)), color=paint.accent, gloss=gloss),
    ]

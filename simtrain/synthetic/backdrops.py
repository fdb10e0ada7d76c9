"""Backgrounds: floors and walls traced through the camera, studio gradients and blurred clutter."""

# Shapes: S pixels along one side of the square image.

import cv2
import numpy as np
from numpy.typing import NDArray

from simtrain.synthetic.camera import Camera
from simtrain.synthetic.palette import WOODS
from simtrain.synthetic.solids import Array

Picture = NDArray[np.float32]


def draw_backdrop(kind: str, *, camera: Camera, size: int, rng: np.random.Generator) -> Picture:
    """A background (S, S, 3), sRGB 0..255; `kind` is one of scene.BACKDROPS."""
    if kind == "white":
        return _white(size=size, rng=rng)
    if kind in ("grey", "studio"):
        return _studio(size=size, colored=kind == "studio", rng=rng)
    if kind == "bokeh":
        return _bokeh(size=size, rng=rng)
    return _room(kind, camera=camera, size=size, rng=rng)


def _white(*, size: int, rng: np.random.Generator) -> Picture:
    return np.full((size, size, 3), rng.uniform(252.0, 255.0), dtype=np.float32)


def _muted(*, lightness: tuple[float, float], saturation: float, rng: np.random.Generator) -> Array:
    """A random sRGB colour (3,) of low saturation."""
    level = rng.uniform(*lightness)
    return np.asarray(np.clip(level * (1 + saturation * rng.uniform(-1.0, 1.0, size=3)), 0.0, 255.0))


def _studio(*, size: int, colored: bool, rng: np.random.Generator) -> Picture:
    color = _muted(lightness=(150.0, 235.0), saturation=0.24 if colored else 0.015, rng=rng)
    row, column = np.mgrid[0:size, 0:size].astype(np.float32) / size
    middle = rng.uniform(0.25, 0.75, size=2)
    away = np.hypot(row - middle[0], column - middle[1])
    horizon = 1.0 / (1.0 + np.exp(-(row - rng.uniform(0.5, 0.75)) * 14.0))
    light = 1.1 - rng.uniform(0.15, 0.45) * away - rng.uniform(-0.06, 0.1) * horizon
    return np.asarray(np.clip(light[:, :, None] * color, 0.0, 255.0), dtype=np.float32)


def _bokeh(*, size: int, rng: np.random.Generator) -> Picture:
    """Out-of-focus things behind a table; drawn small, because blur leaves nothing finer."""
    small = 48
    canvas = np.empty((small, small, 3), dtype=np.float32)
    canvas[:] = _muted(lightness=(70.0, 210.0), saturation=0.2, rng=rng)
    for _ in range(int(rng.integers(8, 18))):
        color = tuple(float(level) for level in _muted(lightness=(30.0, 240.0), saturation=0.4, rng=rng))
        x, y = (int(value) for value in rng.integers(0, small, size=2))
        width, height = (int(value) for value in rng.integers(3, 14, size=2))
        if rng.random() < 0.5:
            cv2.circle(canvas, (x, y // 2), width // 2 + 1, color, -1)
        else:
            cv2.rectangle(canvas, (x, y // 2 - height), (x + width, y // 2 + height), color, -1)
    edge = int(rng.uniform(0.45, 0.68) * small)
    canvas[edge:] = _muted(lightness=(80.0, 215.0), saturation=0.16, rng=rng)
    canvas[edge:] *= np.linspace(0.85, 1.1, small - edge, dtype=np.float32)[:, None, None]
    blurred = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(1.0, 2.2))
    return np.asarray(np.clip(cv2.resize(blurred, (size, size), interpolation=cv2.INTER_CUBIC), 0, 255), np.float32)


def _room(kind: str, *, camera: Camera, size: int, rng: np.random.Generator) -> Picture:
    """A floor and, behind the product, a wall."""
    rays = camera.rays(size=size).astype(np.float32)
    eye = camera.eye.astype(np.float32)
    to_floor = -eye[1] / np.minimum(rays[:, :, 1], -1e-4)
    wall_z = -rng.uniform(1.2, 4.0)
    to_wall = (wall_z - eye[2]) / np.minimum(rays[:, :, 2], -1e-4)
    on_floor = (rays[:, :, 1] < -1e-4) & (to_floor < to_wall)
    x_floor, z_floor = eye[0] + rays[:, :, 0] * to_floor, eye[2] + rays[:, :, 2] * to_floor
    x_wall, y_wall = eye[0] + rays[:, :, 0] * to_wall, eye[1] + rays[:, :, 1] * to_wall
    turn = rng.uniform(0.0, np.pi)
    along, across = x_floor * np.cos(turn) + z_floor * np.sin(turn), z_floor * np.cos(turn) - x_floor * np.sin(turn)
    if kind == "wood":
        floor = _planks(along, across=across, rng=rng)
    elif kind == "tiles":
        floor = _tiles(along, across=across, rng=rng)
    else:
        floor = np.broadcast_to(_muted(lightness=(90.0, 215.0), saturation=0.18, rng=rng), (size, size, 3))
    wall = _wall(x_wall, height=y_wall, papered=kind == "wall", rng=rng)
    picture = np.where(on_floor[:, :, None], floor, wall).astype(np.float32)
    away = np.clip((to_floor - to_floor[-1, size // 2]) * 0.06, 0.0, 0.3) * on_floor
    picture *= 1.0 - away[:, :, None]
    softness = max(0.4, size * rng.uniform(0.002, 0.008))
    return np.asarray(cv2.GaussianBlur(np.clip(picture, 0, 255), (0, 0), softness), dtype=np.float32)


def _planks(along: Picture, *, across: Picture, rng: np.random.Generator) -> Picture:
    base = np.asarray(WOODS[int(rng.integers(len(WOODS)))]) * rng.uniform(0.8, 1.2)
    width = rng.uniform(0.16, 0.4)
    tones = rng.uniform(0.82, 1.12, size=64).astype(np.float32)
    plank = across / width
    tone = tones[np.floor(plank).astype(np.int64) % 64]
    grain = 1.0 + 0.05 * np.sin(across * 70.0 + 3.0 * np.sin(along * 1.7 + tone * 40.0))
    joint = np.where(plank % 1.0 < 0.05, 0.65, 1.0)
    return np.asarray((tone * grain * joint)[:, :, None] * base, dtype=np.float32)


def _tiles(along: Picture, *, across: Picture, rng: np.random.Generator) -> Picture:
    side = rng.uniform(0.3, 0.7)
    first = _muted(lightness=(110.0, 235.0), saturation=0.12, rng=rng)
    second = first * rng.uniform(0.6, 1.0)
    column, row = along / side, across / side
    even = (np.floor(column) + np.floor(row)) % 2 < 1
    tile = np.where(even[:, :, None], first, second)
    grout = (column % 1.0 < 0.05) | (row % 1.0 < 0.05)
    return np.asarray(np.where(grout[:, :, None], first * 0.75, tile), dtype=np.float32)


def _wall(x: Picture, *, height: Picture, papered: bool, rng: np.random.Generator) -> Picture:
    color = _muted(lightness=(110.0, 235.0), saturation=0.2, rng=rng)
    light = 1.0 + rng.uniform(-0.08, 0.08) * x + 0.04 * height
    if papered and rng.random() < 0.6:
        light = light * np.where(x / rng.uniform(0.15, 0.5) % 1.0 < 0.5, 0.9, 1.0)
    elif papered:
        course = height / rng.uniform(0.14, 0.3)
        brick = x / rng.uniform(0.4, 0.7) + 0.5 * (np.floor(course) % 2)
        light = light * np.where((course % 1.0 < 0.1) | (brick % 1.0 < 0.05), 0.8, 1.0)
    skirting = (height < 0.14) & (rng.random() < 0.6)
    return np.asarray(np.where(skirting[:, :, None], 232.0, light[:, :, None] * color), dtype=np.float32)

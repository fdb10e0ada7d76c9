"""The twelve colour names of the catalogue, each with several shades, and the neutral materials products share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rgb = tuple[float, float, float]
"""sRGB, 0..255."""

SHADES: dict[str, tuple[Rgb, ...]] = {
    "black": ((24, 24, 26), (36, 36, 40), (32, 29, 28), (42, 44, 48)),
    "blue": ((34, 77, 168), (52, 115, 206), (28, 54, 120), (92, 148, 214), (20, 96, 190)),
    "brown": ((104, 68, 38), (128, 84, 48), (88, 54, 34), (144, 100, 64)),
    "green": ((44, 120, 64), (72, 150, 84), (30, 88, 54), (116, 160, 72), (50, 128, 96)),
    "grey": ((112, 114, 117), (136, 136, 136), (94, 97, 102), (148, 148, 152)),
    "orange": ((234, 118, 30), (242, 144, 46), (220, 98, 32)),
    "pink": ((240, 150, 182), (234, 112, 160), (246, 182, 202), (226, 132, 160)),
    "purple": ((106, 60, 148), (136, 88, 176), (80, 44, 116), (154, 116, 196)),
    "red": ((190, 32, 40), (214, 46, 46), (152, 26, 36), (200, 56, 60)),
    "silver": ((176, 180, 186), (186, 189, 194), (164, 168, 176)),
    "white": ((246, 245, 242), (240, 237, 229), (250, 250, 250)),
    "yellow": ((242, 202, 44), (248, 214, 78), (228, 184, 30), (246, 222, 112)),
}
"""sRGB 0..255 of each shade, by colour name."""

COLORS: tuple[str, ...] = tuple(sorted(SHADES))

_LOOKALIKES = {
    "black": {"grey"},
    "grey": {"silver", "black"},
    "silver": {"grey", "white"},
    "white": {"silver"},
    "red": {"orange", "pink"},
    "orange": {"red", "yellow"},
    "yellow": {"orange"},
    "pink": {"red"},
    "blue": {"purple"},
    "purple": {"blue"},
    "brown": set(),
    "green": set(),
}
# Shops trim products in neutrals far more often than in a second bright colour.
_ACCENT_WEIGHT = {"white": 4.0, "black": 4.0, "brown": 2.0, "silver": 2.0, "grey": 1.5}


@dataclass(frozen=True, kw_only=True)
class Paint:
    """The colours one product is made of."""

    primary: Rgb
    """sRGB, 0..255."""
    accent: Rgb
    """sRGB, 0..255."""
    metallic: bool
    """Whether the primary colour reflects like brushed metal (silver)."""


WOODS: tuple[Rgb, ...] = ((186, 142, 92), (150, 104, 62), (112, 74, 46), (206, 170, 124))
DARK: Rgb = (40, 40, 43)
PAPER: Rgb = (246, 245, 240)
STEEL: Rgb = (176, 180, 186)
BRASS: Rgb = (198, 164, 92)


def draw_shade(color: str, *, rng: np.random.Generator) -> Rgb:
    """One shade of a named colour, jittered by a few levels so that no two products match exactly; sRGB 0..255."""
    shades = SHADES[color]
    base: NDArray[np.float64] = np.asarray(shades[int(rng.integers(len(shades)))], dtype=np.float64)
    red, green, blue = np.clip(base + rng.uniform(-5.0, 5.0, size=3), 0.0, 255.0)
    return (float(red), float(green), float(blue))


def draw_accent(color: str, *, rng: np.random.Generator) -> str:
    """The name of a second colour that a person tells apart from `color` at a glance."""
    names = [name for name in COLORS if name != color and name not in _LOOKALIKES[color]]
    weights = np.asarray([_ACCENT_WEIGHT.get(name, 1.0) for name in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]

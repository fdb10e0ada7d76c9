"""Random scenes of a product's views: pose, light, backdrop and image flaws."""

from dataclasses import dataclass

import numpy as np

from simtrain.synthetic.camera import Pose
from simtrain.synthetic.palette import Rgb

BACKDROPS: tuple[str, ...] = ("white", "grey", "studio", "wood", "tiles", "wall", "bokeh")
# Beyond these turns the front that tells a product from the next is hidden (a dial, the contents of a bookshelf).
_WIDEST_YAW = {"bookshelf": 50.0, "clock": 52.0, "handbag": 62.0, "suitcase": 62.0, "headphones": 65.0, "chair": 75.0}


@dataclass(frozen=True, kw_only=True)
class Light:
    """One soft main light and the light of the room."""

    direction: tuple[float, float, float]
    """Unit vector from the product to the main light."""
    key: float
    """Strength of the main light, about 0.2..0.8."""
    ambient: float
    """Strength of the room's light, about 0.3..0.7."""
    tint: Rgb
    """Colour of the light, factors around 1."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One view of a product."""

    pose: Pose
    light: Light
    backdrop: str
    """One of BACKDROPS."""
    shadow: float
    """Darkness of the shadow, 0..1."""
    noise: float
    """Standard deviation of the sensor noise, levels of 0..255."""
    blur: float
    """Standard deviation of the lens blur, as a share of the image's side."""
    quality: int
    """JPEG quality, 1..100."""


def _light(*, azimuth: float, elevation: float, key: float, ambient: float, warmth: float) -> Light:
    side, high = np.radians(azimuth), np.radians(elevation)
    direction = (float(np.sin(side) * np.cos(high)), float(np.sin(high)), float(np.cos(side) * np.cos(high)))
    tint = (1.0 + 0.16 * warmth, 1.0 + 0.02 * warmth, 1.0 - 0.2 * warmth)
    return Light(direction=direction, key=key, ambient=ambient, tint=tint)


def catalogue_scene(*, rng: np.random.Generator) -> Scene:
    """View 0: three-quarter view on white in neutral light."""
    pose = Pose(
        yaw=rng.uniform(-34.0, -24.0), pitch=rng.uniform(14.0, 20.0), roll=0.0, distance=4.5,
        fill=rng.uniform(0.76, 0.84), shift=(0.0, 0.0),
    )  # fmt: skip
    light = _light(azimuth=rng.uniform(-50.0, -30.0), elevation=48.0, key=0.5, ambient=0.6, warmth=0.0)
    return Scene(pose=pose, light=light, backdrop="white", shadow=0.3, noise=0.8, blur=0.0, quality=95)


def free_scene(category: str, *, rng: np.random.Generator) -> Scene:
    """Views 1 and up: a snapshot anywhere, by anyone."""
    widest = _WIDEST_YAW.get(category, 80.0)
    pose = Pose(
        yaw=rng.uniform(-widest, widest),
        pitch=rng.uniform(6.0, 38.0),
        roll=rng.uniform(-7.0, 7.0),
        distance=rng.uniform(2.6, 6.0),
        fill=rng.uniform(0.52, 0.88),
        shift=(rng.uniform(-0.8, 0.8), rng.uniform(-0.6, 0.8)),
    )
    light = _light(
        azimuth=rng.uniform(-100.0, 100.0),
        elevation=rng.uniform(20.0, 75.0),
        key=rng.uniform(0.25, 0.8),
        ambient=rng.uniform(0.34, 0.66),
        warmth=rng.uniform(-1.0, 1.0),
    )
    shares = (0.08, 0.12, 0.16, 0.18, 0.14, 0.16, 0.16)
    return Scene(
        pose=pose,
        light=light,
        backdrop=BACKDROPS[int(rng.choice(len(BACKDROPS), p=shares))],
        shadow=rng.uniform(0.25, 0.6),
        noise=rng.uniform(1.0, 5.0),
        blur=rng.uniform(0.0, 0.006),
        quality=int(rng.integers(62, 96)),
    )

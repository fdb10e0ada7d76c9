"""Light and shadow, on faces and floors whose shades can be told beforehand."""

import numpy as np
import pytest

from simtrain.synthetic.camera import Camera, Pose, fit_camera
from simtrain.synthetic.faces import Faces
from simtrain.synthetic.scene import Light
from simtrain.synthetic.shading import floor_shadow, shade_faces

CUBE = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-0.5, 0.5)])
POSE = Pose(yaw=0.0, pitch=35.0, roll=0.0, distance=5.0, fill=0.3, shift=(0.0, 0.0))
LIGHT = Light(direction=(0.0, 0.8, 0.6), key=0.5, ambient=0.4, tint=(1.0, 1.0, 1.0))


def plates(normals: list[tuple[float, float, float]], **changes: float) -> Faces:
    """Small faces at the height of 1 with these normals."""
    count = len(normals)
    usual = {"gloss": 0.0, "metal": 0.0, "glow": 0.0, "raised": 0.0}
    values = {name: np.full(count, changes.get(name, value)) for name, value in usual.items()}
    centers = np.tile((0.0, 1.0, 0.0), (count, 1))
    return Faces(
        corners=np.zeros((count, 4, 3)), centers=centers, normals=np.array(normals, dtype=float),
        albedo=np.full((count, 3), 100.0), outline=centers, casters=(), **values,
    )  # fmt: skip


def shade(faces: Faces, light: Light = LIGHT) -> np.ndarray:
    seen = np.arange(len(faces.normals))
    return shade_faces(faces, seen=seen, turn=np.eye(3), eye=np.array([0.0, 1.0, 9.0]), light=light)


def test_a_face_towards_the_light_has_all_of_it_and_one_away_only_the_room_s() -> None:
    toward, away = shade(plates([(0.0, 0.8, 0.6), (0.0, -0.8, -0.6)]))
    assert toward == pytest.approx(100 * (0.4 * (0.84 + 0.16 * 0.8) + 0.5))
    assert away == pytest.approx(100 * 0.4 * (0.84 - 0.16 * 0.8))


def test_the_tint_and_the_glow_of_a_face_count() -> None:
    warm = Light(direction=LIGHT.direction, key=0.0, ambient=0.5, tint=(1.2, 1.0, 0.8))
    (found,) = shade(plates([(0.0, 0.0, 1.0)], glow=0.1), warm)
    assert found == pytest.approx(np.array([1.2, 1.0, 0.8]) * 100 * (0.5 * 0.84 + 0.1))


def test_gloss_shines_where_light_is_mirrored_to_the_eye() -> None:
    half = np.array([0.0, 0.8, 0.6]) + np.array([0.0, 0.0, 1.0])
    half /= np.linalg.norm(half)
    normals = [tuple(half), (1.0, 0.0, 0.0)]
    plain, glossy = shade(plates(normals)), shade(plates(normals, gloss=0.3))
    assert glossy[0] - plain[0] == pytest.approx([255 * 0.3 * 0.5 * 1.6] * 3)
    assert glossy[1] == pytest.approx(plain[1])


def camera() -> Camera:
    return fit_camera(CUBE, pose=POSE, size=80)


def test_a_shadow_lies_on_the_side_away_from_the_light() -> None:
    factors = floor_shadow([CUBE], camera=camera(), light=Light(
        direction=(0.6, 0.8, 0.0), key=0.5, ambient=0.4, tint=(1.0, 1.0, 1.0)
    ), darkness=0.5, size=80)  # fmt: skip
    assert factors.shape == (80, 80, 1)
    assert 0.2 < factors.min() < 0.6
    assert factors.max() == 1.0
    dark = np.nonzero(factors[:, :, 0] < 0.9)[1]
    assert dark.mean() < camera().project(np.zeros((1, 3)))[0, 0]


def test_nothing_throws_no_shadow() -> None:
    assert (floor_shadow([], camera=camera(), light=LIGHT, darkness=0.5, size=80) == 1.0).all()

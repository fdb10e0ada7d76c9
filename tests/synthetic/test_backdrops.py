"""Backgrounds behind products."""

import numpy as np
import pytest

from simtrain.synthetic.backdrops import Picture, draw_backdrop
from simtrain.synthetic.camera import Pose, fit_camera
from simtrain.synthetic.scene import BACKDROPS

SIZE = 48
CUBE = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-0.5, 0.5)])
POSE = Pose(yaw=0.0, pitch=15.0, roll=0.0, distance=4.0, fill=0.6, shift=(0.0, 0.0))


def drawn(kind: str, *, seed: int = 0) -> Picture:
    camera = fit_camera(CUBE, pose=POSE, size=SIZE)
    return draw_backdrop(kind, camera=camera, size=SIZE, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("kind", BACKDROPS)
def test_a_background_is_a_picture_of_its_seed(kind: str) -> None:
    picture = drawn(kind)
    assert (picture.shape, picture.dtype) == ((SIZE, SIZE, 3), np.float32)
    assert 0.0 <= picture.min() <= picture.max() <= 255.0
    np.testing.assert_array_equal(picture, drawn(kind))
    assert not np.array_equal(picture, drawn(kind, seed=1))


def test_white_is_nearly_white_and_even() -> None:
    assert drawn("white").min() >= 252.0
    assert np.ptp(drawn("white")) == 0.0


def test_grey_has_no_colour() -> None:
    for seed in range(10):
        picture = drawn("grey", seed=seed)
        assert (np.ptp(picture, axis=2) <= 0.04 * picture.max(axis=2) + 1e-3).all()


def test_a_room_has_a_wall_above_a_floor() -> None:
    """Rays that look up never meet the floor; the pixel at the very bottom meets it near the product."""
    camera = fit_camera(CUBE, pose=POSE, size=SIZE)
    assert camera.rays(size=SIZE)[-1, SIZE // 2, 1] < 0
    edges = [np.abs(np.diff(drawn("tiles", seed=seed).mean(axis=(1, 2)))).max() for seed in range(8)]
    assert max(edges) > 5.0

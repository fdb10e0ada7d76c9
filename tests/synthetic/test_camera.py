"""The camera against its own definition: shares of the picture, and rays that project back."""

import numpy as np
import pytest

from simtrain.synthetic.camera import Pose, fit_camera

CUBE = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-0.5, 0.5)])


def pose(**changes: object) -> Pose:
    usual = {"yaw": 0.0, "pitch": 20.0, "roll": 0.0, "distance": 4.0, "fill": 0.8, "shift": (0.0, 0.0)}
    return Pose(**{**usual, **changes})


@pytest.mark.parametrize("roll", [0.0, 7.0])
def test_the_product_fills_its_share_in_the_middle(roll: float) -> None:
    pixels = fit_camera(CUBE, pose=pose(roll=roll), size=100).project(CUBE)
    assert np.ptp(pixels, axis=0).max() == pytest.approx(80.0)
    assert (pixels.min(axis=0) + pixels.max(axis=0)) / 2 == pytest.approx([50.0, 50.0])


def test_a_shift_moves_within_the_free_space() -> None:
    pixels = fit_camera(CUBE, pose=pose(shift=(1.0, -1.0)), size=100).project(CUBE)
    assert pixels[:, 0].max() == pytest.approx(100.0)
    assert pixels[:, 1].min() == pytest.approx(0.0)


def test_rays_meet_the_pixels_that_they_pass_through() -> None:
    camera = fit_camera(CUBE, pose=pose(roll=5.0), size=8)
    rays = camera.rays(size=8)
    pixels = camera.project(camera.eye + 2.5 * rays.reshape(-1, 3))
    columns, rows = np.meshgrid(np.arange(8) + 0.5, np.arange(8) + 0.5)
    np.testing.assert_allclose(pixels, np.stack([columns.ravel(), rows.ravel()], axis=1), atol=1e-9)


def test_the_camera_looks_down_by_the_pitch() -> None:
    camera = fit_camera(CUBE, pose=pose(pitch=30.0), size=100)
    assert camera.eye - CUBE.mean(axis=0) == pytest.approx(
        4.0 * np.sqrt(3) / 2 * np.array([0.0, np.sin(np.pi / 6), np.cos(np.pi / 6)])
    )
    np.testing.assert_allclose(camera.axes @ camera.axes.T, np.eye(3), atol=1e-12)

"""Solids against their formulas."""

import numpy as np
import pytest
from solid_measures import volume

from simtrain.synthetic.solids import (
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


def test_a_box_has_its_volume_and_points_outwards() -> None:
    grid = box(size=(0.5, 0.8, 0.3), center=(1.0, 2.0, 3.0))
    assert volume(grid) == pytest.approx(0.5 * 0.8 * 0.3)
    assert (grid.min(axis=(0, 1)) + grid.max(axis=(0, 1))) / 2 == pytest.approx([1.0, 2.0, 3.0])


def test_a_turned_profile_has_the_volume_of_a_cone() -> None:
    cone = revolve(np.array([(0.0, 0.0), (0.6, 0.0), (0.0, 0.9)]), segments=400)
    assert volume(cone) == pytest.approx(np.pi * 0.6**2 * 0.9 / 3, rel=1e-3)


def test_a_ring_has_the_volume_of_a_torus() -> None:
    """12 points around the ring's body and 36 around the ring itself leave out a few percent."""
    assert abs(volume(torus(radius=0.5, thickness=0.1, height=0.4))) == pytest.approx(
        2 * np.pi**2 * 0.5 * 0.01, rel=0.1
    )
    assert torus(radius=0.5, thickness=0.1, height=0.4)[:, :, 1].mean() == pytest.approx(0.4, abs=0.01)


def test_a_rod_is_a_truncated_cone() -> None:
    grid = rod(start=(0, 0, 0), end=(0.3, 0.4, 1.2), radius=0.1, tip=0.05, segments=200)
    assert volume(grid) == pytest.approx(np.pi * 1.3 / 3 * (0.1**2 + 0.1 * 0.05 + 0.05**2), rel=0.02)


def test_a_flat_tube_is_as_thick_as_it_is_told() -> None:
    grid = tube(np.array([(0.0, y, 0.0) for y in np.linspace(0, 1, 9)]), radius=0.1, flatness=2.0, segments=64)
    assert np.ptp(grid[:, :, 2]) == pytest.approx(0.4)
    assert np.ptp(grid[:, :, 0]) == pytest.approx(0.2)


def test_a_slab_faces_the_viewer() -> None:
    grid = slab(circle(segments=300), thickness=0.2, rounding=0.0, rings=2)
    assert volume(grid) == pytest.approx(np.pi * 0.2, rel=1e-3)
    assert np.ptp(grid[:, :, 2]) == pytest.approx(0.2)


def test_a_smooth_path_passes_through_its_points() -> None:
    control = [(0.0, 0.0), (1.0, 2.0), (3.0, 1.0), (4.0, 4.0)]
    path = smooth_path(control, count=3 * 10 + 1)
    np.testing.assert_allclose(path[::10], control, atol=1e-12)
    line = smooth_path([(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)], count=9)
    np.testing.assert_allclose(line[:, 0], np.linspace(0, 2, 9), atol=1e-12)


@pytest.mark.parametrize(("roundness", "area"), [(1.0, np.pi / 4), (0.0, 1.0)])
def test_an_outline_is_between_ellipse_and_rectangle(roundness: float, area: float) -> None:
    outline = rounded_rectangle(width=2.0, depth=0.5, roundness=roundness, segments=400)
    x, z = outline.T
    shoelace = 0.5 * abs(float(np.sum(x * np.roll(z, -1) - z * np.roll(x, -1))))
    assert shoelace == pytest.approx(area * 2.0 * 0.5, rel=0.01)
    steps = np.linalg.norm(np.roll(outline, -1, axis=0) - outline, axis=1)
    assert steps.max() < 1.1 * np.median(steps)


def test_levels_scale_the_outline() -> None:
    grid = loft(circle(segments=4), levels=np.array([(0.0, 1.0), (2.0, 0.5)]))
    np.testing.assert_allclose(grid[1], [(0, 2, 0.5), (0.5, 2, 0), (0, 2, -0.5), (-0.5, 2, 0)], atol=1e-12)


def test_turns_are_right_handed_and_in_order() -> None:
    point = np.array([[[1.0, 2.0, 3.0]]])
    np.testing.assert_allclose(turned(point, z=90.0)[0, 0], (-2.0, 1.0, 3.0), atol=1e-12)
    np.testing.assert_allclose(turned(point, x=90.0, y=90.0)[0, 0], (2.0, -3.0, -1.0), atol=1e-12)
    np.testing.assert_array_equal(moved(point, by=(1, 1, 1))[0, 0], (2.0, 3.0, 4.0))

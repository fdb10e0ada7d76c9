"""Batched resampling of small grey images against scipy and against loops."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from simtrain.catalog.inspection.resampling import (
    blurred,
    cubic_weights,
    gradients,
    halved,
    linear_weights,
    sample_places,
)

PICTURES = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)


def test_a_whole_crop_without_shift_lies_on_the_pixels() -> None:
    places = sample_places(np.ones(1, np.float32), np.zeros(1, np.float32), side=8)
    np.testing.assert_allclose(places[0], np.arange(8))


def test_half_a_crop_is_about_the_shifted_centre() -> None:
    places = sample_places(np.array([0.5], np.float32), np.array([1.0], np.float32), side=8)
    np.testing.assert_allclose(places[0], 3.5 + 1.0 + 0.5 * (np.arange(8) - 3.5))


def test_linear_weights_interpolate_as_numpy_does_and_repeat_the_edge() -> None:
    places = np.array([[-2.0, 0.0, 0.25, 3.5, 6.9, 9.0]], np.float32)
    row = PICTURES[0, 0]
    expected = np.interp(places[0], np.arange(8), row)
    np.testing.assert_allclose(linear_weights(places, side=8)[0] @ row, expected, atol=1e-6)


def test_cubic_weights_give_parabolas_back() -> None:
    places = np.array([[2.0, 2.3, 3.75, 4.5]], np.float32)
    parabola = (np.arange(8) - 3.0) ** 2
    np.testing.assert_allclose(cubic_weights(places, side=8)[0] @ parabola, (places[0] - 3.0) ** 2, atol=1e-5)


def test_gradients_are_numpys() -> None:
    down, right = gradients(PICTURES)
    np.testing.assert_allclose(down, np.gradient(PICTURES, axis=1), atol=1e-6)
    np.testing.assert_allclose(right, np.gradient(PICTURES, axis=2), atol=1e-6)


def test_blur_is_gaussian_inside_and_does_not_darken_the_edges() -> None:
    wide = np.random.default_rng(1).random((1, 24, 24)).astype(np.float32)
    expected = gaussian_filter1d(gaussian_filter1d(wide[0], 1.0, axis=0, truncate=8), 1.0, axis=1, truncate=8)
    np.testing.assert_allclose(blurred(wide, deviation=1.0)[0, 8:-8, 8:-8], expected[8:-8, 8:-8], atol=1e-5)
    np.testing.assert_allclose(blurred(np.ones((1, 8, 8), np.float32), deviation=2.0), 1.0, atol=1e-6)
    assert blurred(PICTURES, deviation=0) is PICTURES


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 2), (3, 3)])
def test_a_halved_pixel_is_the_mean_of_four_each_way(row: int, column: int) -> None:
    total = 0.0
    for down, own in zip((-1, 0, 1, 2), (1, 3, 3, 1), strict=True):
        for right, other in zip((-1, 0, 1, 2), (1, 3, 3, 1), strict=True):
            place = min(max(2 * row + down, 0), 7), min(max(2 * column + right, 0), 7)
            total += own * other / 64 * PICTURES[0][place]
    assert halved(PICTURES)[0, row, column] == pytest.approx(total, abs=1e-6)

"""Colours of a view, against albumentations' own functions one after another, and blur against a direct sum."""

# Shapes: S = side of a view.

import albumentations.augmentations.pixel.functional as pixel
import numpy as np
import pytest
from numpy.typing import NDArray

from simtrain.data.view_colors import blurred, cut_hole, recolored
from simtrain.data.view_draws import Box, ColorChange, ColorKind

STEPS = {
    "brightness": pixel.adjust_brightness_torchvision,
    "contrast": pixel.adjust_contrast_torchvision,
    "saturation": pixel.adjust_saturation_torchvision,
    "hue": pixel.adjust_hue_torchvision,
}


def middling(seed: int) -> NDArray[np.uint8]:
    """Colours that no change of the test cuts off at black or white."""
    return np.random.default_rng(seed).integers(80, 140, size=(20, 20, 3), dtype=np.uint8)


def changes(*steps: tuple[ColorKind, float]) -> list[ColorChange]:
    return [ColorChange(kind=kind, amount=amount) for kind, amount in steps]


@pytest.mark.parametrize(
    "steps",
    [
        [("brightness", 1.2)],
        [("contrast", 0.7)],
        [("saturation", 1.3)],
        [("hue", 0.3)],
        [("hue", -0.4)],
        [("brightness", 0.8), ("contrast", 1.2), ("saturation", 0.8)],
        [("contrast", 1.2), ("saturation", 1.2), ("brightness", 0.9)],
        [("saturation", 0.5), ("contrast", 0.5), ("hue", 0.2), ("brightness", 1.1)],
        [("hue", 0.11), ("saturation", 1.2), ("contrast", 1.2), ("brightness", 1.2)],
    ],
)
def test_fused_changes_are_the_changes_one_after_another(steps: list[tuple[ColorKind, float]]) -> None:
    for seed in range(5):
        view = middling(seed)
        expected = view
        for kind, amount in steps:
            expected = STEPS[kind](expected, amount)
        # every step by itself rounds, by half a level, and the hue's 8-bit circle stretches that
        allowed = 1 + len(steps) * (1 if "hue" not in dict(steps) else 3)
        assert np.abs(recolored(view, changes(*steps)).astype(int) - expected.astype(int)).max() <= allowed


def test_grey_is_the_luma_of_bt_601_and_light_an_affine_map() -> None:
    view = middling(0)
    grey = np.rint(view @ np.array([0.299, 0.587, 0.114]))
    np.testing.assert_allclose(recolored(view, changes(("grey", 1.0))), np.repeat(grey[..., None], 3, axis=2), atol=1)
    lighter = ColorChange(kind="contrast_brightness", amount=1.1, offset=-7.3)
    np.testing.assert_allclose(recolored(view, [lighter]), view * 1.1 - 7.3, atol=0.501)


def test_values_stay_between_black_and_white() -> None:
    view = np.array([[[250, 10, 128]]], dtype=np.uint8)
    assert recolored(view, changes(("brightness", 1.5)))[0, 0].tolist() == [255, 15, 192]
    assert recolored(view, [ColorChange(kind="contrast_brightness", amount=1, offset=-20)])[0, 0].tolist() == [
        230,
        0,
        108,
    ]


def test_no_change_gives_the_view_itself() -> None:
    view = middling(0)
    assert recolored(view, []) is view
    assert blurred(view, deviation=0.0, widest=23) is view


@pytest.mark.parametrize("deviation", [0.3, 0.8, 2.0])
def test_a_blur_is_a_weighted_mean_of_what_is_around(deviation: float) -> None:
    view = np.random.default_rng(1).integers(0, 256, size=(31, 31, 3), dtype=np.uint8)
    reach = np.arange(-9, 10)
    weights = np.exp(-0.5 * (reach[:, None] ** 2 + reach**2) / deviation**2)
    expected = (view[6:25, 6:25] * (weights / weights.sum())[..., None]).sum(axis=(0, 1))
    found = blurred(view, deviation=deviation, widest=23)[15, 15]
    assert np.abs(found - expected).max() < 1.2


def test_a_blur_reaches_no_further_than_its_window() -> None:
    view = np.zeros((21, 21, 3), dtype=np.uint8)
    view[10, 10] = 255
    reached = np.argwhere(blurred(view, deviation=2.0, widest=3).any(axis=2))
    assert sorted(map(tuple, reached.tolist())) == [(down, across) for down in (9, 10, 11) for across in (9, 10, 11)]


def test_a_hole_is_black_and_nothing_else_is() -> None:
    view = np.full((40, 40, 3), 200, dtype=np.uint8)
    cut_hole(view, Box(left=0.5, top=0.25, width=0.2, height=0.1))
    assert (view[10:14, 20:28] == 0).all()
    assert (view == 0).all(axis=2).sum() == 4 * 8

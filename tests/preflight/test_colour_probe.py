"""What augmentations do to colours, measured on pictures made for it."""

import colorsys

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from simtrain.data.albumentations_views import custom_transform
from simtrain.data.presets import PRESETS
from simtrain.data.transforms import PartViews
from simtrain.preflight.colour_probe import colour_histogram, probe_colours

SIDE = 48
HUES = {"red": 0.03, "yellow": 0.2, "green": 0.36, "blue": 0.7}


def packshot(hue: float, *, radius: int, value: float = 0.8) -> NDArray[np.uint8]:
    """A disc of one colour on white."""
    picture = np.full((SIDE, SIDE, 3), 255, dtype=np.uint8)
    colour = [round(255 * channel) for channel in colorsys.hsv_to_rgb(hue, 0.8, value)]
    return np.asarray(cv2.circle(picture, (SIDE // 2, SIDE // 2), radius, colour, thickness=-1))


def discs() -> tuple[list[NDArray[np.uint8]], list[str]]:
    made = [
        (packshot(hue, radius=10 + 2 * size, value=0.8 + 0.02 * size), name)
        for name, hue in HUES.items()
        for size in range(5)
    ]
    return [picture for picture, _ in made], [name for _, name in made]


def test_the_background_does_not_count() -> None:
    on_white = packshot(0.0, radius=12)
    on_grey = np.where(on_white == 255, np.uint8(200), on_white)
    np.testing.assert_allclose(colour_histogram(on_white), colour_histogram(on_grey), atol=0.25)
    assert colour_histogram(on_white) @ colour_histogram(packshot(1 / 3, radius=12)) < 0.1


def test_a_product_in_the_background_s_colour_still_has_a_histogram() -> None:
    histogram = colour_histogram(np.full((SIDE, SIDE, 3), 255, dtype=np.uint8))
    assert histogram @ histogram == pytest.approx(1.0)


def test_colour_labels_survive_the_sensitive_preset_only() -> None:
    pictures, labels = discs()
    kept = probe_colours(
        pictures, labels, transform=PartViews(PRESETS["color_sensitive"], image_size=SIDE), views=4, seed=0
    )
    # 4 labels of 5 of 20 images: another one has the same label in 4 of 19 cases.
    assert kept.chance == pytest.approx(4 / 19)
    assert kept.originals == 1.0
    assert kept.lost < 0.15
    assert kept.changed == pytest.approx(1 - kept.views)  # the originals' neighbours are all right
    for preset in ("color_invariant", "simclr"):
        transform = PartViews(PRESETS[preset], image_size=SIDE)
        spoilt = probe_colours(pictures, labels, transform=transform, views=4, seed=0)
        assert spoilt.lost > 0.3


def test_labels_that_are_no_colours_are_not_told_by_colour() -> None:
    pictures, _ = discs()
    labels = [str(number % 5) for number in range(20)]  # one of each in every colour
    probe = probe_colours(
        pictures, labels, transform=PartViews(PRESETS["color_sensitive"], image_size=SIDE), views=1, seed=0
    )
    assert probe.predicted < 0.1


def test_one_image_has_no_neighbour() -> None:
    with pytest.raises(ValueError, match="got 1; a neighbour needs two or more"):
        probe_colours([packshot(0, radius=9)], ["a"], transform=custom_transform([], image_size=8), views=1, seed=0)

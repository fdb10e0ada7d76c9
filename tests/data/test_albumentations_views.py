"""Views by albumentations: which lists are refused, and the presets of the first version to the bit."""

# Shapes: S = side of a view.

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from first_format_transforms import first_format
from numpy.typing import NDArray

from simtrain.data.albumentations_views import AlbumentationsViews, custom_transform, parts_transform
from simtrain.data.presets import PRESETS, Preset
from simtrain.errors import ConfigError


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, size=(height, width, 3), dtype=np.uint8)


def test_transforms_of_a_list_throw_their_dice_apart() -> None:
    image = np.zeros((16, 16, 3), dtype=np.uint8)
    image[:, :8, 0] = 200  # red on the left
    transform = custom_transform([("HorizontalFlip", {"p": 0.5}), ("ToGray", {"p": 0.2})], image_size=16)
    found: Counter[tuple[bool, bool]] = Counter()
    for seed in range(2000):
        view = transform(image, seed=seed)
        found[bool(view[0, -1, 0] > view[0, 0, 0]), bool(view[..., 1].any())] += 1
    for flipped in (False, True):
        assert found[flipped, False] == pytest.approx(2000 * 0.5 * 0.8, rel=0.1)
        assert found[flipped, True] == pytest.approx(2000 * 0.5 * 0.2, rel=0.2)


@pytest.mark.parametrize("preset", ["color_sensitive", "color_invariant", "simclr"])
@pytest.mark.parametrize(("height", "width"), [(48, 48), (37, 60)])
def test_presets_of_the_first_format_give_the_same_views_to_the_bit(preset: Preset, height: int, width: int) -> None:
    before = AlbumentationsViews(transforms=first_format(preset, 24), image_size=24)
    now, image = parts_transform(PRESETS[preset], image_size=24), noise(height, width)
    for seed in range(80):
        np.testing.assert_array_equal(now(image, seed=seed), before(image, seed=seed))


@pytest.mark.parametrize(
    "transforms",
    [
        [],
        [("HorizontalFlip", {})],
        [("Rotate", {"limit": 90})],
        [("RandomResizedCrop", {"size": [10, 30]})],
        [("RandomCrop", {"height": 20, "width": 9}), ("GaussNoise", {"p": 1.0})],
    ],
)
def test_a_list_of_ones_own_ends_in_a_square(transforms: list[tuple[str, Mapping[str, Any]]]) -> None:
    view = custom_transform(transforms, image_size=24)(noise(50, 31), seed=0)
    assert (view.shape, view.dtype) == ((24, 24, 3), np.uint8)


def test_an_empty_list_is_an_area_resize() -> None:
    image = noise(48, 48)
    blocks = image.reshape(24, 2, 24, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(custom_transform([], image_size=24)(image, seed=0), blocks, atol=0.51)


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        (
            [("HorizontalFlip", {}), ("HorizontalFlp", {})],
            "transforms.1.name: albumentations has no 'HorizontalFlp'; did you mean 'HorizontalFlip'?",
        ),
        ([("zzz", {})], "transforms.0.name: albumentations has no 'zzz'"),
        (
            [("CoarseDropout", {"max_holes": 3})],
            "transforms.0.parameters: CoarseDropout: Argument(s) 'max_holes' are not valid for transform CoarseDropout",
        ),
        (
            [("RandomResizedCrop", {})],
            "transforms.0.parameters: RandomResizedCrop: size: Field required",
        ),
        (
            [("Normalize", {})],
            "transforms.0: Normalize makes float32 of (48, 48, 3); a view stays uint8 RGB, which the "
            "encoder itself normalises",
        ),
        (
            [("HorizontalFlip", {}), ("ToTensorV2", {})],
            "transforms.1: ToTensorV2 makes torch.uint8 of (3, 48, 48); a view stays uint8 RGB, which "
            "the encoder itself normalises",
        ),
        (
            [("ToFloat", {"p": 0.01})],
            "transforms.0: ToFloat makes float32 of (48, 48, 3); a view stays uint8 RGB, which the "
            "encoder itself normalises",
        ),
        (
            [("RandomCrop", {"height": 100, "width": 9})],
            "transforms.0: RandomCrop fails on a picture of (48, 48, 3): Crop size (height, width) "
            "exceeds image dimensions (height, width): (100, 9) vs (48, 48)",
        ),
        (
            [("DualTransform", {})],
            "transforms.0.name: albumentations has no 'DualTransform'; did you mean 'ElasticTransform'?",
        ),
    ],
)
def test_a_list_that_does_not_work_is_told(transforms: list[tuple[str, Mapping[str, Any]]], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        custom_transform(transforms, image_size=24)

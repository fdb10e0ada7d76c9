"""Views by their properties: what decides them, what they keep of the colour, and which lists are refused."""

# Shapes: S = side of a view.

import colorsys
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from simtrain.data.transforms import Preset, ViewTransform, custom_transform, preset_transform, view_seed
from simtrain.errors import ConfigError

PRESETS: tuple[Preset, ...] = get_args(Preset)
COLOURS = [(200, 40, 40), (40, 180, 60), (50, 70, 200), (230, 120, 20)]
Picture = NDArray[np.uint8]


def noise(height: int, width: int) -> Picture:
    return np.random.default_rng(0).integers(0, 256, size=(height, width, 3), dtype=np.uint8)


def hue(view: Picture) -> float | None:
    """The hue in degrees of a view of one colour, black holes left out; None for grey."""
    lit = view[view.max(axis=2) > 0].astype(float) / 255
    angle, saturation, _ = colorsys.rgb_to_hsv(*np.median(lit, axis=0))
    return angle * 360 if saturation > 0.05 else None


def hue_changes(transform: ViewTransform, colour: tuple[int, int, int], *, seeds: int) -> list[float]:
    """By how many degrees the hue of each coloured view differs."""
    image = np.full((48, 48, 3), colour, dtype=np.uint8)
    before = hue(image)
    assert before is not None
    found = [hue(transform(image, seed=seed)) for seed in range(seeds)]
    return [abs((after - before + 180) % 360 - 180) for after in found if after is not None]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_same_seed_gives_the_same_view(preset: Preset) -> None:
    transform, image = preset_transform(preset, image_size=16), noise(40, 30)
    first = {seed: transform(image, seed=seed) for seed in range(30)}
    for seed in reversed(range(30)):
        np.testing.assert_array_equal(transform(image, seed=seed), first[seed])


@pytest.mark.parametrize("preset", PRESETS)
def test_another_object_gives_the_same_view(preset: Preset) -> None:
    image = noise(40, 30)
    one, other = preset_transform(preset, image_size=16), preset_transform(preset, image_size=16)
    one(image, seed=99)
    np.testing.assert_array_equal(one(image, seed=3), other(image, seed=3))


@pytest.mark.parametrize("preset", PRESETS)
def test_different_seeds_give_different_views(preset: Preset) -> None:
    transform, image = preset_transform(preset, image_size=16), noise(40, 30)
    assert len({transform(image, seed=seed).tobytes() for seed in range(60)}) == 60


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


def test_seeds_of_views_differ_by_seed_epoch_position_and_view() -> None:
    seeds = [
        view_seed(seed=seed, epoch=epoch, position=position, view=view)
        for seed in range(4)
        for epoch in range(4)
        for position in range(100)
        for view in range(3)
    ]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= 0
    assert max(seeds) < 2**31


@pytest.mark.parametrize("colour", COLOURS)
def test_color_sensitive_keeps_the_hue(colour: tuple[int, int, int]) -> None:
    changes = hue_changes(preset_transform("color_sensitive", image_size=24), colour, seeds=100)
    assert len(changes) == 100
    assert max(changes) < 8
    assert np.mean(changes) < 1.5


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("preset", ["color_invariant", "simclr"])
def test_the_other_presets_change_the_hue(preset: Preset, colour: tuple[int, int, int]) -> None:
    changes = hue_changes(preset_transform(preset, image_size=24), colour, seeds=100)
    assert sum(change > 20 for change in changes) > 30
    assert len(changes) < 95  # some are grey


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("height", "width"), [(5, 7), (1, 1), (30, 2000), (2000, 30), (24, 24), (300, 200)])
def test_presets_make_squares_of_any_size(preset: Preset, height: int, width: int) -> None:
    transform, image = preset_transform(preset, image_size=24), noise(height, width)
    for seed in range(12):
        view = transform(image, seed=seed)
        assert view.dtype == np.uint8
        assert view.shape == (24, 24, 3)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_view_leaves_the_image_as_it_was(preset: Preset) -> None:
    image = noise(24, 24)
    before = image.copy()
    transform = preset_transform(preset, image_size=24)
    for seed in range(12):
        transform(image, seed=seed)
    np.testing.assert_array_equal(image, before)


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
            "augmentation.transforms.1.name: albumentations has no 'HorizontalFlp'; did you mean 'HorizontalFlip'?",
        ),
        ([("zzz", {})], "augmentation.transforms.0.name: albumentations has no 'zzz'"),
        (
            [("CoarseDropout", {"max_holes": 3})],
            "augmentation.transforms.0.parameters: CoarseDropout: Argument(s) 'max_holes' are not valid for transform "
            "CoarseDropout",
        ),
        (
            [("RandomResizedCrop", {})],
            "augmentation.transforms.0.parameters: RandomResizedCrop: size: Field required",
        ),
        (
            [("Normalize", {})],
            "augmentation.transforms.0: Normalize makes float32 of (48, 48, 3); a view stays uint8 RGB, which the "
            "encoder itself normalises",
        ),
        (
            [("HorizontalFlip", {}), ("ToTensorV2", {})],
            "augmentation.transforms.1: ToTensorV2 makes torch.uint8 of (3, 48, 48); a view stays uint8 RGB, which "
            "the encoder itself normalises",
        ),
        (
            [("ToFloat", {"p": 0.01})],
            "augmentation.transforms.0: ToFloat makes float32 of (48, 48, 3); a view stays uint8 RGB, which the "
            "encoder itself normalises",
        ),
        (
            [("RandomCrop", {"height": 100, "width": 9})],
            "augmentation.transforms.0: RandomCrop fails on a picture of (48, 48, 3): Crop size (height, width) "
            "exceeds image dimensions (height, width): (100, 9) vs (48, 48)",
        ),
        (
            [("DualTransform", {})],
            "augmentation.transforms.0.name: albumentations has no 'DualTransform'; did you mean 'ElasticTransform'?",
        ),
    ],
)
def test_a_list_that_does_not_work_is_told(transforms: list[tuple[str, Mapping[str, Any]]], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        custom_transform(transforms, image_size=24)

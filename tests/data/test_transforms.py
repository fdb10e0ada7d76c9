"""Views by their properties: what decides them, what they keep of the colour, and which lists are refused."""

# Shapes: S = side of a view.

import colorsys
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import albumentations as A
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from simtrain.data.presets import PRESETS, AugmentationParts, Border, Preset
from simtrain.data.transforms import ViewTransform, custom_transform, parts_transform, view_seed
from simtrain.errors import ConfigError

NAMES: tuple[Preset, ...] = get_args(Preset)
STILL = replace(PRESETS["affine"], flip=False, rotation=0, zoom=0, shift=0, color="none")
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


@pytest.mark.parametrize("preset", NAMES)
def test_the_same_seed_gives_the_same_view(preset: Preset) -> None:
    transform, image = parts_transform(PRESETS[preset], image_size=16), noise(40, 30)
    first = {seed: transform(image, seed=seed) for seed in range(30)}
    for seed in reversed(range(30)):
        np.testing.assert_array_equal(transform(image, seed=seed), first[seed])


@pytest.mark.parametrize("preset", NAMES)
def test_another_object_gives_the_same_view(preset: Preset) -> None:
    image = noise(40, 30)
    one, other = parts_transform(PRESETS[preset], image_size=16), parts_transform(PRESETS[preset], image_size=16)
    one(image, seed=99)
    np.testing.assert_array_equal(one(image, seed=3), other(image, seed=3))


@pytest.mark.parametrize("preset", NAMES)
def test_different_seeds_give_different_views(preset: Preset) -> None:
    transform, image = parts_transform(PRESETS[preset], image_size=16), noise(40, 30)
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
@pytest.mark.parametrize("preset", ["affine", "color_sensitive"])
def test_two_presets_keep_the_hue(preset: Preset, colour: tuple[int, int, int]) -> None:
    changes = hue_changes(parts_transform(PRESETS[preset], image_size=24), colour, seeds=100)
    assert len(changes) == 100
    assert max(changes) < 8
    assert np.mean(changes) < 1.5


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("preset", ["color_invariant", "simclr"])
def test_the_other_presets_change_the_hue(preset: Preset, colour: tuple[int, int, int]) -> None:
    changes = hue_changes(parts_transform(PRESETS[preset], image_size=24), colour, seeds=100)
    assert sum(change > 20 for change in changes) > 30
    assert len(changes) < 95  # some are grey


@pytest.mark.parametrize("preset", NAMES)
@pytest.mark.parametrize(("height", "width"), [(5, 7), (1, 1), (30, 2000), (2000, 30), (24, 24), (300, 200)])
def test_presets_make_squares_of_any_size(preset: Preset, height: int, width: int) -> None:
    transform, image = parts_transform(PRESETS[preset], image_size=24), noise(height, width)
    for seed in range(12):
        view = transform(image, seed=seed)
        assert view.dtype == np.uint8
        assert view.shape == (24, 24, 3)


@pytest.mark.parametrize("preset", NAMES)
def test_a_view_leaves_the_image_as_it_was(preset: Preset) -> None:
    image = noise(24, 24)
    before = image.copy()
    transform = parts_transform(PRESETS[preset], image_size=24)
    for seed in range(12):
        transform(image, seed=seed)
    np.testing.assert_array_equal(image, before)


def first_format(preset: str, size: int) -> list[A.BasicTransform]:
    """What version 0.1.0 made of the three presets that it had."""
    if preset == "simclr":
        return [
            A.RandomResizedCrop(size=(size, size), scale=(0.08, 1.0)),
            A.HorizontalFlip(p=0.5),
            A.ColorJitter(brightness=(0.2, 1.8), contrast=(0.2, 1.8), saturation=(0.2, 1.8), hue=(-0.2, 0.2), p=0.8),
            A.ToGray(p=0.2),
            A.GaussianBlur(blur_limit=(max(3, size // 10 | 1),) * 2, sigma_limit=(0.1, 2.0), p=0.5),
        ]
    light = [A.RandomBrightnessContrast(brightness_limit=0.15, contrast_limit=0.15, p=0.8)]
    hues = [
        A.ColorJitter(brightness=(0.7, 1.3), contrast=(0.7, 1.3), saturation=(0.2, 1.8), hue=(-0.5, 0.5), p=0.8),
        A.ToGray(p=0.2),
    ]
    return [
        A.HorizontalFlip(p=0.5),
        A.Affine(
            rotate=(-15, 15),
            scale=(0.85, 1.15),
            translate_percent=(-0.1, 0.1),
            border_mode=cv2.BORDER_REPLICATE,
            p=0.7,
        ),
        A.RandomResizedCrop(size=(size, size), scale=(0.5, 1.0), ratio=(0.8, 1.25)),
        *(light if preset == "color_sensitive" else hues),
        A.CoarseDropout(num_holes_range=(1, 1), hole_height_range=(0.1, 0.35), hole_width_range=(0.1, 0.35), p=0.3),
    ]


@pytest.mark.parametrize("preset", ["color_sensitive", "color_invariant", "simclr"])
@pytest.mark.parametrize(("height", "width"), [(48, 48), (37, 60)])
def test_presets_of_the_first_format_give_the_same_views_to_the_bit(preset: Preset, height: int, width: int) -> None:
    before = ViewTransform(transforms=first_format(preset, 24))
    now, image = parts_transform(PRESETS[preset], image_size=24), noise(height, width)
    for seed in range(80):
        np.testing.assert_array_equal(now(image, seed=seed), before(image, seed=seed))


def test_without_any_part_a_view_is_an_area_resize() -> None:
    image = noise(48, 48)
    blocks = image.reshape(24, 2, 24, 2, 3).mean(axis=(1, 3))
    for seed in range(5):
        np.testing.assert_allclose(parts_transform(STILL, image_size=24)(image, seed=seed), blocks, atol=0.51)


def test_a_flip_is_all_that_happens_to_half_of_the_views() -> None:
    image, transform = noise(24, 24), parts_transform(replace(STILL, flip=True), image_size=24)
    views = [transform(image, seed=seed) for seed in range(200)]
    flipped = [np.array_equal(view, image[:, ::-1]) for view in views]
    assert all(np.array_equal(view, image) for view, turned in zip(views, flipped, strict=True) if not turned)
    assert sum(flipped) == pytest.approx(100, abs=21)  # three standard deviations


@pytest.mark.parametrize(
    ("border", "shown"),
    [("white", {(255, 255, 255), (9, 99, 199)}), ("own_color", {(9, 99, 199)}), ("replicate", {(9, 99, 199)})],
)
def test_what_comes_into_view_beside_a_picture(border: Border, shown: set[tuple[int, int, int]]) -> None:
    image = np.full((40, 40, 3), (9, 99, 199), dtype=np.uint8)
    image[0, 0] = (200, 0, 0)  # one odd pixel of the border, which its median leaves out
    transform = parts_transform(replace(STILL, shift=0.5, border=border), image_size=40)
    corners = {tuple(transform(image, seed=seed)[-1, -1].tolist()) for seed in range(40)}
    assert corners == shown


def test_beside_a_picture_comes_its_mirror_image_where_it_is_to_be_reflected() -> None:
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    image[:, 20:] = 200  # dark on the left
    transform = parts_transform(replace(STILL, shift=0.9, border="reflect"), image_size=40)
    seen = {tuple(transform(image, seed=seed)[20, [0, -1], 0].tolist()) for seed in range(200)}
    assert (200, 0) in seen  # the mirror image alone is bright on the left


@pytest.mark.parametrize(
    ("changed", "largest"),
    [({"rotation": 30.0}, 30.0), ({"rotation": 5.0}, 5.0)],
)
def test_turns_are_as_large_as_they_may_be(changed: Mapping[str, Any], largest: float) -> None:
    image = np.zeros((101, 101, 3), dtype=np.uint8)
    image[48:53, 50:] = 255  # a hand from the middle to the right
    transform = parts_transform(replace(STILL, border="own_color", **changed), image_size=101)
    angles = []
    for seed in range(200):
        down, across = np.nonzero(transform(image, seed=seed)[..., 0] > 128)
        angles.append(np.degrees(np.arctan2(down.mean() - 50, across.mean() - 50)))
    assert max(angles) == pytest.approx(largest, rel=0.1)
    assert min(angles) == pytest.approx(-largest, rel=0.1)


@pytest.mark.parametrize("crop", [0.25, 0.64])
def test_crops_show_at_least_their_share_of_the_picture(crop: float) -> None:
    image = np.zeros((200, 200, 3), dtype=np.uint8)
    image[..., 0] = np.arange(200)  # tells the column
    image[..., 1] = np.arange(200)[:, None]
    transform = parts_transform(replace(STILL, crop=crop), image_size=100)
    areas = []
    for seed in range(300):
        view = transform(image, seed=seed).astype(float)
        areas.append((view[50, -1, 0] - view[50, 0, 0]) / 200 * (view[-1, 50, 1] - view[0, 50, 1]) / 200)
    assert min(areas) == pytest.approx(crop, abs=0.05)
    assert max(areas) == pytest.approx(1.0, abs=0.1)


def test_as_many_views_have_a_hole_as_are_to() -> None:
    image, transform = (
        np.full((40, 40, 3), 200, dtype=np.uint8),
        parts_transform(replace(STILL, cutout=0.25), image_size=40),
    )
    holes = [bool((transform(image, seed=seed) == 0).any()) for seed in range(400)]
    assert sum(holes) == pytest.approx(100, abs=26)  # three standard deviations


@pytest.mark.parametrize(
    ("color", "light", "saturation"), [("none", 0.0, 0.0), ("light", 0.4, 0.05), ("mild", 0.5, 0.25)]
)
def test_light_and_saturation_change_no_further_than_the_part_says(color: Any, light: float, saturation: float) -> None:
    image = np.full((8, 8, 3), (150, 110, 90), dtype=np.uint8)
    transform = parts_transform(replace(STILL, color=color), image_size=8)
    views = [transform(image, seed=seed)[0, 0] / 255 for seed in range(300)]
    hsv = np.array([colorsys.rgb_to_hsv(*view) for view in views])
    before = np.array(colorsys.rgb_to_hsv(150 / 255, 110 / 255, 90 / 255))
    changes = np.abs(hsv / before - 1).max(axis=0)
    assert changes[2] <= light
    assert (changes[2] > light / 4) == (light > 0)
    if color == "mild":  # its saturation is its own; contrast and brightness alone change it elsewhere
        assert changes[1] > 0.1
    if color == "none":
        assert changes[1] == 0


def test_parts_are_those_of_the_dataclass() -> None:
    assert {type(parts) for parts in PRESETS.values()} == {AugmentationParts}
    assert set(PRESETS) == set(NAMES)


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

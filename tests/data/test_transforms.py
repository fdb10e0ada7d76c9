"""Views by their properties, made in one step, by albumentations and on a device: what decides them, what they keep."""

# Shapes: S = side of a view.

import colorsys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from typing_extensions import override

from simtrain.data.albumentations_views import parts_transform
from simtrain.data.device_views import made_views
from simtrain.data.presets import PRESETS, AugmentationParts, Border, Preset
from simtrain.data.transforms import PartViews, ViewTransform, view_seed
from simtrain.data.view_plans import joined_pictures

NAMES: tuple[Preset, ...] = get_args(Preset)
STILL = replace(PRESETS["affine"], flip=False, rotation=0, zoom=0, shift=0, color="none")
COLOURS = [(200, 40, 40), (40, 180, 60), (50, 70, 200), (230, 120, 20)]
Picture = NDArray[np.uint8]
Maker = Callable[..., ViewTransform]


class DeviceViews(PartViews):
    """The views that a device makes from a plan."""

    @override
    def __call__(self, source: Picture, *, seed: int) -> Picture:
        made = made_views(joined_pictures([[source]]), self.plan([[source]], [[seed]]))
        return made[0, 0].numpy()


@pytest.fixture(params=[PartViews, parts_transform, DeviceViews], ids=["fused", "albumentations", "device"])
def maker(request: pytest.FixtureRequest) -> Maker:
    """Makes views of parts, each way."""
    made: Maker = request.param
    return made


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
def test_the_same_seed_gives_the_same_view(maker: Maker, preset: Preset) -> None:
    transform, image = maker(PRESETS[preset], image_size=16), noise(40, 30)
    first = {seed: transform(image, seed=seed) for seed in range(30)}
    for seed in reversed(range(30)):
        np.testing.assert_array_equal(transform(image, seed=seed), first[seed])


@pytest.mark.parametrize("preset", NAMES)
def test_another_object_gives_the_same_view(maker: Maker, preset: Preset) -> None:
    image = noise(40, 30)
    one, other = maker(PRESETS[preset], image_size=16), maker(PRESETS[preset], image_size=16)
    one(image, seed=99)
    np.testing.assert_array_equal(one(image, seed=3), other(image, seed=3))


@pytest.mark.parametrize("preset", NAMES)
def test_different_seeds_give_different_views(maker: Maker, preset: Preset) -> None:
    transform, image = maker(PRESETS[preset], image_size=16), noise(40, 30)
    assert len({transform(image, seed=seed).tobytes() for seed in range(60)}) == 60


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
def test_two_presets_keep_the_hue(maker: Maker, preset: Preset, colour: tuple[int, int, int]) -> None:
    changes = hue_changes(maker(PRESETS[preset], image_size=24), colour, seeds=100)
    assert len(changes) == 100
    assert max(changes) < 8
    assert np.mean(changes) < 1.5


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("preset", ["color_invariant", "simclr"])
def test_the_other_presets_change_the_hue(maker: Maker, preset: Preset, colour: tuple[int, int, int]) -> None:
    changes = hue_changes(maker(PRESETS[preset], image_size=24), colour, seeds=100)
    assert sum(change > 20 for change in changes) > 30
    assert len(changes) < 95  # some are grey


@pytest.mark.parametrize("preset", NAMES)
@pytest.mark.parametrize(("height", "width"), [(5, 7), (1, 1), (30, 2000), (2000, 30), (24, 24), (300, 200)])
def test_presets_make_squares_of_any_size(maker: Maker, preset: Preset, height: int, width: int) -> None:
    transform, image = maker(PRESETS[preset], image_size=24), noise(height, width)
    for seed in range(12):
        view = transform(image, seed=seed)
        assert view.dtype == np.uint8
        assert view.shape == (24, 24, 3)


@pytest.mark.parametrize("preset", NAMES)
def test_a_view_leaves_the_image_as_it_was(maker: Maker, preset: Preset) -> None:
    image = noise(24, 24)
    before = image.copy()
    transform = maker(PRESETS[preset], image_size=24)
    for seed in range(12):
        transform(image, seed=seed)
    np.testing.assert_array_equal(image, before)


def test_without_any_part_a_view_is_an_area_resize(maker: Maker) -> None:
    image = noise(48, 48)
    blocks = image.reshape(24, 2, 24, 2, 3).mean(axis=(1, 3))
    for seed in range(5):
        np.testing.assert_allclose(maker(STILL, image_size=24)(image, seed=seed), blocks, atol=0.51)


def test_a_flip_is_all_that_happens_to_half_of_the_views(maker: Maker) -> None:
    image, transform = noise(24, 24), maker(replace(STILL, flip=True), image_size=24)
    views = [transform(image, seed=seed) for seed in range(200)]
    flipped = [np.array_equal(view, image[:, ::-1]) for view in views]
    assert all(np.array_equal(view, image) for view, turned in zip(views, flipped, strict=True) if not turned)
    assert sum(flipped) == pytest.approx(100, abs=21)  # three standard deviations


@pytest.mark.parametrize(
    ("border", "shown"),
    [("white", {(255, 255, 255), (9, 99, 199)}), ("own_color", {(9, 99, 199)}), ("replicate", {(9, 99, 199)})],
)
def test_what_comes_into_view_beside_a_picture(maker: Maker, border: Border, shown: set[tuple[int, int, int]]) -> None:
    image = np.full((40, 40, 3), (9, 99, 199), dtype=np.uint8)
    image[0, 0] = (200, 0, 0)  # one odd pixel of the border, which its median leaves out
    transform = maker(replace(STILL, shift=0.5, border=border), image_size=40)
    corners = {tuple(transform(image, seed=seed)[-1, -1].tolist()) for seed in range(40)}
    assert shown <= corners
    lowest, highest = np.min([*shown], axis=0), np.max([*shown], axis=0)
    between = [np.all(lowest <= corner) and np.all(corner <= highest) for corner in corners - shown]
    assert all(between)
    assert len(between) <= 4  # where the border runs through the corner's pixel


def test_beside_a_picture_comes_its_mirror_image_where_it_is_to_be_reflected(maker: Maker) -> None:
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    image[:, 20:] = 200  # dark on the left
    transform = maker(replace(STILL, shift=0.9, border="reflect"), image_size=40)
    seen = {tuple(transform(image, seed=seed)[20, [0, -1], 0].tolist()) for seed in range(200)}
    assert (200, 0) in seen  # the mirror image alone is bright on the left


@pytest.mark.parametrize(
    ("changed", "largest"),
    [({"rotation": 30.0}, 30.0), ({"rotation": 5.0}, 5.0)],
)
def test_turns_are_as_large_as_they_may_be(maker: Maker, changed: Mapping[str, Any], largest: float) -> None:
    image = np.zeros((101, 101, 3), dtype=np.uint8)
    image[48:53, 50:] = 255  # a hand from the middle to the right
    transform = maker(replace(STILL, border="own_color", **changed), image_size=101)
    angles = []
    for seed in range(200):
        down, across = np.nonzero(transform(image, seed=seed)[..., 0] > 128)
        angles.append(np.degrees(np.arctan2(down.mean() - 50, across.mean() - 50)))
    assert max(angles) == pytest.approx(largest, rel=0.1)
    assert min(angles) == pytest.approx(-largest, rel=0.1)


@pytest.mark.parametrize("crop", [0.25, 0.64])
def test_crops_show_at_least_their_share_of_the_picture(maker: Maker, crop: float) -> None:
    image = np.zeros((200, 200, 3), dtype=np.uint8)
    image[..., 0] = np.arange(200)  # tells the column
    image[..., 1] = np.arange(200)[:, None]
    transform = maker(replace(STILL, crop=crop), image_size=100)
    areas = []
    for seed in range(300):
        view = transform(image, seed=seed).astype(float)
        areas.append((view[50, -1, 0] - view[50, 0, 0]) / 200 * (view[-1, 50, 1] - view[0, 50, 1]) / 200)
    assert min(areas) == pytest.approx(crop, abs=0.05)
    assert max(areas) == pytest.approx(1.0, abs=0.1)


def test_as_many_views_have_a_hole_as_are_to(maker: Maker) -> None:
    image, transform = (
        np.full((40, 40, 3), 200, dtype=np.uint8),
        maker(replace(STILL, cutout=0.25), image_size=40),
    )
    holes = [bool((transform(image, seed=seed) == 0).any()) for seed in range(400)]
    assert sum(holes) == pytest.approx(100, abs=26)  # three standard deviations


@pytest.mark.parametrize(
    ("color", "light", "saturation"), [("none", 0.0, 0.0), ("light", 0.4, 0.05), ("mild", 0.5, 0.25)]
)
def test_light_and_saturation_change_no_further_than_the_part_says(
    maker: Maker, color: Any, light: float, saturation: float
) -> None:
    image = np.full((8, 8, 3), (150, 110, 90), dtype=np.uint8)
    transform = maker(replace(STILL, color=color), image_size=8)
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


@pytest.mark.parametrize("other", [parts_transform, DeviceViews], ids=["albumentations", "device"])
@pytest.mark.parametrize("preset", NAMES)
def test_all_ways_draw_from_the_same_distribution(preset: Preset, other: Maker) -> None:
    """Mean, deviation, and what is grey, black and mirrored, over many views of a picture with all of these."""
    down, across = np.mgrid[0:64, 0:64]
    image = np.stack([60 + 2 * across, 200 - 2 * down, 90 + across + down // 2], axis=2).astype(np.uint8)
    seeds = np.random.default_rng(1).integers(2**31, size=1500).tolist()
    found = [
        np.array([_told(make(PRESETS[preset], image_size=32)(image, seed=seed)) for seed in seeds])
        for make in (PartViews, other)
    ]
    spread = np.sqrt(found[0].var(axis=0) / 1500 + found[1].var(axis=0) / 1500)
    assert np.all(np.abs(found[0].mean(axis=0) - found[1].mean(axis=0)) <= 4 * spread + 0.004)
    np.testing.assert_allclose(found[0].std(axis=0), found[1].std(axis=0), rtol=0.1, atol=0.004)


def _told(view: Picture) -> list[float]:
    """Numbers from 0 to 1 about a view."""
    values = view.astype(float) / 255
    grey = np.ptp(values, axis=2).max() < 0.02
    return [
        *values.mean(axis=(0, 1)),
        *values.std(axis=(0, 1)),
        float((view == 0).all(axis=2).mean()),
        float(values[:, 20:, 0].mean() < values[:, :12, 0].mean()),
        float(grey),
        float(np.abs(np.diff(values, axis=0)).mean()),
        float(values.max(axis=2).mean() - values.min(axis=2).mean()),
    ]


@pytest.mark.parametrize("preset", NAMES)
def test_the_square_that_is_asked_for_has_the_pixels_of_the_sharpest_view(preset: Preset) -> None:
    transform = PartViews(PRESETS[preset], image_size=100)
    sides = [transform.source_side([seed]) for seed in range(300)]
    assert max(sides) <= 200
    assert transform.source_side(range(300)) == max(sides)
    least = {"affine": 85, "color_sensitive": 85, "color_invariant": 85, "simclr": 100}
    assert least[preset] <= min(sides) <= least[preset] + 12

"""What a plan says of a view, in numbers by hand, and how batches of pictures are put together."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from simtrain.data.presets import PRESETS, AugmentationParts
from simtrain.data.view_draws import WHOLE, Box, ColorChange, ColorKind, Move, ViewDraw
from simtrain.data.view_plans import (
    KINDS,
    ViewPlan,
    joined_pictures,
    joined_plans,
    stacked_pictures,
    view_plan,
    widest_blur,
)

STILL = ViewDraw(crop=WHOLE, mirrored=False, move=None, colors=(), blur=0.0, hole=None)
AFFINE = PRESETS["affine"]


def plan_of(draw: ViewDraw, *, size: tuple[int, int] = (20, 20), parts: AugmentationParts = AFFINE) -> ViewPlan:
    return view_plan([[np.zeros((*size, 3), dtype=np.uint8)]], [[0]], [[draw]], parts=parts, side=10)


def test_a_whole_picture_is_sampled_between_its_pixels() -> None:
    plan = plan_of(STILL, size=(12, 15))
    np.testing.assert_allclose(plan.maps[0, 0], [[1.5, 0, 0.25], [0, 1.2, 0.1]], rtol=1e-6)
    assert plan.box[0, 0].tolist() == [0, 0, 14, 11]
    assert plan.merged[0, 0].tolist() == [1, 1]


def test_too_many_pixels_become_one() -> None:
    plan = plan_of(STILL, size=(40, 20))
    assert plan.merged[0, 0].tolist() == [4, 2]
    np.testing.assert_allclose(plan.maps[0, 0], [[1, 0, 0], [0, 1, 0]], atol=1e-6)
    assert plan.box[0, 0].tolist() == [0, 0, 9, 9]


def test_a_part_is_all_that_is_shown() -> None:
    plan = plan_of(replace(STILL, crop=Box(left=0.25, top=0.5, width=0.5, height=0.5)))
    np.testing.assert_allclose(plan.maps[0, 0], [[1, 0, 5], [0, 1, 10]], atol=1e-6)
    assert plan.box[0, 0].tolist() == [5, 10, 14, 19]


@pytest.mark.parametrize("crop_first", [True, False])
def test_a_mirrored_view_begins_on_the_right(crop_first: bool) -> None:
    left = replace(STILL, crop=Box(left=0, top=0, width=0.5, height=0.5), mirrored=True)
    plan = plan_of(left, parts=replace(AFFINE, crop_first=crop_first))
    begins = 9 if crop_first else 19  # a crop after mirroring is of the right half
    np.testing.assert_allclose(plan.maps[0, 0], [[-1, 0, begins], [0, 1, 0]], atol=1e-5)


def test_a_shift_to_the_right_shows_what_is_on_the_left() -> None:
    moved = replace(STILL, move=Move(degrees=0, zoom=(1, 1), shift=(0.2, 0)))
    plan = plan_of(moved, size=(10, 10))
    np.testing.assert_allclose(plan.maps[0, 0], [[1, 0, -2], [0, 1, 0]], atol=1e-6)
    assert plan.moved.tolist() == [[True]]
    assert not plan_of(STILL).moved.any()


def test_changes_of_colour_are_numbered_before_and_after_that_of_hue() -> None:
    kinds: list[tuple[ColorKind, float]] = [("contrast", 0.5), ("hue", 0.25), ("brightness", 1.5), ("grey", 1.0)]
    changes = tuple(ColorChange(kind=kind, amount=amount) for kind, amount in kinds)
    plan = plan_of(replace(STILL, colors=changes))
    assert plan.colors[0, 0, 0, :2, :2].tolist() == [[KINDS.index("contrast"), 0.5], [0, 0]]
    assert plan.colors[0, 0, 1, :3, 0].tolist() == [KINDS.index("brightness"), KINDS.index("grey"), 0]
    assert (plan.hue.tolist(), plan.turns_hue) == ([[0.25]], True)
    assert not plan_of(STILL).turns_hue


def test_holes_are_in_pixels_and_a_blur_that_shows_nothing_is_left_out() -> None:
    plan = plan_of(replace(STILL, blur=0.2, hole=Box(left=0.1, top=0.5, width=0.35, height=0.2)))
    assert plan.hole[0, 0].tolist() == [5, 1, 7, 4]
    assert (plan.blur.tolist(), plan.reach) == ([[0.0]], 0)
    assert plan_of(replace(STILL, blur=0.3)).reach == 1
    assert plan_of(replace(STILL, blur=2.0)).reach == 1  # of a window of 3 pixels, the least
    assert (widest_blur(224), widest_blur(16)) == (23, 3)


def test_pictures_of_several_sizes_are_joined_with_their_last_pixels_beside() -> None:
    small = np.array([[[1, 1, 1], [2, 2, 2]]], dtype=np.uint8)
    large = np.full((2, 3, 3), 9, dtype=np.uint8)
    joined = joined_pictures([[small], [large]])
    assert joined.shape == (2, 1, 2, 3, 3)
    assert joined[0, 0, ..., 0].tolist() == [[1, 2, 2], [1, 2, 2]]
    parts = [joined_pictures([[small]]), joined_pictures([[large]])]
    assert torch.equal(stacked_pictures(parts, pin_memory=False), joined)


def test_plans_of_parts_are_that_of_the_whole() -> None:
    pictures = [[np.zeros((12 + number, 12, 3), dtype=np.uint8)] for number in range(3)]
    draws = [[replace(STILL, blur=0.5 + number)] for number in range(3)]
    whole = view_plan(pictures, [[0]] * 3, draws, parts=AFFINE, side=10)
    parts = [view_plan(pictures[one], [[0]] * len(pictures[one]), draws[one], parts=AFFINE, side=10)
             for one in (slice(0, 2), slice(2, 3))]  # fmt: skip
    joined = joined_plans(parts)
    assert torch.equal(joined.merged, whole.merged)
    assert torch.equal(joined.maps, whole.maps)
    assert torch.equal(joined.blur, whole.blur)
    assert (joined.reach, joined.turns_hue) == (whole.reach, whole.turns_hue)


def test_a_sample_may_have_a_picture_for_each_view() -> None:
    pictures = [[np.zeros((10, 10, 3), dtype=np.uint8), np.zeros((40, 40, 3), dtype=np.uint8)]]
    plan = view_plan(pictures, [[0, 1]], [[STILL, STILL]], parts=AFFINE, side=10)
    assert plan.picture.tolist() == [[0, 1]]
    assert plan.merged.tolist() == [[[1, 1], [4, 4]]]

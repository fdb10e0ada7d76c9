"""What seeds draw: shares, ranges and independence, against the parts and albumentations' own draws."""

import math

import albumentations as A
import numpy as np
import pytest

from simtrain.data.presets import PRESETS
from simtrain.data.view_draws import WHOLE, draw_view

SEEDS = np.random.default_rng(0).integers(2**31, size=4000).tolist()


def test_a_seed_always_draws_the_same() -> None:
    for name, parts in PRESETS.items():
        assert draw_view(parts, seed=7) == draw_view(parts, seed=7), name
        assert len({repr(draw_view(parts, seed=seed)) for seed in range(100)}) == 100, name


def test_shares_of_a_preset_are_those_of_its_parts_and_independent() -> None:
    drawn = [draw_view(PRESETS["color_invariant"], seed=seed) for seed in SEEDS]
    told = np.array(
        [
            [view.mirrored, view.move is not None, view.hole is not None, "grey" in kinds, "hue" in kinds]
            for view in drawn
            for kinds in [{change.kind for change in view.colors}]
        ],
        dtype=float,
    )
    np.testing.assert_allclose(told.mean(axis=0), [0.5, 0.7, 0.3, 0.2, 0.8], atol=0.025)
    correlation = np.corrcoef(told.T) - np.eye(5)
    assert np.abs(correlation).max() < 0.06


def test_turns_zooms_and_shifts_fill_their_ranges() -> None:
    moves = [move for seed in SEEDS if (move := draw_view(PRESETS["affine"], seed=seed).move) is not None]
    assert len(moves) == len(SEEDS)
    values = np.array([[move.degrees, *move.zoom, *move.shift] for move in moves])
    highest = np.array([15, 1.15, 1.15, 0.1, 0.1])
    lowest = np.array([-15, 0.85, 0.85, -0.1, -0.1])
    span = highest - lowest
    assert np.all(values.min(axis=0) >= lowest)
    assert np.all(values.max(axis=0) <= highest)
    np.testing.assert_allclose((values.mean(axis=0) - lowest) / span, 0.5, atol=0.02)
    np.testing.assert_allclose(values.std(axis=0) / span, 1 / math.sqrt(12), atol=0.01)  # of an even distribution


@pytest.mark.parametrize(("preset", "ratio", "scale"), [("simclr", 4 / 3, 0.08), ("color_sensitive", 1.25, 0.5)])
def test_crops_are_distributed_as_albumentations_draws_them(preset: str, ratio: float, scale: float) -> None:
    reference = A.RandomResizedCrop(size=(10, 10), scale=(scale, 1.0), ratio=(1 / ratio, ratio))
    reference.set_random_seed(0)
    shape = {"shape": (2000, 2000, 3)}
    theirs = np.array([reference.get_params_dependent_on_data(shape, {})["crop_coords"] for _ in SEEDS]) / 2000
    ours = np.array(
        [
            [box.left, box.top, box.left + box.width, box.top + box.height]
            for seed in SEEDS
            for box in [draw_view(PRESETS[preset], seed=seed).crop]
        ]
    )
    assert ours.min() >= 0
    assert ours.max() <= 1 + 1e-9
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        np.testing.assert_allclose(np.quantile(ours, share, axis=0), np.quantile(theirs, share, axis=0), atol=0.03)
    own, other = (
        np.quantile(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), [0.1, 0.5, 0.9]) for boxes in (ours, theirs)
    )
    np.testing.assert_allclose(own, other, atol=0.03)


def test_without_a_crop_the_whole_is_shown() -> None:
    assert all(draw_view(PRESETS["affine"], seed=seed).crop == WHOLE for seed in range(50))


def test_light_and_colours_come_in_every_order() -> None:
    drawn = [draw_view(PRESETS["simclr"], seed=seed) for seed in SEEDS]
    orders = {tuple(change.kind for change in view.colors if change.kind != "grey") for view in drawn}
    assert len(orders) == 24 + 1  # four changes in every order, and none
    blurs = [view.blur for view in drawn if view.blur]
    assert len(blurs) / len(SEEDS) == pytest.approx(0.5, abs=0.025)
    assert min(blurs) >= 0.1
    assert max(blurs) <= 2.0


def test_a_view_of_a_small_crop_needs_more_pixels() -> None:
    for seed in range(200):
        drawn = draw_view(PRESETS["color_sensitive"], seed=seed)
        zoom = 1.0 if drawn.move is None else max(drawn.move.zoom)
        assert drawn.enlargement == pytest.approx(zoom * max(1 / drawn.crop.width, 1 / drawn.crop.height))

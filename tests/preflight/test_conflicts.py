"""What is said before training, and what is not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_conflicts import (
    PREPROCESSING,
    SIMCLR,
    TRIPLET,
    colour_shop,
    coloured,
    config_of,
    found,
    kinds,
    products,
    shop,
)

from simtrain.preflight.conflicts import conflict_warnings


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    assert found(config_of(TRIPLET), products(60)) == []
    assert found(config_of(SIMCLR), products(60)) == []


@pytest.mark.parametrize("preset", ["color_invariant", "simclr"])
def test_colours_that_training_would_unlearn(preset: str) -> None:
    config = config_of(SIMCLR, relevance="label", augmentation={"preset": preset})
    colours = [conflict for conflict in found(config, colour_shop()) if conflict.kind == "colours"]
    (conflict,) = colours
    assert conflict.message.startswith("colours alone predict 'label' of 100 % of the images, but of ")
    assert conflict.message.endswith("keep the colour with --set augmentation.preset=color_sensitive")
    assert conflict.figures["originals"] == 1.0


@pytest.mark.parametrize(
    ("augmentation", "advice"),
    [
        ({"transforms": [{"name": "ToGray", "parameters": {"p": 1.0}}]}, "--set augmentation.transforms=null"),
        ({"color": "all_hues"}, "--set augmentation.color=null"),
        (
            {"preset": "simclr", "color": "all_hues"},
            "--set augmentation.color=null --set augmentation.preset=color_sen",
        ),
        (
            {"preset": "simclr", "transforms": [{"name": "ToGray", "parameters": {"p": 1.0}}]},
            "--set augmentation.transforms=null --set augmentation.preset=color_sensitive",
        ),
    ],
)
def test_what_keeps_the_colour_of_one_s_own_transforms_and_parts(augmentation: dict[str, Any], advice: str) -> None:
    config = config_of(SIMCLR, relevance="label", augmentation=augmentation)
    (conflict,) = [one for one in found(config, colour_shop()) if one.kind == "colours"]
    assert f"keep the colour with {advice}" in conflict.message


def test_transforms_that_need_more_than_the_encoder_s_square() -> None:
    own = {"transforms": [{"name": "CenterCrop", "parameters": {"height": 38, "width": 38}}]}  # of pictures of 40
    assert kinds(found(config_of(SIMCLR, relevance="label", augmentation=own), colour_shop())) == ["few queries"]


def test_a_few_lucky_neighbours_are_no_colour_label() -> None:
    columns = {"split": ["train"] * 32 + ["val"] * 40, "label": ["a", "b"] * 36}
    catalog = shop({**columns, "coin": np.random.default_rng(3).permutation(["heads", "tails"] * 36)})
    config = config_of(SIMCLR, relevance="coin", augmentation={"preset": "simclr"})
    assert found(config, catalog) == []


def test_the_sensitive_preset_and_other_labels_are_left_alone() -> None:
    assert "colours" not in kinds(found(config_of(SIMCLR, relevance="label"), colour_shop()))
    shuffled = colour_shop()
    shuffled.rows["shape"] = np.random.default_rng(0).permutation(["mug", "bag", "hat"] * 20)
    config = config_of(SIMCLR, relevance="shape", augmentation={"preset": "simclr"})
    assert "colours" not in kinds(found(config, shuffled))


def test_left_and_right_under_a_mirroring_augmentation() -> None:
    sides = ["glove left", "glove right"] * 30
    catalog = shop({"label": sides, "split": ["train"] * 20 + ["val"] * 40})
    (conflict,) = [one for one in found(config_of(SIMCLR, relevance="label"), catalog) if one.kind == "sides"]
    assert conflict.message.startswith(
        "'label' separates left from right ('glove left', 'glove right'), but the augment"
    )
    own = {"transforms": [{"name": "Rotate", "parameters": {"limit": 15}}]}
    assert "sides" not in kinds(found(config_of(SIMCLR, relevance="label", augmentation=own), catalog))


def test_left_and_right_under_flip_averaging() -> None:
    catalog = shop({"label": ["glove left", "glove right"] * 30, "split": ["train"] * 20 + ["val"] * 40})
    config = config_of(SIMCLR, relevance="label", augmentation={"transforms": [{"name": "Rotate"}]})
    (conflict,) = conflict_warnings(
        config,
        catalog,
        images=lambda row: coloured(catalog, "label", row),
        preprocessing=replace(PREPROCESSING, flip_averaging=True),
        validation=None,
        texts=None,
    )
    assert conflict.message == (
        "'label' separates left from right ('glove left', 'glove right'), but with flip averaging an image and "
        "its mirror "
        "image have one embedding; add --set encoder.flip_averaging=false"
    )


def test_two_views_of_one_product_are_not_told_apart() -> None:
    views = ["chair, left view", "chair, right view"]
    assert found(config_of(SIMCLR), products(60, caption=views * 160)) == []
    by_product = [f"chair, {side} arm" for _ in range(40) for side in ("left",) * 4 + ("right",) * 4]
    (conflict,) = found(config_of(SIMCLR), products(60, caption=by_product))
    assert conflict.message.startswith(
        "'caption' separates left from right ('chair, left arm', 'chair, right arm'), but"
    )
    assert conflict.message.endswith("make the encoder ignore it; keep the sides with --set augmentation.flip=false")
    assert found(config_of(SIMCLR, augmentation={"flip": False}), products(60, caption=by_product)) == []

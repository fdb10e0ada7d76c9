"""What is said before training, and what is not."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from simtrain.builders import build_texts, build_validation
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig, parse_run_config
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.preflight import conflict_warnings
from simtrain.preflight.conflict import Conflict
from simtrain.preflight.left_right import pairs_of_sides

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 40), "blue": (30, 50, 200)}
PREPROCESSING = Preprocessing(
    image_size=32,
    resize="pad",
    interpolation="bilinear",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    flip_averaging=False,
)
SIMCLR = {"kind": "simclr"}
TRIPLET = {"kind": "triplet"}


def shop(columns: Mapping[str, Sequence[Any]]) -> Catalog:
    count = len(columns["split"])
    usual = {"id": [f"{row:04}" for row in range(count)], "product": [None] * count, "label": [None] * count}
    more = {"caption": [None] * count, "query": [True] * count, "gallery": [True] * count}
    more["duplicate_group"] = [None] * count
    return Catalog(rows=pd.DataFrame({**usual, **more, **columns}), root=Path(), folder=Path("shop"))


def products(count: int, *, views: int = 4, **columns: Any) -> Catalog:
    """`count` products in train and 20 in val, four pictures of each."""
    names = [f"p{number:03}" for number in range(count + 20) for _ in range(views)]
    split = ["train"] * (count * views) + ["val"] * (20 * views)
    return shop({"product": names, "split": split, **columns})


def config_of(objective: Mapping[str, Any], **sections: Any) -> RunConfig:
    tree = {"catalog": "shop", "encoder": {"kind": "resnet"}, "data": {"batch_size": 8}, "objective": objective}
    return parse_run_config({**tree, **sections}, where="test")


def coloured(catalog: Catalog, column: str, row: int) -> NDArray[np.uint8]:
    picture = np.full((40, 40, 3), 255, dtype=np.uint8)
    colour = COLOURS.get(str(catalog.rows[column].iat[row]), (90, 90, 90))
    return np.asarray(cv2.circle(picture, (20, 20), 8 + row % 7, colour, thickness=-1))


def found(config: RunConfig, catalog: Catalog, *, column: str = "label") -> list[Conflict]:
    return conflict_warnings(
        config,
        catalog,
        images=lambda row: coloured(catalog, column, row),
        preprocessing=PREPROCESSING,
        validation=build_validation(config, catalog),
        texts=build_texts(config, catalog),
    )


def kinds(conflicts: list[Conflict]) -> list[str]:
    return [conflict.kind for conflict in conflicts]


def colour_shop() -> Catalog:
    labels = [list(COLOURS)[number % 3] for number in range(60)]
    return shop({"label": labels, "split": ["train"] * 45 + ["val"] * 15})


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    assert found(config_of(TRIPLET), products(60)) == []
    assert found(config_of(SIMCLR), products(60)) == []


@pytest.mark.parametrize("preset", ["color_invariant", "simclr"])
def test_colours_that_training_would_unlearn(preset: str) -> None:
    config = config_of(SIMCLR, relevance="label", augmentation={"preset": preset})
    colours = [conflict for conflict in found(config, colour_shop()) if conflict.kind == "colours"]
    (conflict,) = colours
    assert conflict.message.startswith("colours alone tell 'label' of 100 % of the images, but of ")
    assert conflict.message.endswith("keep the colour with --set augmentation.preset=color_sensitive")
    assert conflict.figures["originals"] == 1.0


@pytest.mark.parametrize(
    ("augmentation", "advice"),
    [
        ({"transforms": [{"name": "ToGray", "parameters": {"p": 1.0}}]}, "--set augmentation.transforms=null"),
        (
            {"preset": "simclr", "transforms": [{"name": "ToGray", "parameters": {"p": 1.0}}]},
            "--set augmentation.transforms=null --set augmentation.preset=color_sensitive",
        ),
    ],
)
def test_what_keeps_the_colour_of_one_s_own_transforms(augmentation: dict[str, Any], advice: str) -> None:
    config = config_of(SIMCLR, relevance="label", augmentation=augmentation)
    (conflict,) = [one for one in found(config, colour_shop()) if one.kind == "colours"]
    assert conflict.message.endswith(f"keep the colour with {advice}")


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
    assert conflict.message.startswith("'label' tells left from right ('glove left', 'glove right'), but the augment")
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
        "'label' tells left from right ('glove left', 'glove right'), but with flip averaging an image and its mirror "
        "image have one embedding; add --set encoder.flip_averaging=false"
    )


def test_two_views_of_one_product_are_not_told_apart() -> None:
    views = ["chair, left view", "chair, right view"]
    assert found(config_of(SIMCLR), products(60, caption=views * 160)) == []
    by_product = [f"chair, {side} arm" for _ in range(40) for side in ("left",) * 4 + ("right",) * 4]
    (conflict,) = found(config_of(SIMCLR), products(60, caption=by_product))
    assert conflict.message.startswith("'caption' tells left from right ('chair, left arm', 'chair, right arm'), but")
    assert conflict.message.endswith(
        "a list without a flip is --set 'augmentation.transforms="
        "[{name: RandomResizedCrop, parameters: {size: [32, 32], scale: [0.5, 1.0]}}]'"
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["shoe_left", "shoe_right"], ("shoe_left", "shoe_right")),
        (["Rechter Handschuh", "mug", "Linker Handschuh"], ("Linker Handschuh", "Rechter Handschuh")),
        (["gant droit", "gant gauche"], ("gant gauche", "gant droit")),
        (["دستکش راست", "دستکش چپ"], ("دستکش چپ", "دستکش راست")),
        (["Mirror LH", "Mirror RH"], ("Mirror LH", "Mirror RH")),
        (["shoe left", "boot right"], None),
        (["bright mug", "leftover mug"], None),
        (["left and right", "left"], None),
        (["shoe 7 left", "shoe 8 right"], None),
    ],
)
def test_values_that_differ_by_the_side_only(values: list[str], expected: tuple[str, str] | None) -> None:
    assert next(pairs_of_sides(values), None) == expected


def test_few_classes_make_a_classifier() -> None:
    (conflict,) = found(config_of({**TRIPLET, "positive": "label"}, relevance="label"), colour_shop())[:1]
    assert conflict.kind == "few classes"
    assert conflict.message == (
        "'label' has 3 values: as positives they make a classifier of 3 classes, not a similarity of products; for "
        "that, --set 'objective={kind: simclr}'"
    )
    catalog = products(60, label=[list(COLOURS)[number % 3] for number in range(320)])
    conflict = found(config_of({**TRIPLET, "positive": "label"}), catalog)[0]
    assert conflict.message.endswith("--set 'objective.positive=product'")


def test_groups_that_repeat_their_images() -> None:
    config = config_of({**TRIPLET, "images_per_group": 8}, data={"batch_size": 16})
    (conflict,) = found(config, products(60))
    assert conflict.kind == "unfilled groups"
    assert conflict.message == (
        "60 of 60 training groups of 'product' have fewer than 8 images, such as 'p000' with 4: a batch repeats them; "
        "--set objective.images_per_group=4"
    )
    assert kinds(found(config, products(60, views=8))) == []


def test_the_batch_that_fewer_images_per_group_need() -> None:
    config = config_of({**TRIPLET, "images_per_group": 9}, data={"batch_size": 54})  # 4 and 54: no whole groups
    (conflict,) = found(config, products(60))
    assert conflict.message.endswith("--set objective.images_per_group=4 --set data.batch_size=52")


def test_categories_with_too_few_groups_for_a_batch() -> None:
    categories = [f"c{number // 8}" for number in range(320)]  # two products of four pictures each
    catalog = products(60, label=categories)
    config = config_of(TRIPLET, data={"batch_size": 16, "limit_batch_to": "label"})
    (conflict,) = found(config, catalog)
    assert conflict.kind == "mixed batches"
    assert conflict.message == (
        "data.limit_batch_to: 100 % of the training groups of 'product' fill no batch of 8 groups of one 'label' and "
        "are mixed with those of others; --set data.batch_size=4"
    )
    assert kinds(found(config_of(TRIPLET, data={"batch_size": 4, "limit_batch_to": "label"}), catalog)) == []


def test_categories_of_single_groups() -> None:
    catalog = products(60, label=[f"c{number // 4}" for number in range(320)])
    (conflict,) = found(config_of(TRIPLET, data={"batch_size": 16, "limit_batch_to": "label"}), catalog)
    assert conflict.message.endswith("; --set data.limit_batch_to=null")


@pytest.mark.parametrize("batch", [96, 94])
def test_batches_that_meet_nearly_all_groups(batch: int) -> None:
    conflicts = found(config_of(TRIPLET, data={"batch_size": batch}), products(60))
    if batch == 94:  # 47 of 60
        assert conflicts == []
        return
    (conflict,) = conflicts
    assert conflict.kind == "few groups"
    assert conflict.message == (
        "a batch takes 48 of 60 training groups of 'product': every batch meets nearly the same ones; "
        "--set data.batch_size=60 varies them"
    )


def test_pairs_that_meet_nearly_all_groups() -> None:
    config = config_of({"kind": "simclr", "positive": "product"}, data={"batch_size": 60})
    (conflict,) = found(config, products(60))
    assert conflict.message.endswith("--set data.batch_size=30 varies them")


def test_too_few_queries() -> None:
    few = shop({"product": ["a", "a", "b", "b"] + ["c"] * 8, "split": ["val"] * 4 + ["train"] * 8})
    (conflict,) = found(config_of(SIMCLR), few)
    assert conflict.message == (
        "only 4 validation queries have something to find: one of them is 25 points, too coarse to tell one epoch from "
        "another; add pictures"
    )
    more = shop({"product": ["a", "a", "b", "b"] * 5 + ["c"] * 280, "split": ["val"] * 20 + ["train"] * 280})
    (conflict,) = found(config_of(SIMCLR), more)  # 20 of 300 images answer 20 queries; 30 of 300 answer 30
    assert conflict.message.endswith("prepare it again: simtrain prepare SOURCE --out shop --set split.val=0.1")


def test_lone_queries() -> None:
    lone = shop({"product": [f"p{row}" for row in range(20)] + ["q", "r"] * 20, "split": ["val"] * 60})
    (conflict,) = found(config_of(SIMCLR), lone)
    assert conflict.message == (
        "20 of 60 validation queries have no other image of their 'product' to find: the figures speak of the other 40 "
        "only; they need a second gallery image of their 'product'"
    )
    labels = [f"p{row}" for row in range(20)]
    wider = shop({"label": [*labels, *["q", "r"] * 20, *labels[:15]], "split": ["val"] * 60 + ["train"] * 15})
    (conflict,) = found(config_of(SIMCLR, relevance="label"), wider)
    assert conflict.message.endswith(
        "; --set evaluation.gallery_splits=[train,val,test] finds something for 15 of them"
    )


def test_a_few_images_without_a_product_are_no_matter() -> None:
    catalog = products(60)
    catalog.rows["product"] = catalog.rows["product"].where(catalog.rows.index < len(catalog.rows) - 4)
    assert found(config_of(SIMCLR), catalog) == []


def test_validation_of_one_group() -> None:
    split = ["train"] * 60 + ["val"] * 40
    catalog = shop({"label": ["a", "b"] * 30 + ["a"] * 40, "split": split, "product": ["p", "p", "q", "q"] * 25})
    (conflict,) = found(config_of(SIMCLR, relevance="label"), catalog)
    assert conflict.message == (
        "all 40 validation queries with something to find have the same 'label': their figures cannot tell one epoch "
        "from another; --set relevance=product"
    )


def test_more_queries_than_relevant_images() -> None:
    catalog = products(0, views=5)
    catalog.rows["gallery"] = [view == 0 for _ in range(20) for view in range(5)]
    catalog.rows["query"] = [view > 0 for _ in range(20) for view in range(5)]
    (conflict,) = found(config_of(SIMCLR), catalog)
    assert conflict.message == (
        "80 validation queries share 20 relevant gallery images: the figures rest on these 20, each asked for several "
        "times; mark more images as 'gallery' and prepare again"
    )


def told(config: dict[str, Any], captions: list[str | None]) -> list[Conflict]:
    catalog = shop(
        {"product": [f"p{row // 2}" for row in range(60)], "caption": captions, "split": ["train"] * 45 + ["val"] * 15}
    )
    encoder = {"kind": "clip", "model": "nowhere"}
    conflicts = found(config_of({"kind": "image_text", **config}, encoder=encoder, data={"batch_size": 16}), catalog)
    return [conflict for conflict in conflicts if conflict.kind in ("repeated texts", "untold images")]


def test_texts_that_repeat_are_false_negatives_of_a_plain_loss() -> None:
    templates = {"templates": ["{caption}", "a photo of {caption}"]}
    (conflict,) = told({"positives": [], **templates}, ["a mug", "a cup", "a lamp"] * 20)
    # 45 images, 15 of each text: of 15 others in a batch, 14 of 44 have the same.
    assert conflict.figures == {"texts": 6, "images": 45, "false_negatives": pytest.approx(15 * 14 / 44)}
    assert conflict.message == (
        "6 different texts among 45 images: on average 4.8 others of a batch are called the same and count as "
        "wrong answers; add 'text' to positives"
    )
    assert told({"positives": [], "loss": "sigmoid"}, ["a mug", "a cup", "a lamp"] * 20)
    assert not told(templates, ["a mug", "a cup", "a lamp"] * 20)
    assert not told({"positives": []}, ["a mug", "a cup", "a lamp"] * 20)
    assert not told({"positives": [], **templates}, [f"mug {number}" for number in range(60)])


def test_images_that_are_mostly_untold_are_reported() -> None:
    (conflict,) = told({}, [f"mug {row}" if row < 20 else None for row in range(60)])
    assert conflict.message == "25 of 45 training images have no text of '{caption}'; they teach no words"

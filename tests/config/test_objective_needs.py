from typing import Any

import pytest

from simtrain.config import GroupNeeds, ObjectiveNeeds, RunConfig, parse_run_config


def configured(objective: dict[str, Any], *, kind: str = "resnet") -> RunConfig:
    tree = {"catalog": "x", "encoder": {"kind": kind}, "objective": objective, "data": {"batch_size": 24}}
    return parse_run_config(tree, where="test")


def needs(objective: dict[str, Any], *, kind: str = "resnet") -> ObjectiveNeeds:
    return configured(objective, kind=kind).objective.needs


def pairs_of_products(single_image_groups: Any) -> GroupNeeds:
    return GroupNeeds(column="product", images=2, paired=True, single_image_groups=single_image_groups)


def test_simclr_needs_two_views_of_images_in_any_order():
    assert needs({"kind": "simclr"}) == ObjectiveNeeds(views=2)


def test_simclr_of_products_needs_pairs():
    told = {"kind": "simclr", "positive": "product", "single_image_groups": "drop"}
    assert needs(told) == ObjectiveNeeds(views=2, groups=pairs_of_products("drop"))


@pytest.mark.parametrize(("weight", "column"), [(0.0, None), (0.5, "colour")])
def test_simclr_reads_a_label_column_where_its_weight_is_not_zero(weight: float, column: str | None):
    told = {"kind": "simclr", "label_weight": weight, "label_column": "colour"}
    assert needs(told).label_column == column


@pytest.mark.parametrize("kind", ["triplet", "metric_learning"])
def test_labelled_objectives_need_whole_groups_of_their_column(kind: str):
    loss = {"loss": {"name": "TripletMarginLoss"}} if kind == "metric_learning" else {"margin": 0.3}
    told = needs({"kind": kind, "positive": "label", "images_per_group": 4, **loss})
    assert told.views == 1
    assert told.groups == GroupNeeds(column="label", images=4, paired=False, single_image_groups="drop")
    assert told.margin == (0.3 if kind == "triplet" else None)


@pytest.mark.parametrize(("similarity", "expected"), [(None, False), (0.9, True)])
@pytest.mark.parametrize("kind", ["simclr", "triplet"])
def test_false_negatives_by_similarity_need_the_untouched_encoder(kind: str, similarity: Any, expected: bool):
    assert needs({"kind": kind, "false_negatives": {"max_similarity": similarity}}).reference is expected


def test_texts_beside_images_have_a_weight_and_are_not_required():
    told = configured({"kind": "triplet", "texts": {"weight": 0.25}}, kind="clip")
    assert told.texts is told.objective.needs.texts is not None
    assert (told.objective.needs.texts_weight, told.objective.needs.texts_required) == (0.25, False)
    assert told.texts_key == "objective.texts"


def test_image_text_leaves_out_images_without_text():
    told = configured({"kind": "image_text", "templates": ["{name}"]}, kind="clip")
    assert told.objective.needs == ObjectiveNeeds(views=1, texts=told.texts, texts_required=True)
    assert told.texts is not None
    assert told.texts.templates == ["{name}"]
    assert told.texts_key == "objective"


@pytest.mark.parametrize(("paired", "samples"), [(True, 1), (False, 2)])
def test_a_pair_counts_once_in_a_batch(paired: bool, samples: int):
    assert GroupNeeds(column="c", images=2, paired=paired, single_image_groups="drop").samples == samples

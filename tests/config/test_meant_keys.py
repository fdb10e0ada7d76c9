"""What wrong keys and values were meant to be."""

import json
from typing import Any

import pytest

from simtrain.config import CompareConfig, PrepareConfig, RunConfig, load_prepare_config, parse_run_config
from simtrain.config.meant_keys import nearest_keys
from simtrain.errors import ConfigError

SMALLEST: dict[str, Any] = {"catalog": "a", "encoder": {"kind": "pixels"}, "objective": {"kind": "simclr"}}


def complaint(tree: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_run_config({**SMALLEST, **tree}, where="f")
    return str(caught.value).removeprefix("f: ")


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"epochs": 3}, "epochs: unknown key; did you mean 'trainer.epochs'?"),
        ({"epoch": 3}, "epoch: unknown key; did you mean 'trainer.epochs'?"),
        ({"lr": 1}, "lr: unknown key; did you mean 'optimizer.learning_rate'?"),
        ({"batch_size": 3}, "batch_size: unknown key; did you mean 'data.batch_size' or 'evaluation.batch_size'?"),
        ({"data": {"epochs": 3}}, "data.epochs: unknown key; did you mean 'trainer.epochs'?"),
        ({"distill": {"weight": 3}}, "distill: unknown key; did you mean 'objective.distill'?"),
        ({"margin": 1}, "margin: unknown key; 'objective.margin' is of objective.kind: triplet"),
        (
            {"objective": {"kind": "simclr", "margin": 1}},
            "objective.margin: unknown key of objective.kind: simclr; triplet has it",
        ),
        (
            {"objective": {"kind": "triplet", "temperature": 1}},
            "objective.temperature: unknown key of objective.kind: triplet; distill and simclr have it",
        ),
        ({"split": {"val": 0.1}}, "split: unknown key; 'split' is a setting of simtrain prepare"),
        ({"pictures": {}}, "pictures: unknown key; 'pictures' is a setting of simtrain compare"),
    ],
)  # fmt: skip
def test_a_wrong_key_names_the_right_one_wherever_it_lives(tree: dict[str, Any], expected: str) -> None:
    assert complaint(tree) == expected


def test_a_key_of_prepare_that_lacks_its_section() -> None:
    with pytest.raises(ConfigError) as caught:
        load_prepare_config(None, ["val=0.3"])
    assert str(caught.value) == "--set: val: unknown key; did you mean 'split.val'?"


def test_a_key_of_a_run_among_those_of_prepare() -> None:
    with pytest.raises(ConfigError) as caught:
        load_prepare_config(None, ["trainer.epochs=3"])
    assert str(caught.value) == "--set: trainer: unknown key; 'trainer' is a setting of simtrain fit"


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"augmentation": "color_invariant"}, "did you mean augmentation.preset=color_invariant?"),
        ({"objective": "triplet"}, "did you mean objective={kind: triplet}?"),
        ({"encoder": "resnet"}, "did you mean encoder={kind: resnet}?"),
        ({"encoder": "resnet50"}, "did you mean encoder={kind: resnet, model: resnet50}?"),
        ({"encoder": "timm:vit_small"}, "did you mean encoder={kind: timm, model: vit_small}?"),
        ({"encoder": "histogramm"}, "did you mean encoder={kind: histogram}?"),
        ({"export": "int8"}, "did you mean export.onnx_precisions=[int8]?"),
        (
            {"objective": "arcface"},
            "allowed: objective.kind 'distill', 'simclr', 'triplet', 'metric_learning', 'image_text', 'python', and "
            "the keys of that kind",
        ),
        (
            {"optimizer": "adam"},
            "its keys: learning_rate, head_factor, weight_decay, betas, warmup_fraction, layer_decay, "
            "gradient_clip_norm",
        ),
    ],
)
def test_a_word_in_the_place_of_a_section(tree: dict[str, Any], expected: str) -> None:
    key, word = next(iter(tree.items()))
    assert complaint(tree) == f"{key}: is a section, got '{word}'; {expected}"


def test_a_number_in_the_place_of_a_section() -> None:
    found = complaint({"objective": {"kind": "simclr", "projection_head": 512}})
    assert found == "objective.projection_head: is a section, got 512; its keys: hidden_size, output_size"


def test_one_text_in_the_place_of_a_list() -> None:
    found = complaint({"trainer": {"freeze": "network.layer1.*"}})
    assert found == (
        "trainer.freeze: got 'network.layer1.*'; expected a list; did you mean trainer.freeze=[network.layer1.*]?"
    )


@pytest.mark.parametrize("value", [7, True, 2.5])
def test_a_text_that_yaml_has_read_as_something_else(value: object) -> None:
    assert complaint({"run": value}) == f"run: got {json.dumps(value)}; expected text: put it in quotes"


@pytest.mark.parametrize(
    ("schema", "name", "first"),
    [
        (RunConfig, "epochs", "trainer.epochs"),
        (RunConfig, "trainer.epoch", "trainer.epochs"),
        (RunConfig, "optimiser.lr", "optimizer.learning_rate"),
        (RunConfig, "objective.distil.weight", "objective.distill.weight"),
        (PrepareConfig, "prodct_pattern", "product_pattern"),
        (CompareConfig, "neighbors", "pictures.neighbours"),
    ],
)
def test_nearest_keys(schema: type[Any], name: str, first: str) -> None:
    found = nearest_keys(schema, name)
    assert first in found[:2]
    assert len(found) <= 5

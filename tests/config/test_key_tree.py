"""Every key of a schema."""

import pytest

from simtrain.config import PrepareConfig, RunConfig
from simtrain.config.encoder import HistogramConfig
from simtrain.config.key_tree import keys_of, kind_in, kind_of
from simtrain.config.prepare import StoreConfig


def found(name: str) -> list[tuple[tuple[tuple[str, str], ...], bool]]:
    return [(key.kinds, key.listed) for key in keys_of(RunConfig) if key.name == name]


def test_a_key_of_one_section_is_there_once() -> None:
    assert found("trainer.epochs") == [((), False)]


def test_a_key_of_a_section_of_several_kinds_is_there_for_each_that_has_it() -> None:
    assert found("objective.margin") == [((("objective", "triplet"),), False)]
    assert [kinds for kinds, _ in found("encoder.image.weights")] == [
        (("encoder", "two_towers"), ("encoder.image", "resnet")),
        (("encoder", "two_towers"), ("encoder.image", "timm")),
    ]


def test_keys_of_items_of_a_list_are_marked() -> None:
    assert found("augmentation.transforms.name") == [((), True)]
    assert found("augmentation.transforms") == [((), False)]


def test_a_section_stands_before_its_keys_and_all_in_the_order_of_the_schema() -> None:
    names = [key.name for key in keys_of(PrepareConfig)]
    assert names[:4] == ["seed", "columns", "columns.path", "columns.id"]
    assert names[-1] == "workers"


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({}, True),
        ({"objective": {}}, True),
        ({"objective": "triplet"}, True),
        ({"objective": {"kind": "triplet"}}, True),
        ({"objective": {"kind": "simclr"}}, False),
    ],
)
def test_a_key_goes_with_a_configuration_that_does_not_name_another_kind(tree: dict[str, object], expected: bool):
    margin = next(key for key in keys_of(RunConfig) if key.name == "objective.margin")
    assert margin.goes_with(tree) is expected


def test_kinds() -> None:
    assert kind_in({"encoder": {"image": {"kind": "timm"}}}, "encoder.image") == "timm"
    assert kind_in({"encoder": 3}, "encoder.image") is None
    assert kind_of(HistogramConfig) == "histogram"
    assert kind_of(StoreConfig) is None  # a choice, and no mark of one section among several

"""The search space of a sweep."""

from pathlib import Path
from typing import Any

import pytest

from simtrain.config import parse_run_config
from simtrain.config.run import RunConfig
from simtrain.config.sweep import Dimension, Range, ValueList, search_space, value_of
from simtrain.errors import ConfigError


def config(**sections: Any) -> RunConfig:
    tree = {"catalog": "a", "run": "a", "encoder": {"kind": "resnet"}, "objective": {"kind": "simclr"}}
    return parse_run_config({**tree, **sections}, where="test")


def space(*over: str, file: Path | None = None, **sections: Any) -> list[Dimension]:
    return search_space(config(**sections), over=over, file=file)


def test_a_range_by_its_logarithm() -> None:
    assert space("optimizer.learning_rate=1e-5..1e-3:log") == [
        Range(key="optimizer.learning_rate", low=1e-5, high=1e-3, log=True, whole=False)
    ]


def test_a_range_of_whole_numbers() -> None:
    assert space("data.batch_size=32 .. 128") == [Range(key="data.batch_size", low=32, high=128, log=False, whole=True)]


def test_choices() -> None:
    assert space("augmentation.preset=affine, color_sensitive", "encoder.image_size=160,224") == [
        ValueList(key="augmentation.preset", values=("affine", "color_sensitive")),
        ValueList(key="encoder.image_size", values=("160", "224")),
    ]


def test_choices_that_are_lists_or_sections() -> None:
    (found,) = space("optimizer.betas=[0.9, 0.98],[0.9, 0.999]")
    assert found == ValueList(key="optimizer.betas", values=("[0.9, 0.98]", "[0.9, 0.999]"))


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(
        "optimizer.learning_rate: {low: 1e-5, high: 1e-3, log: true}\n"
        "data.batch_size: 16..64\n"
        "trainer.freeze_batch_norm: [true, false]\n"
    )
    assert space("data.batch_size=32..64", file=path) == [
        Range(key="optimizer.learning_rate", low=1e-5, high=1e-3, log=True, whole=False),
        Range(key="data.batch_size", low=32, high=64, log=False, whole=True),
        ValueList(key="trainer.freeze_batch_norm", values=("true", "false")),
    ]


def test_usual_space_of_simclr() -> None:
    assert list(map(str, space())) == [
        "optimizer.learning_rate: 3e-05 to 0.003, by its logarithm",
        "objective.temperature: 0.03 to 0.5, by its logarithm",
        "augmentation.preset: color_sensitive or affine or color_invariant",
    ]


def test_usual_space_of_triplets() -> None:
    found = space(objective={"kind": "triplet"}, optimizer={"learning_rate": 0.2}, augmentation={"transforms": []})
    assert list(map(str, found)) == [
        "optimizer.learning_rate: 0.02 to 1, by its logarithm",
        "objective.margin: 0.05 to 0.5, by its logarithm",
    ]


def test_a_frozen_network_that_sees_no_views_has_no_augmentation_to_choose() -> None:
    found = space(objective={"kind": "triplet"}, trainer={"freeze_encoder": True})
    assert [dimension.key for dimension in found] == ["optimizer.learning_rate", "objective.margin"]


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ("augmentation.preset", "--over augmentation.preset: expected a range or choices, such as "),
        ("=a,b", "--over =a,b: expected a range or choices, such as "),
        (
            "augmentation.preset=affine",
            "--over augmentation.preset=affine: expected two or more different values, or a range such as "
            "1e-5..1e-3:log",
        ),
        (
            "augmentation.preset=affine,affine",
            "--over augmentation.preset=affine,affine: expected two or more different values, or a range such as "
            "1e-5..1e-3:log",
        ),
        (
            "optimizer.learning_rate=1e-3..1e-5",
            "--over optimizer.learning_rate=1e-3..1e-5: a range goes from a smaller to a larger number",
        ),
        (
            "optimizer.weight_decay=0..0.1:log",
            "--over optimizer.weight_decay=0..0.1:log: a range by the logarithm begins above 0",
        ),
        ("learning_rate=1e-5..1e-3", "--over learning_rate: unknown key; did you mean optimizer.learning_rate?"),
        (
            "optimizer.learning_rate=1e-5..2",
            "--over optimizer.learning_rate=2: optimizer.learning_rate: got 2; input should be less than or equal to 1",
        ),
        (
            "augmentation.preset=affine,blur",
            "--over augmentation.preset=blur: augmentation.preset: got 'blur'; input should be 'affine', "
            "'color_sensitive', 'color_invariant' or 'simclr'",
        ),
        (
            "objective.margin=0.1..0.3",
            "--over objective.margin=0.1: objective.margin: unknown key of objective.kind: simclr; triplet has it",
        ),
        (
            "evaluation.monitor=mrr,map_at_r",
            "--over evaluation.monitor: is not searched over: it changes what is measured, or where",
        ),
        ("seed=0..9", "--over seed: is not searched over: it changes what is measured, or where"),
    ],
)
def test_what_is_no_space(over: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        space(over)
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_space(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("optimizer.learning_rate: {low: 1}\n")
    with pytest.raises(ConfigError) as caught:
        space(file=path)
    assert str(caught.value) == (
        f"{path}: optimizer.learning_rate: expected 1e-5..1e-3:log, a list of values, or "
        "{low: 1e-5, high: 1e-3, log: true}"
    )


def test_values_are_written_as_set_takes_them() -> None:
    rate = Range(key="optimizer.learning_rate", low=1e-5, high=1e-3, log=True, whole=False)
    assert rate.override(0.000123456) == "optimizer.learning_rate=0.0001235"
    assert Range(key="data.batch_size", low=8, high=64, log=False, whole=True).override(32) == "data.batch_size=32"
    assert ValueList(key="run", values=("007", "a")).override("007") == "run=007"


def test_what_lies_in_the_space() -> None:
    rate = Range(key="optimizer.learning_rate", low=1e-5, high=1e-3, log=True, whole=False)
    assert [rate.own(value) for value in (3e-4, 1e-3, 2e-3, None, True)] == [3e-4, 1e-3, None, None, None]
    choices = ValueList(key="a", values=("true", "null", "x", "1e-3", "[0.9,0.98]", "160"))
    owned = [choices.own(value) for value in (True, None, "x", "y", 0.001, [0.9, 0.98], 160)]
    assert owned == ["true", "null", "x", None, "1e-3", "[0.9,0.98]", "160"]


def test_value_of_a_dotted_key() -> None:
    tree = {"a": {"b": 3}, "c": None}
    assert [value_of(tree, key) for key in ("a.b", "c.d", "e")] == [3, None, None]

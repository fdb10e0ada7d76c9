"""`simtrain config` on the command line."""

import json
from pathlib import Path

import pytest
import yaml
from small_commands import Command

from simtrain.config.reference import reference


def test_config_prints_yaml_that_prints_the_same(simtrain: Command, small_config: Path):
    status, first, _ = simtrain("config", str(small_config), "--set", "optimizer.learning_rate=1e-5")
    assert status == 0
    assert yaml.safe_load(first)["optimizer"]["learning_rate"] == 1e-5
    small_config.write_text(first, encoding="utf-8")
    assert simtrain("config", str(small_config))[1] == first


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        ([], "RunConfig"),
        (["run"], "RunConfig"),
        (["prepare"], "PrepareConfig"),
        (["compare"], "CompareConfig"),
    ],
)
def test_config_schema_is_json(simtrain: Command, arguments: list[str], title: str):
    status, shown, _ = simtrain("config", "--schema", *arguments)
    assert status == 0
    assert json.loads(shown)["title"] == title


def test_another_schema_is_refused(simtrain: Command):
    status, _, told = simtrain("config", "--schema", "compar")
    assert status == 2
    assert told == ("error: --schema compar: no such schema; did you mean 'compare'?; allowed: run, prepare, compare\n")


def test_config_explains_a_key(simtrain: Command):
    status, shown, _ = simtrain("config", "--explain", "trainer.epochs")
    assert status == 0
    assert shown == (
        "trainer.epochs: whole number, 1 to 100000; default: 10\n"
        "  Passes over the training images, 1 to 100000.\n"
        "\n"
        "example: simtrain fit CONFIG.yaml --set trainer.epochs=20\n"
    )


def test_config_prints_the_reference(simtrain: Command):
    assert simtrain("config", "--reference") == (0, reference(), "")


def test_config_without_anything_says_what_it_takes(simtrain: Command):
    status, _, told = simtrain("config")
    assert status == 2
    assert told == "error: config: give a CONFIG.yaml, --recipe NAME, --explain KEY, --schema or --reference\n"


def test_config_takes_one_question(simtrain: Command):
    status, _, told = simtrain("config", "--schema", "--explain", "seed")
    assert status == 2
    assert told == "error: config: give one of --explain KEY, --schema and --reference\n"

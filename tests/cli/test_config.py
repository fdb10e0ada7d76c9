"""`simtrain config` on the command line."""

import json
from pathlib import Path

import yaml
from small_commands import Command


def test_config_prints_yaml_that_prints_the_same(simtrain: Command, small_config: Path):
    status, first, _ = simtrain("config", str(small_config), "--set", "optimizer.learning_rate=1e-5")
    assert status == 0
    assert yaml.safe_load(first)["optimizer"]["learning_rate"] == 1e-5
    small_config.write_text(first, encoding="utf-8")
    assert simtrain("config", str(small_config))[1] == first


def test_config_schema_is_json(simtrain: Command):
    status, shown, _ = simtrain("config", "--schema")
    assert status == 0
    assert json.loads(shown)["title"] == "RunConfig"

"""The schema itself: every key described, bounded as described, and every YAML in `configs/` within it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from simtrain.config import PrepareConfig, RunConfig, load_run_config, parse_run_config
from simtrain.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"
ENCODERS = {
    "resnet": {"kind": "resnet"},
    "timm": {"kind": "timm", "model": "resnet18"},
    "clip": {"kind": "clip"},
    "two_towers": {"kind": "two_towers", "image": {"kind": "timm", "model": "resnet18"}},
    "pixels": {"kind": "pixels"},
    "histogram": {"kind": "histogram"},
}
OBJECTIVES: dict[str, dict[str, Any]] = {
    "simclr": {"kind": "simclr", "projection_head": {}},
    "triplet": {"kind": "triplet"},
    "metric_learning": {"kind": "metric_learning", "loss": {"name": "A"}, "miner": {"name": "B"}},
    "image_text": {"kind": "image_text"},
    "distill": {"kind": "distill"},
}


def run_tree(**changes: Any) -> dict[str, Any]:
    return {"catalog": "x", "encoder": {"kind": "pixels"}, "objective": {"kind": "simclr"}, **changes}


def with_key(key: str, value: Any) -> dict[str, Any]:
    """A run in which `key` has the value; `resnet.…`, `triplet.…` and such stand for that kind of section."""
    first, *inner = key.split(".")
    if first in ENCODERS:
        return run_tree(encoder={**ENCODERS[first], inner[0]: value})
    if first in OBJECTIVES:
        return run_tree(objective={**OBJECTIVES[first], inner[0]: value}, data={"batch_size": 65_520})
    return run_tree(**{first: {inner[0]: value}} if inner else {first: value})


def described_properties(schema: dict[str, Any], node: dict[str, Any], tree: dict[str, Any]) -> Iterator[str]:
    """The keys of a configuration that the JSON schema knows, with a description, followed through its references."""
    for key, value in tree.items():
        found = node["properties"].get(key, {})
        if found.get("description"):
            yield key
        if isinstance(value, dict):
            inner = found.get("$ref") or found.get("discriminator", {}).get("mapping", {}).get(value.get("kind"))
            if inner is not None:
                described = described_properties(schema, schema["$defs"][inner.split("/")[-1]], value)
                yield from (f"{key}.{name}" for name in described)


def test_configuration_cannot_be_changed():
    config = PrepareConfig()
    with pytest.raises(ValidationError, match="frozen"):
        config.seed = 1  # type: ignore[misc]  # that is the point


def test_json_schema_requires_what_has_no_default():
    assert set(RunConfig.model_json_schema()["required"]) == {"catalog", "encoder", "objective"}


@pytest.mark.parametrize(
    ("encoder", "objective"),
    [
        (encoder, objective)
        for encoder in ENCODERS
        for objective in OBJECTIVES
        if objective != "image_text" or encoder in ("clip", "two_towers")
    ],
)
def test_json_schema_describes_every_key_of_a_dumped_run(encoder: str, objective: str):
    tree = run_tree(encoder=ENCODERS[encoder], objective=OBJECTIVES[objective])
    dumped = parse_run_config(tree, where="test").model_dump(mode="json")
    schema = RunConfig.model_json_schema()
    expected = set(dumped)
    for key, value in dumped.items():
        expected |= {f"{key}.{name}" for name in value} if isinstance(value, dict) else set()
    assert expected <= set(described_properties(schema, schema, dumped))


@pytest.mark.parametrize(
    ("key", "lowest", "highest", "below", "above"),
    [
        ("seed", 0, 2**31 - 1, -1, 2**31),
        ("resnet.image_size", 32, 1024, 31, 1025),
        ("timm.embedding_size", 2, 8192, 1, 8193),
        ("pixels.image_size", 4, 256, 3, 257),
        ("histogram.bins", 2, 16, 1, 17),
        ("histogram.image_size", 8, 512, 7, 513),
        ("simclr.temperature", 1e-9, 10, 0, 10.1),
        ("triplet.images_per_group", 2, 63, 1, 65),
        ("triplet.margin", 1e-9, 2, 0, 2.1),
        ("distill.temperature", 1e-9, 10, 0, 10.1),
        ("distill.whitening_power", 0, 0.5, -0.1, 0.6),
        ("distill.teacher_dimensions", 2, 8192, 1, 8193),
        ("distill.teacher_neighbours", 1, 1000, 0, 1001),
        ("distill.teacher_image_sizes", [32], [1024], [31], [1025]),
        ("data.workers", 0, 128, -1, 129),
        ("data.batch_size", 2, 65536, 1, 65537),
        ("optimizer.learning_rate", 1e-9, 1, 0, 1.1),
        ("optimizer.head_factor", 1e-9, 1000, 0, 1001),
        ("optimizer.weight_decay", 0, 1, -0.1, 1.1),
        ("optimizer.betas", [0, 0], [0.99, 0.9999], [-0.1, 0.9], [0.9, 1]),
        ("optimizer.warmup_fraction", 0, 0.99, -0.1, 1),
        ("trainer.epochs", 1, 100_000, 0, 100_001),
        ("evaluation.bootstrap_draws", 100, 100_000, 99, 100_001),
        ("evaluation.confidence", 0.51, 0.99, 0.5, 1),
    ],
)
def test_key_is_bounded_as_described(key: str, lowest: Any, highest: Any, below: Any, above: Any):
    for allowed in (lowest, highest):
        parse_run_config(with_key(key, allowed), where="test")
    for refused in (below, above):
        with pytest.raises(ConfigError, match=rf"^test: [\w.]*{key.split('.')[-1]}[.01]*: got "):
            parse_run_config(with_key(key, refused), where="test")


@pytest.mark.parametrize(("relevance", "columns"), [("label", ["label"]), (["a", "b"], ["a", "b"])])
def test_relevance_columns_are_a_list(relevance: str | list[str], columns: list[str]):
    assert parse_run_config(run_tree(relevance=relevance), where="test").relevance_columns == columns


def test_every_yaml_of_the_repository_loads():
    loaded = [load_run_config(path, []).run for path in CONFIGS.rglob("*.yaml")]
    on_disk = [name for _, _, names in os.walk(CONFIGS) for name in names if not name.startswith(".")]
    assert len(loaded) == len(on_disk) > 0


@pytest.mark.parametrize(("size", "views"), [(2, 1), (3, 1), (2, 2)])
def test_relational_distillation_has_something_to_compare(size: int, views: int):
    objective = {"kind": "distill"} if views == 1 else {"kind": "simclr", "distill": {"weight": 1}}
    tree = run_tree(objective=objective, data={"batch_size": size})
    if size * views > 2:
        assert parse_run_config(tree, where="test").data.batch_size == size
        return
    with pytest.raises(
        ConfigError, match=r"^test: data.batch_size 2: relational distillation needs 3 or more images in a batch$"
    ):
        parse_run_config(tree, where="test")


@pytest.mark.parametrize(
    ("encoder", "export", "message"),
    [
        ("resnet", {"onnx_texts": True}, "export.onnx_texts needs an encoder that reads texts"),
        ("resnet", {"onnx_precisions": ["int8"], "onnx": False}, "found beside onnx false; allowed: with onnx"),
        (
            "clip",
            {"onnx_texts": True, "onnx": False},
            "found beside onnx false; allowed: with onnx",
        ),
    ],
)
def test_texts_by_onnx_need_texts_and_onnx(encoder: str, export: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        RunConfig.model_validate(run_tree(encoder=ENCODERS[encoder], export=export))
    allowed = RunConfig.model_validate(run_tree(encoder=ENCODERS["clip"], export={"onnx_texts": True})).export
    assert (allowed.onnx, allowed.onnx_texts) == (None, True)

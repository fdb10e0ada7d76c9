"""Below the builders no text names a key of the configuration."""

import ast
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

import simtrain
from simtrain.config import CompareConfig, PrepareConfig, RunConfig
from simtrain.config.key_tree import models_of

PACKAGE = Path(simtrain.__file__).parent
LAYERS = ("modules", "serving", "data", "evaluation", "encoders", "losses", "training")


def keys_of(section: type[BaseModel], prefix: str = "") -> set[str]:
    """Keys of a section and those below it, `a.b` and deeper."""
    found = set()
    for name, field in section.model_fields.items():
        found |= {f"{prefix}{name}"} if prefix else set()
        for inner in models_of(field.annotation):
            found |= keys_of(inner, f"{prefix}{name}.")
    return found


KEYS = keys_of(RunConfig) | keys_of(PrepareConfig) | keys_of(CompareConfig)
NAMED = re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, sorted(KEYS, key=len, reverse=True)))})(?!\w|\.\w)")


def named_keys(text: str) -> list[str]:
    """Keys that the texts of a Python file name."""
    constants = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    return [key for value in constants if isinstance(value, str) for key in NAMED.findall(value)]


def test_keys_are_found_in_messages_and_docstrings():
    assert {"trainer.precision", "encoder.lora.targets", "near_duplicates.encoder.model"} <= KEYS
    text = 'f"trainer.devices: {1}"\n"""Sets `encoder.lora.targets`; not encoder.image.network. nor encoder.onnx."""'
    assert set(named_keys(text)) == {"trainer.devices", "encoder.lora.targets"}


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_names_no_key(layer: str):
    files = sorted((PACKAGE / layer).rglob("*.py"))
    assert files
    named = {file.relative_to(PACKAGE).as_posix(): named_keys(file.read_text(encoding="utf-8")) for file in files}
    assert {file: keys for file, keys in named.items() if keys} == {}

"""Overrides of configuration keys, as the command line types them or as Python holds them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Overrides = Mapping[str, Any] | Sequence[str]
"""`{"trainer.epochs": 3}`, or `["trainer.epochs=3"]` as `--set` takes it."""


def override_lines(overrides: Overrides) -> list[str]:
    """Overrides as `key=value` lines, each value in a form that is read as the very same value.

    Raises:
        TypeError: for a value that YAML has no plain form of.
    """
    if isinstance(overrides, Mapping):
        return [f"{key}={json.dumps(value, default=_plain)}" for key, value in overrides.items()]
    if isinstance(overrides, str):
        raise TypeError(f"overrides: got the text {overrides!r}; allowed: a mapping, or a list of key=value texts")
    return list(overrides)


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"overrides: {value!r} is {type(value).__name__}; allowed: text, numbers, lists, mappings, paths")

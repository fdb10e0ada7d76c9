"""Overrides of configuration keys, as the command line types them or as Python holds them."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simtrain.config.schema_keys import TextKey
from simtrain.config.yaml_text import parse_yaml
from simtrain.errors import ConfigError

Overrides = Mapping[str, Any] | Sequence[str]
"""`{"trainer.epochs": 3}`, or `["trainer.epochs=3"]` as `--set` takes it."""

_NULLS = ("", "~", "null", "Null", "NULL")
_LONGEST = 120
_QUOTED = r""" "(?:[^"\\]|\\.)*" | '(?:[^']|'')*' """
_ITEM = re.compile(rf"\s* ({_QUOTED} | \{{[^{{}}]*\}}[^,]* | [^,]*?) \s* (?:,|$)", re.VERBOSE)
"""An item of a list of texts: in quotes, beginning with a template such as `{caption}`, or up to the next comma."""


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


def typed_value(text: str, *, wanted: TextKey | None, override: str) -> Any:
    """The value that was typed after `key=`.

    Args:
        text: What stands behind the sign.
        wanted: What a key that holds text, or a list of texts, holds; None: any other key.
        override: All of it, for the message.

    Raises:
        ConfigError: for a value that is not YAML, where it has to be.
    """
    if wanted is None:
        return _yaml(text, override)
    if text.strip() in _NULLS and (wanted.nullable or not text.strip()):
        return None
    if wanted.listed and (items := _texts(text.strip())) is not None:
        return items
    try:
        value = parse_yaml(text)
    except ConfigError:
        return _yaml(text, override) if wanted.structured and text.lstrip()[:1] in ("[", "{") else text
    if any(value is constant for constant in wanted.constants):
        return value
    if wanted.structured and isinstance(value, list | dict) and text.lstrip()[:1] in ("[", "{"):
        return value
    return value if isinstance(value, str) and text[:1] in ("'", '"') else text


def shown(override: str) -> str:
    """An override as a message shows it, at most 120 characters."""
    return override if len(override) <= _LONGEST else f"{override[: _LONGEST - 3]}..."


def _yaml(text: str, override: str) -> Any:
    try:
        return parse_yaml(text)
    except ConfigError as error:
        problem = str(error).removeprefix("not YAML: ")
        raise ConfigError(f"--set {shown(override)}: the value is not YAML: {problem}") from error


def _texts(text: str) -> list[str] | None:
    """The items of `[a, b]` as texts, whatever YAML would make of them; None: it is no such list."""
    if not (text.startswith("[") and text.endswith("]")):
        return None
    inside = text[1:-1].strip().removesuffix(",")
    items, place = [], 0
    while place < len(inside):
        found = _ITEM.match(inside, place)
        if found is None or not found[1] or found[1].startswith("[") or re.match(r"\{[^{}]*:", found[1]):
            return None  # lists or sections within: YAML
        items.append(found[1])
        place = found.end()
    return [str(parse_yaml(item)) if re.fullmatch(_QUOTED, item, re.VERBOSE) else item for item in items]


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"overrides: {value!r} is {type(value).__name__}; allowed: text, numbers, lists, mappings, paths")

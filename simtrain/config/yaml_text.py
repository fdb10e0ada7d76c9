"""YAML as text, numbers, lists and sections: nothing in it is executed, nothing grows, no key is lost."""

import datetime
import io
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from simtrain.errors import ConfigError, nearest
from simtrain.mistaken import mistaken

_MOST_BYTES = 1_000_000
_MOST_VALUES = 100_000
"""Of a configuration, its anchors written out: some thousand times what one has."""
_OF_TAGS = (ValueError, OverflowError, KeyError, AttributeError, TypeError, IndexError)
"""What PyYAML raises for `!!bool maybe`, `!!timestamp x` or a day 45."""
_LARGEST_INTEGER = 10**4000


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file with keys and values at the top, as plain values; a date is the text that it was written as.

    Raises:
        ConfigError: naming the file: not there, not text, not YAML, too large, or more than plain values.
    """
    if path.is_dir():
        raise ConfigError(mistaken(path, expected="configuration") or f"{path}: is a folder; expected a YAML file")
    try:
        with path.open("rb") as file:  # not all at once: a pipe or a device may have no end
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ConfigError(f"{path}: more than {_MOST_BYTES} bytes; no configuration is so large")
        text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8").read()  # line ends as in a text file
    except FileNotFoundError:
        names = [str(other) for other in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        missing = f"{path}: no such configuration file{nearest(str(path), names)}"
        raise ConfigError(mistaken(path, expected="configuration") or missing) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text: {_one_line(error)}") from error
    try:
        tree = parse_yaml(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    if not isinstance(tree, dict):
        found = "nothing" if tree is None else type(tree).__name__
        raise ConfigError(f"{path}: expected keys and values at the top, found {found}")
    return tree


def parse_yaml(text: str) -> Any:
    """YAML as plain values: dictionaries with text as keys, lists, text, numbers, true, false and null.

    Raises:
        ConfigError: for what is no YAML, holds more than plain values, or grows to more than 100,000 values.
    """
    try:
        loader = _StrictLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _Sizes().check(node)
            tree = loader.construct_document(node)
        finally:
            loader.dispose()
        return _plain(tree)
    except (yaml.YAMLError, RecursionError, *_OF_TAGS) as error:
        raise ConfigError(f"not YAML: {_one_line(error)}") from error


def dump_plain(tree: Any) -> str:
    """Plain values as YAML that `parse_yaml` reads as they were."""
    return yaml.dump(tree, Dumper=_StrictDumper, sort_keys=False, allow_unicode=True)


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key that occurs twice is an error instead of a silent loss, and 1e-4 is a number."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key '{key.value}' occurs twice", key.start_mark)
            seen.add((key.tag, key.value))
        return node


class _StrictDumper(yaml.SafeDumper):
    """YAML that `_StrictLoader` reads as it was: a text that looks like 1e-4 is quoted."""


for _yaml_class in (_StrictLoader, _StrictDumper):  # YAML 1.1 reads 1e-4 as text; people who write it mean the number
    _yaml_class.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )


class _Sizes:
    """How many values each part has once its anchors are written out; counted without writing them out."""

    def __init__(self) -> None:
        self._known: dict[int, int | None] = {}  # None: being counted

    def check(self, node: yaml.Node) -> None:
        """Refuse what grows too large, or holds itself."""
        if self._of(node) > _MOST_VALUES:
            raise ConfigError(f"more than {_MOST_VALUES} values once its anchors are written out")

    def _of(self, node: yaml.Node) -> int:
        if id(node) not in self._known:
            self._known[id(node)] = None
            self._known[id(node)] = 1 + sum(self._of(part) for part in _parts(node))
        size = self._known[id(node)]
        if size is None:
            raise ConfigError("an anchor that holds itself")
        return size


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime.date):
        return str(value)
    if isinstance(value, int) and abs(value) >= _LARGEST_INTEGER:
        raise ConfigError("a whole number of more than 4000 digits")
    if value is None or isinstance(value, str | int | float):
        return value
    raise ConfigError(f"holds more than text, numbers, lists and sections: a {type(value).__name__}")


def _key(name: Hashable) -> str:
    if isinstance(name, bool) or name is None:
        return {True: "true", False: "false", None: "null"}[name]
    if isinstance(name, str | int | float | datetime.date):
        return str(name)
    raise ConfigError(f"holds more than text, numbers, lists and sections: a key that is a {type(name).__name__}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).partition("; use sys.")[0].split())

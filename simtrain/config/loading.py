"""Loading, checking and writing of configurations: YAML and `--set` overrides."""

import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from simtrain.config.compare import CompareConfig
from simtrain.config.encoder import EncoderConfig
from simtrain.config.mistakes import mistakes
from simtrain.config.overrides import shown, typed_value
from simtrain.config.prepare import PrepareConfig
from simtrain.config.run import RunConfig
from simtrain.config.schema_keys import text_key
from simtrain.config.section import Section
from simtrain.config.yaml_text import dump_plain, read_yaml
from simtrain.errors import ConfigError

AnySection = TypeVar("AnySection", bound=Section)


UNUSED_OBJECTIVE = {"kind": "simclr"}
"""The `objective` of a configuration that nothing trains by."""


class _OneEncoder(Section):
    encoder: EncoderConfig
    """An encoder without a run's configuration around it."""


def is_config_file(name: object) -> bool:
    """Whether this is the name of a YAML file; a name with a colon is an encoder's, unless there is such a file."""
    if not isinstance(name, str | Path) or Path(name).suffix.lower() not in (".yaml", ".yml"):
        return False
    return ":" not in str(name) or Path(name).is_file()


def load_run_config(
    path: Path, overrides: Sequence[str], *, change: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
) -> RunConfig:
    """Read a run's YAML, apply `key=value` overrides and check it.

    Args:
        path: The YAML file.
        overrides: `key=value` texts.
        change: Changes the file's content before the overrides.

    Raises:
        ConfigError: naming the file, the key, what was found and what is allowed.
    """
    tree = apply_overrides(change(read_yaml(path)), overrides)
    tree.setdefault("run", None)
    if tree["run"] is None:
        tree["run"] = "-".join(path.stem.split()) or None
    return parse_run_config(tree, where=str(path))


def load_untrained_config(path: Path, overrides: Sequence[str]) -> RunConfig:
    """Like `load_run_config`, for an encoder that is used without training: the file needs no `objective`.

    Raises:
        ConfigError: naming the file, the key, what was found and what is allowed.
    """
    return load_run_config(path, overrides, change=lambda tree: {"objective": UNUSED_OBJECTIVE, **tree})


def parse_run_config(tree: Mapping[str, Any], *, where: str) -> RunConfig:
    """Check a run's configuration that was read already; `where` opens the error's message."""
    return _validated(RunConfig, tree, where=where)


def load_prepare_config(base: Path | Mapping[str, Any] | None, overrides: Sequence[str]) -> PrepareConfig:
    """Like `load_run_config`, for `simtrain prepare`; `base` may be a tree of settings; without one, the defaults."""
    tree = dict(base) if isinstance(base, Mapping) else read_yaml(base) if base is not None else {}
    path = base if isinstance(base, Path) else None
    return _validated(
        PrepareConfig, apply_overrides(tree, overrides, schema=PrepareConfig), where=str(path) if path else "--set"
    )


def load_compare_config(base: Path | CompareConfig | None, overrides: Sequence[str]) -> CompareConfig:
    """Like `load_prepare_config`, for `simtrain compare`; `base` may be checked settings too."""
    if isinstance(base, CompareConfig):
        tree = base.model_dump(mode="json")
    else:
        tree = read_yaml(base) if base is not None else {}
    where = str(base) if isinstance(base, Path) else "--set"
    return _validated(CompareConfig, apply_overrides(tree, overrides, schema=CompareConfig), where=where)


def parse_encoder(tree: Mapping[str, Any], *, where: str) -> EncoderConfig:
    """Check an encoder's configuration outside a run's; `where` opens the error's message."""
    return _validated(_OneEncoder, {"encoder": dict(tree)}, where=where).encoder


def dump_yaml(config: Section) -> str:
    """The configuration with every default filled in, as YAML that loads to the same configuration."""
    return dump_plain(config.model_dump(mode="json"))


def apply_overrides(
    tree: dict[str, Any], overrides: Sequence[str], *, schema: type[Section] = RunConfig
) -> dict[str, Any]:
    """A copy of `tree` in which each `a.b=value` has replaced that key.

    Values are read as YAML, but for keys that hold text or lists of texts: there `2024`, `no`, `Shop #2` and `a: b`
    stay what was typed, and quotes around all of it are taken away.

    Args:
        tree: Of a configuration.
        overrides: As `--set` takes them.
        schema: The configuration whose keys they are.

    Raises:
        ConfigError: for an override without `=`, or a path through something that is not a section.
    """
    result = copy.deepcopy(tree)
    for override in overrides:
        key, separator, text = override.partition("=")
        names = key.strip().split(".")
        if not separator or not all(names):
            raise ConfigError(f"--set {shown(override)}: expected key=value, such as optimizer.learning_rate=1e-4")
        node = result
        for name in names[:-1]:
            child = node.get(name)
            if child is None:
                child = node[name] = {}
            if not isinstance(child, dict):
                raise ConfigError(f"--set {shown(override)}: '{name}' is a value, not a section")
            node = child
        node[names[-1]] = typed_value(text, wanted=text_key(schema, names, result), override=override)
    return result


def differences(before: Section, after: Section) -> list[str]:
    """The keys in which two configurations differ, as lines `key: before -> after`."""
    old, new = dict(_flat(before.model_dump(mode="json"))), dict(_flat(after.model_dump(mode="json")))
    return [
        f"{key}: {json.dumps(old.get(key))} -> {json.dumps(new.get(key))}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _validated(schema: type[AnySection], tree: Mapping[str, Any], *, where: str) -> AnySection:
    try:
        return schema.model_validate(tree, context={"file": where})
    except ValidationError as error:
        raise ConfigError(mistakes(error, schema=schema, tree=tree, where=where)) from None


def _flat(tree: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(tree, dict) and tree:
        for name, value in tree.items():
            yield from _flat(value, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, tree

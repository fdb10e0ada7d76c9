"""Loading, checking and writing of configurations: YAML and `--set` overrides."""

import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from simtrain.config.compare import CompareConfig
from simtrain.config.encoder import EncoderConfig
from simtrain.config.prepare import PrepareConfig
from simtrain.config.run import RunConfig
from simtrain.config.schema_keys import TextKey, models_of, text_key
from simtrain.config.section import Section
from simtrain.config.yaml_text import dump_plain, parse_yaml, read_yaml
from simtrain.errors import ConfigError, nearest

AnySection = TypeVar("AnySection", bound=Section)


UNUSED_OBJECTIVE = {"kind": "simclr"}
"""The `objective` of a configuration that nothing trains by."""

_NULLS = ("", "~", "null", "Null", "NULL")


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

    Values are read as YAML, but for keys that hold text: there `2024`, `no` and `Shop #2` stay what was typed, and
    quotes around all of it are taken away.

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
            raise ConfigError(
                f"--set {_short_text(override)}: expected key=value, such as optimizer.learning_rate=1e-4"
            )
        node = result
        for name in names[:-1]:
            child = node.get(name)
            if child is None:
                child = node[name] = {}
            if not isinstance(child, dict):
                raise ConfigError(f"--set {_short_text(override)}: '{name}' is a value, not a section")
            node = child
        node[names[-1]] = _value(text, wanted=text_key(schema, names), override=override)
    return result


def _value(text: str, *, wanted: TextKey | None, override: str) -> Any:
    """What was typed after `key=`, for a key that holds text (`wanted`) or something else (None)."""
    if wanted is not None and text.strip() in _NULLS and (wanted.nullable or not text.strip()):
        return None
    try:
        value = parse_yaml(text)
    except ConfigError as error:
        if wanted is not None and not (wanted.structured and text.lstrip()[:1] in ("[", "{")):
            return text
        problem = str(error).removeprefix("not YAML: ")
        raise ConfigError(f"--set {_short_text(override)}: the value is not YAML: {problem}") from error
    if wanted is None or any(value is constant for constant in wanted.constants):
        return value
    if wanted.structured and isinstance(value, list | dict):
        return value
    return value if isinstance(value, str) and text[:1] in ("'", '"') else text


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
        raise ConfigError(_explain(error, schema=schema, where=where)) from None


def _explain(error: ValidationError, *, schema: type[Section], where: str) -> str:
    details = error.errors(include_url=False)
    by_place = {tuple(_walk(schema, detail["loc"])[0]): detail for detail in reversed(details)}
    lines = [_explain_one(detail, schema=schema, where=where) for detail in reversed(by_place.values())]
    more = f" (and {len(lines) - 2} more)" if len(lines) > 2 else ""
    return "\n".join(lines[:2]) + more


def _explain_one(detail: Any, *, schema: type[Section], where: str) -> str:
    names, section = _walk(schema, detail["loc"])
    key = ".".join(names)
    place = f"{where}: {key}" if key else where
    match detail["type"]:
        case "extra_forbidden":
            allowed = list(section.model_fields) if section is not None else []
            return f"{place}: unknown key{nearest(names[-1], allowed) or '; allowed: ' + ', '.join(allowed)}"
        case "missing":
            return f"{place}: missing; it has no default"
        case "union_tag_not_found":
            return f"{place}.kind: missing; allowed: {detail['ctx'].get('expected_tags', _tags(schema, names))}"
        case "union_tag_invalid":
            tags = detail["ctx"]["expected_tags"]
            found = detail["ctx"]["tag"]
            return (
                f"{place}.kind: got '{found}'; allowed: {tags}{nearest(found, tags.replace(chr(39), '').split(', '))}"
            )
        case "value_error":
            return f"{place}: {detail['ctx']['error']}"
        case _:
            return f"{place}: got {_short(detail['input'])}; {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _walk(schema: type[Section], location: Sequence[int | str]) -> tuple[list[str], type[BaseModel] | None]:
    """The key as the user wrote it, without pydantic's union tags, and the section that its last name belongs to."""
    names: list[str] = []
    section: type[BaseModel] | None = schema
    parent: type[BaseModel] | None = schema
    candidates: list[type[BaseModel]] = []
    for step in location:
        tagged = [model for model in candidates if _tag(model) == step]
        if isinstance(step, str) and step.startswith("<"):  # the form of a value that may be text, list or section
            section = next((model for model in candidates if f"<{model.__name__}>" == step), section)
            continue
        if tagged:
            section, candidates = tagged[0], []
        elif isinstance(step, int):  # a place in a list: its items are what `section` says already
            names.append(str(step))
        elif section is not None:
            names.append(step)
            parent = section
            field = section.model_fields.get(step)
            models = models_of(field.annotation) if field is not None else []
            section = models[0] if len(models) == 1 else None
            candidates = models if len(models) > 1 else []
    return names, parent


def _tag(model: type[BaseModel]) -> str | None:
    kind = model.model_fields.get("kind")
    return get_args(kind.annotation)[0] if kind is not None else None


def _tags(schema: type[Section], names: Sequence[str]) -> str:
    field = schema.model_fields.get(names[-1]) if names else None
    models = models_of(field.annotation) if field is not None else []
    return ", ".join(f"'{_tag(model)}'" for model in models)


def _flat(tree: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(tree, dict) and tree:
        for name, value in tree.items():
            yield from _flat(value, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, tree


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _short_text(override: str) -> str:
    return override if len(override) <= 120 else f"{override[:117]}..."

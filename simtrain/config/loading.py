"""Loading, checking and writing of configurations: YAML and `--set` overrides."""

import copy
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from simtrain.config.compare import CompareConfig
from simtrain.config.encoder import EncoderConfig
from simtrain.config.prepare import PrepareConfig
from simtrain.config.run import RunConfig
from simtrain.config.section import Section
from simtrain.errors import ConfigError, nearest

AnySection = TypeVar("AnySection", bound=Section)


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
    tree = apply_overrides(change(_read_yaml(path)), overrides)
    tree.setdefault("run", None)
    if tree["run"] is None:
        tree["run"] = "-".join(path.stem.split()) or None
    return parse_run_config(tree, where=str(path))


def parse_run_config(tree: Mapping[str, Any], *, where: str) -> RunConfig:
    """Check a run's configuration that was read already; `where` opens the error's message."""
    return _validated(RunConfig, tree, where=where)


def load_prepare_config(path: Path | None, overrides: Sequence[str]) -> PrepareConfig:
    """Like `load_run_config`, for `simtrain prepare`; without a file every default holds."""
    tree = _read_yaml(path) if path is not None else {}
    return _validated(PrepareConfig, apply_overrides(tree, overrides), where=str(path) if path else "--set")


def load_compare_config(base: Path | CompareConfig | None, overrides: Sequence[str]) -> CompareConfig:
    """Like `load_prepare_config`, for `simtrain compare`; `base` may be checked settings too."""
    if isinstance(base, CompareConfig):
        tree = base.model_dump(mode="json")
    else:
        tree = _read_yaml(base) if base is not None else {}
    where = str(base) if isinstance(base, Path) else "--set"
    return _validated(CompareConfig, apply_overrides(tree, overrides), where=where)


def parse_encoder(tree: Mapping[str, Any], *, where: str) -> EncoderConfig:
    """Check an encoder's configuration outside a run's; `where` opens the error's message."""
    return _validated(_OneEncoder, {"encoder": dict(tree)}, where=where).encoder


def dump_yaml(config: Section) -> str:
    """The configuration with every default filled in, as YAML that loads to the same configuration."""
    return yaml.dump(config.model_dump(mode="json"), Dumper=_StrictDumper, sort_keys=False, allow_unicode=True)


def apply_overrides(tree: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of `tree` in which each `a.b=value` has replaced that key; values are read as YAML.

    Raises:
        ConfigError: for an override without `=`, or a path through something that is not a section.
    """
    result = copy.deepcopy(tree)
    for override in overrides:
        key, separator, text = override.partition("=")
        names = key.strip().split(".")
        if not separator or not all(names):
            raise ConfigError(f"--set {override}: expected key=value, such as optimizer.learning_rate=1e-4")
        try:
            value = yaml.load(text, Loader=_StrictLoader)
        except (yaml.YAMLError, RecursionError) as error:
            raise ConfigError(f"--set {override}: the value is not YAML: {_one_line(error)}") from error
        node = result
        for name in names[:-1]:
            child = node.get(name)
            if child is None:
                child = node[name] = {}
            if not isinstance(child, dict):
                raise ConfigError(f"--set {override}: '{name}' is a value, not a section")
            node = child
        node[names[-1]] = value
    return result


def differences(before: Section, after: Section) -> list[str]:
    """The keys in which two configurations differ, as lines `key: before -> after`."""
    old, new = dict(_flat(before.model_dump(mode="json"))), dict(_flat(after.model_dump(mode="json")))
    return [
        f"{key}: {json.dumps(old.get(key))} -> {json.dumps(new.get(key))}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error instead of a silent loss, and 1e-4 is a number."""

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


def _read_yaml(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; expected a YAML file")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        names = [str(other) for other in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        raise ConfigError(f"{path}: no such configuration file{nearest(str(path), names)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text: {_one_line(error)}") from error
    try:
        tree = yaml.load(text, Loader=_StrictLoader)  # a SafeLoader with one more check
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: not YAML: {_one_line(error)}") from error
    if not isinstance(tree, dict):
        found = "nothing" if tree is None else type(tree).__name__
        raise ConfigError(f"{path}: expected keys and values at the top, found {found}")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(tree, default=str))  # a date is the text it was written as
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: holds more than text, numbers, lists and sections: {_one_line(error)}") from None
    return plain


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


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """Every section that an annotation can hold, through unions, Annotated and lists."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    arguments = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return [model for argument in arguments for model in models_of(argument)]


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


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())

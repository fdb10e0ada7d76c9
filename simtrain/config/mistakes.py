"""Messages on a configuration that the schema refuses: the key, what was found, what was meant or is allowed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from simtrain.config.key_tree import kind_of, models_of
from simtrain.config.meant_keys import meant_key, meant_list, meant_section
from simtrain.config.section import Section
from simtrain.config.value_words import NO_DEFAULT, default_words, value_words
from simtrain.errors import nearest

_SECTION_EXPECTED = ("model_type", "model_attributes_type")
_LONGEST = 60


def mistakes(error: ValidationError, *, schema: type[Section], tree: Mapping[str, Any], where: str) -> str:
    """The first two mistakes, one line each, and how many more there are.

    Args:
        error: What the schema found.
        schema: The configuration.
        tree: What was checked.
        where: Its file or option, which opens each line.
    """
    details = error.errors(include_url=False)
    by_place = {tuple(_walk(schema, detail["loc"])[0]): detail for detail in reversed(details)}
    lines = [_told(detail, schema=schema, tree=tree, where=where) for detail in reversed(by_place.values())]
    more = f" (and {len(lines) - 2} more)" if len(lines) > 2 else ""
    return "\n".join(lines[:2]) + more


_FORMS = {
    r"^\w[\w.-]*$": "letters, digits, _ . and -, the first one a letter, a digit or _",
    r"^[^\s:]+:[^\s:]+$": "MODULE:NAME",
    r"^(resnet|resnext|wide_resnet)\d+\w*$": "a ResNet of torchvision, such as resnet50 or resnext50_32x4d",
}
"""Patterns of the configuration, in words."""


def _told(detail: Any, *, schema: type[Section], tree: Mapping[str, Any], where: str) -> str:
    names, section = _walk(schema, detail["loc"])
    key = ".".join(names)
    place = f"{where}: {key}" if key else where
    found = _short(detail.get("input"))
    match detail["type"]:
        case "extra_forbidden":
            return f"{place}: unknown key{meant_key(schema, names, section=section, tree=tree)}"
        case "missing":
            return f"{place}: missing; it has no default"
        case "union_tag_not_found":
            return f"{place}.kind: missing; allowed: {detail['ctx'].get('expected_tags', _tags(schema, names))}"
        case "union_tag_invalid":
            tags = detail["ctx"]["expected_tags"]
            tag = detail["ctx"]["tag"]
            return f"{place}.kind: got '{tag}'; allowed: {tags}{nearest(tag, tags.replace(chr(39), '').split(', '))}"
        case "value_error":
            return f"{place}: {detail['ctx']['error']}"
        case expected if expected in _SECTION_EXPECTED and not isinstance(detail["input"], Mapping):
            return f"{place}: is a section, got {found}{meant_section(schema, key, detail['input'])}"
        case "string_pattern_mismatch":
            pattern = str(detail["ctx"]["pattern"])
            return f"{place}: got {found}; allowed: {_FORMS.get(pattern, f'text like {pattern}')}"
        case "string_type" if isinstance(detail["input"], int | float):
            return f"{place}: got {found}; expected text: put it in quotes"
        case "list_type" if isinstance(detail["input"], str):
            return f"{place}: got {found}; expected a list{meant_list(key, detail['input'])}"
        case _ if "input" in detail and detail["input"] is None and section is not None and names:
            return f"{place}: got null{_instead_of_null(section, names[-1])}"
        case _:
            return f"{place}: got {found}; {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _walk(schema: type[Section], location: Sequence[int | str]) -> tuple[list[str], type[BaseModel] | None]:
    """The key as the user wrote it, without pydantic's union tags, and the section that its last name belongs to."""
    names: list[str] = []
    section: type[BaseModel] | None = schema
    parent: type[BaseModel] | None = schema
    candidates: list[type[BaseModel]] = []
    for step in location:
        tagged = [model for model in candidates if kind_of(model) == step]
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


def _instead_of_null(section: type[BaseModel], name: str) -> str:
    field = section.model_fields.get(name)
    if field is None:
        return "; expected a value"
    default = default_words(field)
    unset = f"; without the key it is {default}" if default not in (None, NO_DEFAULT) else ""
    return f"; expected {value_words(field)}{unset}"


def _tags(schema: type[Section], names: Sequence[str]) -> str:
    field = schema.model_fields.get(names[-1]) if names else None
    models = models_of(field.annotation) if field is not None else []
    return ", ".join(f"'{kind_of(model)}'" for model in models)


def _short(value: Any) -> str:
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)  # as YAML has them
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."

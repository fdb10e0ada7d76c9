"""What a wrong key or value of a configuration was meant to be: the nearest keys of all its sections."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from simtrain.config.key_tree import SchemaKey, keys_of, kind_in, kind_of, models_of
from simtrain.config.schemas import SCHEMAS, VERBS
from simtrain.config.section import Section
from simtrain.phrases import joined

_OTHER_WORDS = {
    "lr": "learning_rate", "bs": "batch_size", "wd": "weight_decay", "backbone": "model", "arch": "model",
    "num_epochs": "epochs", "max_epochs": "epochs", "num_workers": "workers", "dataset": "catalog",
    "tau": "temperature",
}  # fmt: skip
"""Words of other programs -> ours."""

_NEAR_IN_SECTION = 0.6
_NEAR_ELSEWHERE = 0.8
_MOST = 3


def meant_key(
    schema: type[Section], names: Sequence[str], *, section: type[BaseModel] | None, tree: Mapping[str, Any]
) -> str:
    """What follows `unknown key`: `; did you mean 'trainer.epochs'?`, or which keys are allowed in its section.

    Args:
        schema: The configuration.
        names: The key's parts.
        section: The section that it was found in.
        tree: The configuration, whose kinds of sections say which keys there are.
    """
    key, last = ".".join(names), names[-1]
    of_kinds = _of_other_kinds(schema, key, tree)
    own = list(section.model_fields) if section is not None else []
    settable = [one for one in keys_of(schema) if not one.listed]
    reachable = [one for one in settable if one.goes_with(tree)]
    word = _OTHER_WORDS.get(last, last)
    if of_kinds is not None:
        deeper = [name for name in _named(reachable, last) if name.startswith(f"{names[0]}.") and _is_given(name, tree)]
        return f"{of_kinds}; here there is '{deeper[0]}'" if deeper else of_kinds
    if exact := _named(reachable, word):
        return _did_you_mean(exact)
    if near := difflib.get_close_matches(last, own, n=1, cutoff=_NEAR_IN_SECTION):
        return _did_you_mean(near)
    if others := [one for one in settable if one.last == word]:
        return f"; '{others[0].name}'{_kinds_with(others, tree)}"
    if alike := difflib.get_close_matches(last, {one.last for one in reachable}, n=1, cutoff=_NEAR_ELSEWHERE):
        return _did_you_mean(_named(reachable, alike[0]))
    return _of_other_schemas(schema, key, word) or f"; allowed: {', '.join(own)}"


def _is_given(name: str, tree: Mapping[str, Any]) -> bool:
    """Whether the section of a key is one that the configuration has."""
    section: Any = tree
    for step in name.split(".")[:-1]:
        section = section.get(step) if isinstance(section, Mapping) else None
    return isinstance(section, Mapping)


def nearest_keys(schema: type[Section], name: str, *, most: int = 5) -> list[str]:
    """Keys anywhere in a schema that a name may mean, the likeliest first: by its last part, or by all of it."""
    last, keys = name.rpartition(".")[2], keys_of(schema)
    if last in _OTHER_WORDS:
        return _named(keys, _OTHER_WORDS[last])[:most]
    words = difflib.get_close_matches(last, {key.last for key in keys}, n=most, cutoff=_NEAR_IN_SECTION)
    by_word = [found for word in words for found in _named(keys, word)]
    by_all = difflib.get_close_matches(name, {key.name for key in keys}, n=most, cutoff=_NEAR_ELSEWHERE)
    if "." in name:
        by_word.sort(key=lambda key: -difflib.SequenceMatcher(a=name, b=key).ratio())
        return list(dict.fromkeys([*by_all, *by_word]))[:most]
    return list(dict.fromkeys([*by_word, *by_all]))[:most]


def meant_section(schema: type[Section], key: str, value: object) -> str:
    """What follows `is a section, got 'color_invariant'`: `; did you mean augmentation.preset=color_invariant?`.

    Args:
        schema: The configuration.
        key: The section's dotted name.
        value: What stands in its place.
    """
    models = [model for one in keys_of(schema) if one.name == key for model in models_of(one.field.annotation)]
    kinds = {kind: model for model in models if (kind := kind_of(model)) is not None}
    if isinstance(value, str):
        meant = _meant_value(value, models, near=difflib.get_close_matches(value, kinds, n=1))
        if meant is not None:
            return f"; did you mean {key}{meant}?"
    if kinds:
        named = ", ".join(f"'{kind}'" for kind in kinds)
        return f"; allowed: {key}.kind {named}, and the keys of that kind"
    return f"; its keys: {', '.join(dict.fromkeys(name for model in models for name in model.model_fields))}"


def meant_list(key: str, value: str) -> str:
    """What follows `got 'a', expected a list`: `; did you mean levels=[a]?`."""
    return f"; did you mean {key}=[{value}]?"


def _meant_value(value: str, models: Sequence[type[BaseModel]], *, near: Sequence[str]) -> str | None:
    """What goes behind a section's name for a word that stands in its place; None: nothing of it takes that word."""
    if value in map(kind_of, models):
        return f"={{kind: {value}}}"
    kind, colon, rest = value.partition(":")
    if colon and any(kind_of(model) == kind and "model" in model.model_fields for model in models):
        return f"={{kind: {kind}, model: {rest}}}"  # as simtrain compare names encoders
    for model in models:
        for name, field in model.model_fields.items():
            if not _takes(field, value):
                continue
            written = f"[{value}]" if get_origin(field.annotation) is list else value
            of_kind = kind_of(model)
            return f".{name}={written}" if of_kind is None else f"={{kind: {of_kind}, {name}: {written}}}"
    return f"={{kind: {near[0]}}}" if near else None


def _of_other_kinds(schema: type[Section], key: str, tree: Mapping[str, Any]) -> str | None:
    """That the key exists, of other kinds of a section than the configuration has; None: it does not."""
    found = [one for one in keys_of(schema) if one.name == key and not one.goes_with(tree)]
    if not found:
        return None
    section, kind = _mismatch(found[0], tree)
    kinds = list(dict.fromkeys(of_kind for one in found for of, of_kind in one.kinds if of == section))
    return f" of {section}.kind: {kind}; {joined(kinds)} {'has' if len(kinds) == 1 else 'have'} it"


def _kinds_with(keys: Sequence[SchemaKey], tree: Mapping[str, Any]) -> str:
    """` is of objective.kind: simclr or distill`, of keys that do not go with the configuration."""
    section, _ = _mismatch(keys[0], tree)
    kinds = dict.fromkeys(kind for one in keys for of, kind in one.kinds if of == section)
    return f" is of {section}.kind: {' or '.join(kinds)}"


def _mismatch(key: SchemaKey, tree: Mapping[str, Any]) -> tuple[str, str]:
    """The section whose kind has no such key, and its kind."""
    found = ((of, kind_in(tree, of), kind) for of, kind in key.kinds)
    return next((of, chosen) for of, chosen, kind in found if chosen is not None and chosen != kind)


def _of_other_schemas(schema: type[Section], key: str, word: str) -> str | None:
    """That another command has such a setting; None: none has."""
    for name, other in SCHEMAS.items():
        names = [one.name for one in keys_of(other) if not one.listed] if other is not schema else []
        found = [one for one in names if one == key] or [one for one in names if one.rpartition(".")[2] == word]
        if found:
            return f"; '{found[0]}' is a setting of simtrain {VERBS[name]}"
    return None


def _takes(field: Any, value: str) -> bool:
    """Whether a key is made for this word: it is one of its choices, or fits its pattern."""
    if value in _choices(field.annotation):
        return True
    patterns = _patterns(field.annotation) + [getattr(one, "pattern", None) for one in field.metadata]
    return any(pattern is not None and re.search(pattern, value) for pattern in patterns)


def _choices(annotation: Any) -> list[object]:
    if get_origin(annotation) is Literal:
        return [value for value in get_args(annotation) if value is not None]
    return [value for part in get_args(annotation) for value in _choices(part)]


def _patterns(annotation: Any) -> list[str | None]:
    own = [getattr(one, "pattern", None) for one in getattr(annotation, "__metadata__", ())]
    return own + [pattern for part in get_args(annotation)[:1] for pattern in _patterns(part)]


def _did_you_mean(keys: Sequence[str]) -> str:
    shown = [f"'{key}'" for key in keys[:_MOST]]
    return f"; did you mean {' or '.join(shown)}?"


def _named(keys: Sequence[SchemaKey], word: str) -> list[str]:
    """Names of the keys whose last part is this word, each once, those of fewer parts first."""
    return sorted(dict.fromkeys(key.name for key in keys if key.last == word), key=lambda name: name.count("."))

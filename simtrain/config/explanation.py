"""Explanation of a key or section of the configuration: what it holds, its default, what it does, an example."""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from simtrain.config.examples import example_of
from simtrain.config.key_tree import SchemaKey, keys_of, kind_of, models_of
from simtrain.config.meant_keys import nearest_keys
from simtrain.config.schemas import SCHEMAS, VERBS
from simtrain.config.section import Section
from simtrain.config.value_words import default_words, is_section, value_words
from simtrain.errors import ConfigError
from simtrain.phrases import shortened

COMMANDS = {
    "run": "simtrain fit CONFIG.yaml",
    "prepare": "simtrain prepare SOURCE --out FOLDER",
    "compare": "simtrain compare CATALOG",
}
"""Schema -> the command that `--set` is for."""

_LONGEST = 90


@dataclass(frozen=True, kw_only=True)
class KeyVariant:
    """What a key is in some of the kinds of sections that have it.

    Attributes:
        kinds: Such as `objective.kind: triplet or distill`; empty: any.
        values: What it may hold.
        default: Its default; None: a section with defaults of its own.
        meaning: What it does, in one paragraph.
        sections: Sections that it may hold.
    """

    kinds: str
    values: str
    default: str | None
    meaning: str
    sections: list[type[BaseModel]]


def explain(name: str) -> str:
    """What a key or section of a run, of `prepare` or of `compare` is, in all of them that have it.

    Args:
        name: Dotted name, such as `trainer.freeze`; with `run.`, `prepare.` or `compare.` before it, of that one alone.

    Raises:
        ConfigError: for a name that none has, with the nearest ones.
    """
    wanted = name.strip().strip(".")
    word, _, rest = wanted.partition(".")
    if word in SCHEMAS and _named(SCHEMAS[word], rest):
        return _explained(word, SCHEMAS[word], rest, alone=word == "run")
    having = {word: schema for word, schema in SCHEMAS.items() if _named(schema, wanted)}
    if having:
        alone = len(having) == 1 and "run" in having
        return "\n\n".join(_explained(word, schema, wanted, alone=alone) for word, schema in having.items())
    near = {word: nearest_keys(schema, wanted, most=3) for word, schema in SCHEMAS.items()}
    found = [f"{key} ({word})" for word, keys in near.items() for key in keys]
    raise ConfigError(
        f"--explain {wanted}: no such key"
        + (f"; did you mean {', '.join(found[:5])}?" if found else "")
        + f"\nsections of a run: {', '.join(SCHEMAS['run'].model_fields)}"
    )


def variants(keys: Sequence[SchemaKey]) -> list[KeyVariant]:
    """The keys of one name, those that are alike together."""
    if keys[0].last == "kind" and keys[0].kinds:
        return [_choice_of_kind(keys)]
    alike: dict[tuple[str, str | None, str], list[SchemaKey]] = {}
    for key in keys:
        alike.setdefault((value_words(key.field), default_words(key.field), meaning_of(key)), []).append(key)
    return [
        KeyVariant(
            kinds=_kinds(group),
            values=values,
            default=default,
            meaning=meaning,
            sections=list(dict.fromkeys(model for key in group for model in models_of(key.field.annotation))),
        )
        for (values, default, meaning), group in alike.items()
    ]


def meaning_of(key: SchemaKey) -> str:
    """The schema's own words on a key, in one paragraph."""
    return " ".join((key.field.description or "").split())


def purpose_of(section: type[BaseModel]) -> str:
    """The schema's own words on a section, its first paragraph in one line."""
    return " ".join((section.__doc__ or "").strip().split("\n\n")[0].split())


def first_sentence(text: str) -> str:
    """Up to the first full stop or semicolon that ends a clause, without what stands in parentheses."""
    plain = re.sub(r" \([^()]*\)", "", text)
    ends = [place for sign in (". ", "; ") if (place := plain.find(sign)) >= 0]
    return (plain[: min(ends)] if ends else plain).removesuffix(".")


def children(schema: type[Section], name: str) -> dict[str, list[SchemaKey]]:
    """The keys directly below a section, by name, in the schema's order; of all its kinds."""
    depth = name.count(".") + 1
    found: dict[str, list[SchemaKey]] = {}
    for key in keys_of(schema):
        if key.name.startswith(f"{name}.") and key.name.count(".") == depth:
            found.setdefault(key.name, []).append(key)
    return found


def _named(schema: type[Section], name: str) -> list[SchemaKey]:
    return [key for key in keys_of(schema) if key.name == name]


def _explained(word: str, schema: type[Section], name: str, *, alone: bool) -> str:
    lines: list[str] = []
    found = variants(_named(schema, name))
    for variant in found:
        lines.append(f"{name}: {variant.values}{'' if variant.default is None else f'; default: {variant.default}'}")
        lines += [f"  of {variant.kinds}"] if variant.kinds else []
        lines.append(f"  {variant.meaning}")
    sections = list(dict.fromkeys(model for variant in found for model in variant.sections))
    kinds = [(f"  {kind}", purpose_of(section)) for section in sections if (kind := kind_of(section)) is not None]
    if kinds:
        lines += ["", "kinds:", *_columns(kinds)]
    below = children(schema, name)
    if below:
        lines += ["", "keys:", *_columns([_row(key, keys) for key, keys in below.items()])]
    shown = _example(schema, name, word=word)
    if shown is not None:
        lines += ["", f"example: {COMMANDS[word]} --set {shlex.quote(shown)}"]
    return "\n".join(lines if alone else [f"of simtrain {VERBS[word]}:", *lines])


def _row(name: str, keys: Sequence[SchemaKey]) -> tuple[str, str]:
    found = variants(keys)
    first, defaults = found[0], {variant.default for variant in found}
    section = name.rpartition(".")[0]
    of = dict.fromkeys(key.kinds[-1][1] for key in keys if key.kinds and key.kinds[-1][0] == section)
    of = {} if first.kinds == "" else of
    default = "" if first.default is None else f" (default: {first.default if len(defaults) == 1 else 'by kind'})"
    return f"  {name}", f"{shortened(first_sentence(first.meaning), to=_LONGEST)}{default}{_bracketed(of)}"


def _bracketed(kinds: Iterable[str]) -> str:
    named = ", ".join(kinds)
    return f" [{named}]" if named else ""


def _columns(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    width = max(len(name) for name, _ in rows)
    return (f"{name:{width}}  {text}" for name, text in rows)


def _example(schema: type[Section], name: str, *, word: str) -> str | None:
    """`key=value` of a key, or of the first key of a section that has an example; none below a list."""
    key = _named(schema, name)[0]
    if key.listed:
        return None
    kinds = [kind for model in models_of(key.field.annotation) if (kind := kind_of(model)) is not None]
    if kinds and is_section(key.field):
        return f"{name}={{kind: {kinds[0]}}}"
    shown = None if is_section(key.field) else example_of(key, word=word)
    if shown is not None:
        return f"{name}={shown}"
    below = (_example(schema, inner, word=word) for inner in children(schema, name))
    return next((found for found in below if found is not None), None)


def _choice_of_kind(keys: Sequence[SchemaKey]) -> KeyVariant:
    section, kinds = keys[0].name.rpartition(".")[0], [key.kinds[-1][1] for key in keys]
    return KeyVariant(
        kinds="",
        values=f"one of {', '.join(dict.fromkeys(kinds))}",
        default=default_words(keys[0].field),
        meaning=f"Kind of the section; its keys depend on it: simtrain config --explain {section}",
        sections=[],
    )


def _kinds(keys: Sequence[SchemaKey]) -> str:
    """`encoder.kind: resnet, timm`, of the innermost section whose kind decides; empty: any."""
    section = keys[0].kinds[-1][0] if keys[0].kinds else ""
    return f"{section}.kind: {', '.join(dict.fromkeys(key.kinds[-1][1] for key in keys))}" if section else ""

"""Reference of all settings as a page of Markdown: `docs/configuration.md`."""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel

from simtrain.config.explanation import COMMANDS, children, meaning_of, purpose_of, variants
from simtrain.config.key_tree import SchemaKey, keys_of, kind_of, models_of
from simtrain.config.schemas import SCHEMAS
from simtrain.config.section import Section
from simtrain.config.value_words import NO_DEFAULT

_TITLES = {
    "run": "Settings of a run",
    "prepare": "Settings of simtrain prepare",
    "compare": "Settings of simtrain compare",
}
_USED_BY = {
    "run": "Of `simtrain fit`, `sweep`, `evaluate`, `interpolate` and `export`; a run keeps them in its `config.yaml`.",
    "prepare": "All have a default; a file is given with `--config`.",
    "compare": "All have a default; a file is given with `--config`.",
}
_BEGINNING = """# Settings

<!-- written by: simtrain config --reference > docs/configuration.md -->

Every key of the three kinds of YAML files, from the schema in `simtrain/config`. Each is set in a file, or on the
command line with `--set key=value`, as often as needed; `--set` wins. Text needs no quotes of YAML there
(`--set run=007`), though the shell may want some. A key that does not exist is an error that names the nearest one.

```sh
simtrain config --explain trainer.freeze         # one key, or a section with its keys
simtrain config configs/triplet_resnet50.yaml    # a run's settings with every default filled in
simtrain config --schema                         # JSON schema for an editor; also --schema prepare, --schema compare
```
"""


def reference() -> str:
    """The page: for each kind of file a table of each section's keys, with values, default and meaning."""
    known: dict[type[BaseModel], str] = {}
    parts = [_BEGINNING]
    for word, schema in SCHEMAS.items():
        parts.append(
            f"## {_TITLES[word]}\n\n{_USED_BY[word]} On the command line: `{COMMANDS[word]} --set key=value`.\n"
        )
        top = {key.name: [key] for key in keys_of(schema) if "." not in key.name}
        parts.append(_table([row for keys in top.values() for row in _rows(keys, known)]))
        parts += _sections(schema, top, known, word=word)
    return "\n".join(parts)


def _sections(
    schema: type[Section], keys: Mapping[str, Sequence[SchemaKey]], known: dict[type[BaseModel], str], *, word: str
) -> Iterator[str]:
    """A chapter for each section among keys that no other chapter describes already, then for those within it."""
    for name, group in keys.items():
        models = list(dict.fromkeys(model for key in group for model in models_of(key.field.annotation)))
        below = children(schema, name)
        if not below or all(model in known for model in models):
            continue
        for model in models:
            known.setdefault(model, f"`{name}`{_of_word(word)}")
        yield f"### {name}{_of_word(word)}\n\n{' '.join(dict.fromkeys(map(meaning_of, group)))}\n"
        kinds = [f"- `{kind}`: {purpose_of(model)}" for model in models if (kind := kind_of(model)) is not None]
        yield from ["\n".join(kinds) + "\n"] if kinds else []
        yield _table([row for of_name in below.values() for row in _rows(of_name, known)])
        yield from _sections(schema, below, known, word=word)


def _of_word(word: str) -> str:
    return "" if word == "run" else f" ({word})"


def _rows(keys: Sequence[SchemaKey], known: Mapping[type[BaseModel], str]) -> Iterator[tuple[str, ...]]:
    for variant in variants(keys):
        section, _, kinds = variant.kinds.partition(".kind: ")
        kinds = kinds if keys[0].name == f"{section}.{keys[0].last}" else ""  # else its section says so
        key = f"`{keys[0].name}`" + (f"<br>of {kinds}" if kinds else "")
        elsewhere = [known[model] for model in variant.sections if model in known]
        described = f" Keys: as {elsewhere[0]}." if elsewhere else ""
        default = variant.default or ""
        yield (
            key,
            variant.values,
            default if default in ("", NO_DEFAULT) else f"`{default}`",
            variant.meaning + described,
        )


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| key | value | default | what it does |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"

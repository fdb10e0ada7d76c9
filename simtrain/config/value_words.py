"""What a key of the configuration may hold, its default and an example of it, as a user writes and reads them."""

import json
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from simtrain.config.key_tree import kind_of
from simtrain.phrases import counted

NO_DEFAULT = "none, it has to be set"
_SECTION = "section"
_NAMES = {bool: "true or false", str: "text", int: "whole number", float: "number", NoneType: "null"}


def value_words(field: FieldInfo) -> str:
    """What a key may hold: `whole number, 1 to 128, or null`."""
    words = list(dict.fromkeys(_words(field.annotation, field.metadata)))
    kinds = [word for word in words if word.startswith(f"{_SECTION} of kind ")]
    if len(kinds) > 1:  # one for each kind of a union
        named = ", ".join(word.rpartition(" ")[2] for word in kinds)
        words = [f"{_SECTION} of kind {named}", *(word for word in words if word not in kinds)]
    ordered = [word for word in words if word != "null"] + [word for word in words if word == "null"]
    separator = ", or " if any("," in word for word in ordered) else " or "
    return separator.join(ordered)


def default_words(field: FieldInfo) -> str | None:
    """The default as YAML has it in one line; None for a section, whose keys have theirs."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return NO_DEFAULT
    return None if isinstance(value, BaseModel) else written(value)


def is_section(field: FieldInfo) -> bool:
    """Whether a key holds a section, and no value of another form but null."""
    words = set(_words(field.annotation, []))
    return all(word.startswith(_SECTION) or word == "null" for word in words)


def written(value: Any) -> str:
    """A value as `--set` takes it: `0.0003`, `null`, `[a, b]`, `text`."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {written(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, float):
        return f"{value:.15g}"
    return value if isinstance(value, str) else json.dumps(value)


def example(field: FieldInfo) -> str | None:
    """A value that a key may hold, other than its default; None for a section, or a text that nobody can guess."""
    default = field.get_default(call_default_factory=True)
    found = next((value for value in _examples(field.annotation, field.metadata, default) if value != default), None)
    return None if found is None else written(found)


def _words(annotation: Any, metadata: Sequence[Any]) -> Iterator[str]:
    annotation, metadata = _bare(annotation, metadata)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        for part in arguments:
            yield from _words(part, metadata)
    elif origin is Literal:
        choices = [written(value) for value in arguments]
        yield choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    elif origin in (list, tuple):
        yield _list_words(arguments, metadata, fixed=origin is tuple)
    elif origin is dict:
        yield "keys and values of your own"
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        kind = kind_of(annotation)
        yield _SECTION if kind is None else f"{_SECTION} of kind {kind}"
    elif annotation in _NAMES:
        limits = _range(metadata, whole=annotation is int) if annotation in (int, float) else ""
        yield _NAMES[annotation] + (f", {limits}" if limits else "")
    else:
        yield "anything"


def _list_words(items: Sequence[Any], metadata: Sequence[Any], *, fixed: bool) -> str:
    """`list of text`, `list of 2: number, 0 to below 1`."""
    each = " or ".join(dict.fromkeys(_words(items[0], [])))
    if fixed:
        return f"list of {len(items)}: {each}"
    least = max((one.min_length for one in metadata if hasattr(one, "min_length")), default=0)
    most = min((one.max_length for one in metadata if getattr(one, "max_length", None) is not None), default=None)
    count = f" ({least} or more)" if least else ""
    count = f" (at most {counted(most, 'item')})" if most is not None else count
    return f"list{count} of {each}" if each.startswith("text") else f"list{count}, each {each}"


def _range(metadata: Sequence[Any], *, whole: bool) -> str:
    """`1 to 100`, `above 0 to 1`, `0 to below 1`, `1 or more`; empty without limits."""
    low = next((written(one.ge) for one in metadata if hasattr(one, "ge")), None)
    above = next((f"above {written(one.gt)}" for one in metadata if hasattr(one, "gt")), None)
    high = next((written(one.le) for one in metadata if hasattr(one, "le")), None)
    below = next((one.lt for one in metadata if hasattr(one, "lt")), None)
    if below is not None:
        high = written(below - 1) if whole else f"below {written(below)}"
    first = low or above
    if first is None:
        return f"at most {high}" if high else ""
    return f"{first} to {high}" if high else (f"{first} or more" if low else first)


def _examples(annotation: Any, metadata: Sequence[Any], default: Any) -> Iterator[Any]:
    """Values that an annotation allows, likely ones first."""
    annotation, metadata = _bare(annotation, metadata)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        for part in arguments:
            yield from _examples(part, metadata, default)
    elif origin is Literal:
        yield from arguments
    elif origin is list:
        yield from ([value] for value in _examples(arguments[0], [], None))
    elif annotation is bool:
        yield not default
    elif annotation in (int, float):
        yield from (value for value in _numbers(annotation, metadata, default) if _allowed(value, metadata))
    elif annotation is NoneType and default is not None:
        yield None


def _numbers(kind: type[int] | type[float], metadata: Sequence[Any], default: Any) -> Iterator[int | float]:
    """Twice and half the default, then what lies within the limits."""
    if isinstance(default, int | float) and not isinstance(default, bool) and default:
        yield default * 2
        yield kind(default / 2)
    yield from (kind(value) for value in (1, 0.5, 2, 4, 32, 64))
    yield from (one.ge for one in metadata if hasattr(one, "ge"))


def _allowed(value: float, metadata: Sequence[Any]) -> bool:
    return all(
        value >= getattr(one, "ge", value)
        and value <= getattr(one, "le", value)
        and not value <= getattr(one, "gt", value - 1)
        and not value >= getattr(one, "lt", value + 1)
        for one in metadata
    )


def _bare(annotation: Any, metadata: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The annotation without Annotated, and all limits, whether pydantic's own or within a `Field`."""
    limits = list(metadata)
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        for one in more:
            limits += one.metadata if isinstance(one, FieldInfo) else [one]
    return annotation, limits

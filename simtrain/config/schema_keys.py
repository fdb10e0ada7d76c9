"""What the schema says of a key: the sections it can hold, and whether it holds text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel


@dataclass(frozen=True, kw_only=True)
class TextKey:
    """A key that holds text, and no number, truth value or date.

    Attributes:
        nullable: Whether it holds null as well.
        structured: Whether it holds lists or sections as well.
        constants: Values besides, such as `False`, that YAML's words mean here.
    """

    nullable: bool
    structured: bool
    constants: tuple[Any, ...]


def text_key(schema: type[BaseModel], names: Sequence[str]) -> TextKey | None:
    """What a key holds besides text; None for a key that does not hold text, or holds numbers too.

    Args:
        schema: The configuration.
        names: The key's parts, such as `["encoder", "model"]`; of a section of several kinds all that have it count.
    """
    sections: list[type[BaseModel]] = [schema]
    for name in names[:-1]:
        fields = [section.model_fields[name] for section in sections if name in section.model_fields]
        sections = [model for field in fields for model in models_of(field.annotation)]
    found = [section.model_fields[names[-1]] for section in sections if names[-1] in section.model_fields]
    kinds = {_kind_of(field.annotation) for field in found}
    return kinds.pop() if len(kinds) == 1 else None


def _kind_of(annotation: Any) -> TextKey | None:
    parts = set(_parts_of(annotation))
    if str not in parts or parts & {int, float, bool}:
        return None
    literals = {part for part in parts if get_origin(part) is Literal}
    return TextKey(
        nullable=NoneType in parts,
        structured=bool(parts - literals - {str, NoneType}),
        constants=tuple(value for part in literals for value in get_args(part)),
    )


def _parts_of(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from _parts_of(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _parts_of(part)
    else:
        yield annotation


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """Every section that an annotation can hold, through unions, Annotated and lists."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    arguments = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return [model for argument in arguments for model in models_of(argument)]

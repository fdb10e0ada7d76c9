"""What the schema says of a key's value: whether it holds text, or a list of texts, and what besides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from simtrain.config.key_tree import kind_in, kind_of, models_of


@dataclass(frozen=True, kw_only=True)
class TextKey:
    """A key that holds text, or a list of texts, and no number, truth value or date.

    Attributes:
        nullable: Whether it holds null as well.
        structured: Whether it holds lists or sections as well.
        constants: Values besides, such as `False`, that YAML's words mean here.
        listed: Whether the items of its lists are texts.
        single: Whether it holds one text; else lists of them alone.
    """

    nullable: bool
    structured: bool
    constants: tuple[Any, ...]
    listed: bool = False
    single: bool = True


def text_key(schema: type[BaseModel], names: Sequence[str], tree: Mapping[str, Any]) -> TextKey | None:
    """What a key holds besides text; None for a key that does not hold text, or holds numbers too.

    Args:
        schema: The configuration.
        names: The key's parts, such as `["encoder", "model"]`.
        tree: The configuration so far; of a section whose kind it does not name, all kinds that have the key count.
    """
    sections: list[type[BaseModel]] = [schema]
    for depth, name in enumerate(names[:-1], start=1):
        fields = [section.model_fields[name] for section in sections if name in section.model_fields]
        kind = kind_in(tree, ".".join(names[:depth]))
        found = [model for field in fields for model in models_of(field.annotation)]
        sections = [model for model in found if kind is None or kind_of(model) in (None, kind)]
    holding = [section.model_fields[names[-1]] for section in sections if names[-1] in section.model_fields]
    kinds = [_kind_of(field.annotation) for field in holding]
    texts = [kind for kind in kinds if kind is not None]
    return _merged(texts) if texts and len(texts) == len(kinds) else None


def _merged(texts: Sequence[TextKey]) -> TextKey:
    """What any of several kinds of a section allows."""
    return TextKey(
        nullable=any(text.nullable for text in texts),
        structured=any(text.structured for text in texts),
        constants=tuple(dict.fromkeys(constant for text in texts for constant in text.constants)),
        listed=all(text.listed for text in texts),
        single=any(text.single for text in texts),
    )


def _kind_of(annotation: Any) -> TextKey | None:
    parts = set(_parts_of(annotation))
    if parts & {int, float, bool}:
        return None
    literals = {part for part in parts if get_origin(part) is Literal}
    lists = [part for part in parts if get_origin(part) is list]
    listed = bool(lists) and all(set(_parts_of(get_args(part)[0])) == {str} for part in lists)
    if str not in parts and not (listed and parts <= {*lists, NoneType}):
        return None
    return TextKey(
        nullable=NoneType in parts,
        structured=bool(parts - literals - {str, NoneType}),
        constants=tuple(value for part in literals for value in get_args(part)),
        listed=listed,
        single=str in parts,
    )


def _parts_of(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from _parts_of(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _parts_of(part)
    else:
        yield annotation

"""Every key of a configuration's schema by its dotted name, and the kinds of sections that have it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclass(frozen=True, kw_only=True)
class SchemaKey:
    """A key, in one of the kinds of sections that have it.

    Attributes:
        name: Its dotted name, such as `encoder.image.model`.
        field: What the schema says of it.
        kinds: Section -> the kind that it has to be, outermost first: `{"encoder": "two_towers"}`; empty: any.
        listed: Whether it stands in the items of a list, so that no `--set` reaches it.
    """

    name: str
    field: FieldInfo
    kinds: tuple[tuple[str, str], ...]
    listed: bool

    @property
    def last(self) -> str:
        """The part of the name after the last dot."""
        return self.name.rpartition(".")[2]

    def goes_with(self, tree: Mapping[str, Any]) -> bool:
        """Whether the kinds that a configuration names so far have this key."""
        return all(chosen in (None, kind) for chosen, kind in ((kind_in(tree, key), kind) for key, kind in self.kinds))


@cache
def keys_of(schema: type[BaseModel]) -> tuple[SchemaKey, ...]:
    """All keys in the order of the schema, a section before its keys; one for each kind that has it."""
    return tuple(_keys(schema, "", (), listed=False))


def kind_in(tree: Mapping[str, Any], key: str) -> str | None:
    """The `kind` of a section in a configuration; None: it names none."""
    node: Any = tree
    for name in key.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    kind = node.get("kind") if isinstance(node, Mapping) else None
    return kind if isinstance(kind, str) else None


def kind_of(section: type[BaseModel]) -> str | None:
    """The `kind` that a section is; None: it is one of no kinds."""
    kind = section.model_fields.get("kind")
    values = get_args(kind.annotation) if kind is not None else ()
    return values[0] if len(values) == 1 else None


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """Every section that an annotation can hold, through unions, Annotated and lists."""
    return [model for model, _ in _sections(annotation, in_list=False)]


def _keys(
    section: type[BaseModel], prefix: str, kinds: tuple[tuple[str, str], ...], *, listed: bool
) -> Iterator[SchemaKey]:
    for name, field in section.model_fields.items():
        key = f"{prefix}{name}"
        yield SchemaKey(name=key, field=field, kinds=kinds, listed=listed)
        for inner, in_list in _sections(field.annotation, in_list=listed):
            kind = kind_of(inner)
            yield from _keys(inner, f"{key}.", kinds if kind is None else (*kinds, (key, kind)), listed=in_list)


def _sections(annotation: Any, *, in_list: bool) -> Iterator[tuple[type[BaseModel], bool]]:
    """Sections that an annotation can hold, each with whether it is an item of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, in_list
        return
    arguments: Sequence[Any] = get_args(annotation)
    if get_origin(annotation) is Annotated:
        arguments = arguments[:1]
    inside = in_list or get_origin(annotation) in (list, tuple)
    for argument in arguments:
        yield from _sections(argument, in_list=inside)

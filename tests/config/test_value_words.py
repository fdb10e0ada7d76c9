"""What keys may hold, in words."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, TypeAdapter
from pydantic.fields import FieldInfo

from simtrain.config import RunConfig
from simtrain.config.key_tree import keys_of
from simtrain.config.overrides import typed_value
from simtrain.config.schema_keys import text_key
from simtrain.config.section import Section
from simtrain.config.value_words import NO_DEFAULT, default_words, example, is_section, value_words, written


class Inner(Section):
    """Inner."""

    one: int = 1


class Outer(Section):
    """Outer."""

    count: int = Field(default=3, ge=1, le=10)
    below: int = Field(default=0, ge=0, lt=100)
    share: float = Field(default=0.5, gt=0, lt=1)
    rate: float = Field(gt=0, le=1)
    open_ended: int = Field(default=1, ge=1)
    positive: float = Field(default=1.0, gt=0)
    maybe: Annotated[int, Field(ge=2, le=8)] | None = None
    angle: float | None = Field(default=None, ge=0, le=180)
    choice: Literal["a", "b"] = "a"
    column: str | Literal[False] | None = None
    number: Literal["auto"] | Annotated[int, Field(ge=1, le=4)] = "auto"
    names: list[str] = Field(default_factory=list)
    few: Annotated[list[str], Field(max_length=4)] = Field(default_factory=list)
    sizes: Annotated[list[Annotated[int, Field(ge=32)]], Field(min_length=1)] | None = None
    pair: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    free: dict[str, Any] = Field(default_factory=dict)
    inner: Inner = Inner()
    perhaps: Inner | None = None


def field(name: str) -> FieldInfo:
    return Outer.model_fields[name]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("count", "whole number, 1 to 10"),
        ("below", "whole number, 0 to 99"),
        ("share", "number, above 0 to below 1"),
        ("rate", "number, above 0 to 1"),
        ("open_ended", "whole number, 1 or more"),
        ("positive", "number, above 0"),
        ("maybe", "whole number, 2 to 8, or null"),
        ("angle", "number, 0 to 180, or null"),
        ("choice", "one of a, b"),
        ("column", "text or false or null"),
        ("number", "auto, or whole number, 1 to 4"),
        ("names", "list of text"),
        ("few", "list (at most 4 items) of text"),
        ("sizes", "list (1 or more), each whole number, 32 or more, or null"),
        ("pair", "list of 2: number, 0 to below 1"),
        ("free", "keys and values of your own"),
        ("inner", "section"),
        ("perhaps", "section or null"),
    ],
)
def test_values_in_words(name: str, expected: str) -> None:
    assert value_words(field(name)) == expected


def test_kinds_of_a_section_are_named() -> None:
    assert value_words(RunConfig.model_fields["objective"]) == (
        "section of kind distill, simclr, triplet, metric_learning, image_text, python"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("count", "3"),
        ("rate", NO_DEFAULT),
        ("maybe", "null"),
        ("names", "[]"),
        ("pair", "[0.9, 0.999]"),
        ("inner", None),
        ("perhaps", "null"),
    ],
)
def test_defaults(name: str, expected: str | None) -> None:
    assert default_words(field(name)) == expected


@pytest.mark.parametrize(("name", "expected"), [("inner", True), ("perhaps", True), ("free", False), ("count", False)])
def test_sections_are_told_from_values(name: str, expected: bool) -> None:
    assert is_section(field(name)) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3e-4, "0.0003"), (True, "true"), (None, "null"), (["a", 1], "[a, 1]"), ({"p": 0.5}, "{p: 0.5}"), ("x y", "x y")],
)
def test_values_as_they_are_typed(value: object, expected: str) -> None:
    assert written(value) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("count", "6"), ("below", "1"), ("share", "0.25"), ("choice", "b"), ("number", "1"), ("names", None)],
)
def test_examples_are_allowed_and_not_the_default(name: str, expected: str | None) -> None:
    assert example(field(name)) == expected


def test_every_example_of_the_schema_is_allowed_by_its_key() -> None:
    tried = 0
    for key in keys_of(RunConfig):
        shown = example(key.field)
        if shown is not None and not is_section(key.field):
            annotation: Any = Annotated[key.field.annotation, "with its limits", *key.field.metadata]
            wanted = text_key(RunConfig, key.name.split("."), {})
            TypeAdapter(annotation).validate_python(typed_value(shown, wanted=wanted, override=key.name))
            tried += 1
    assert tried > 150

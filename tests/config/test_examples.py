"""Examples of keys."""

from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter

from simtrain.config.examples import _BY_KEY, example_of
from simtrain.config.key_tree import keys_of
from simtrain.config.overrides import typed_value
from simtrain.config.schema_keys import text_key
from simtrain.config.schemas import SCHEMAS
from simtrain.config.value_words import is_section

ENDS = {
    ".".join(key.name.split(".")[start:])
    for schema in SCHEMAS.values()
    for key in keys_of(schema)
    for start in range(key.name.count(".") + 1)
}


@pytest.mark.parametrize("name", _BY_KEY)
def test_every_example_is_of_a_key_that_there_is(name: str) -> None:
    assert name in ENDS


@pytest.mark.parametrize("word", SCHEMAS)
def test_every_key_takes_its_example_as_it_is_typed(word: str) -> None:
    without = []
    for key in keys_of(SCHEMAS[word]):
        shown = example_of(key, word=word)
        if shown is None:
            without += [] if key.listed else [key.name]
        elif not is_section(key.field):
            wanted = text_key(SCHEMAS[word], key.name.split("."), {})
            annotation: Any = Annotated[key.field.annotation, "with its limits", *key.field.metadata]
            value = typed_value(shown, wanted=wanted, override=key.name)
            listed = isinstance(value, str) and "list" in str(key.field.annotation) and wanted is None
            TypeAdapter(annotation).validate_python([value] if listed else value)
    free = {name.rpartition(".")[2] for name in without}
    sections = {key.last for key in keys_of(SCHEMAS[word]) if is_section(key.field)}
    assert free <= {"parameters", "pooling", *sections}

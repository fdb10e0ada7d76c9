"""The configuration's relevance over a catalogue."""

from pathlib import Path

import pytest
from tiny_training import catalog_of

from simtrain.builders import build_relevance
from simtrain.config import load_compare_config
from simtrain.errors import ConfigError

SHOP = catalog_of(Path("shop"), split=["test"] * 2, product=["a", "b"], label=["x", "x"])
WITH_COLUMN = catalog_of(Path("shop"), split=["test"] * 2, product=["a", "b"], label=["x", "x"], kind=["k", "k"])


def ideas(text: str) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    settings = load_compare_config(None, [f"relevance={text}"]).relevance or []
    return [(one.name, one.columns, one.other) for one in (build_relevance(setting, SHOP) for setting in settings)]


def test_columns_kind_and_other_columns():
    assert ideas("[product, [label, colour], kind, {same: category, other: vendor}, {same: [label]}]") == [
        ("product", ("product",), ()),
        ("label + colour", ("label", "colour"), ()),
        ("kind", ("label",), ("product",)),
        ("kind (category, other vendor)", ("category",), ("vendor",)),
        ("kind", ("label",), ("product",)),
    ]


def test_a_column_called_kind_goes_before_the_idea():
    found = build_relevance("kind", WITH_COLUMN)
    assert (found.name, found.columns, found.other) == ("kind", ("kind",), ())


def test_an_idea_named_twice_is_refused():
    message = r"--set: relevance names label \(other product\) twice"
    with pytest.raises(ConfigError, match=message):
        load_compare_config(None, ["relevance=[{same: label}, {same: [label], other: product}]"])


def test_a_misspelt_key_names_the_right_one():
    with pytest.raises(ConfigError, match=r"^--set: relevance\.0\.sam: unknown key; did you mean 'same'\?$"):
        load_compare_config(None, ["relevance=[{sam: label}]"])


def test_excluded_columns_come_from_the_evaluation():
    found = build_relevance("product", SHOP, exclude=["vendor", "session"])
    assert (found.name, found.excluded) == ("product", ("vendor", "session"))

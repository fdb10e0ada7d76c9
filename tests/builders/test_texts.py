"""Texts of training images, and the positives that columns make of them."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from small_configs import CAPTIONS, FOLDER, texts_config
from tiny_training import TinyEncoder, catalog_of

from simtrain.builders.data import build_data
from simtrain.builders.texts import build_texts
from simtrain.catalog.store.reader import source_images
from simtrain.catalog.table import Catalog
from simtrain.errors import CatalogError, ConfigError


def told_shop(**columns: Sequence[Any]) -> Catalog:
    return catalog_of(FOLDER, **{"caption": CAPTIONS, "split": ["train"] * 5 + ["test"], **columns})


def test_texts_are_those_of_training_images_each_once() -> None:
    texts = build_texts(texts_config(), told_shop())
    assert texts is not None
    assert list(texts.texts) == ["a blue mug", "a red mug"]
    assert texts.ids.tolist() == [[1], [1], [-1], [0], [-1], [-1]]


def test_templates_are_filled_in_beside_each_other() -> None:
    catalog = told_shop(label=["red", "red", "green", "blue", None, "red"])
    texts = build_texts(texts_config(templates=["{caption}", "something {label}"]), catalog)
    assert texts is not None
    written = [[texts.texts[place] if place >= 0 else None for place in row] for row in texts.ids.tolist()]
    assert written == [
        ["a red mug", "something red"],
        ["a red mug", "something red"],
        [None, "something green"],
        ["a blue mug", "something blue"],
        [None, None],
        [None, None],
    ]


@pytest.mark.parametrize(
    ("positives", "expected"),
    [
        (["text"], [[1], [1], [-1], [0], [-1], [-1]]),
        (["text", "product"], [[1, 0], [1, 1], [-1, 1], [0, 1], [-1, -1], [-1, 0]]),
        (["product"], [[0], [1], [1], [1], [-1], [0]]),
        ([], [[]] * 6),
    ],
)
def test_positives_are_texts_and_columns(positives: list[str], expected: list[list[int]]) -> None:
    catalog = told_shop(product=["a", "b", "b", "b", None, "a"])
    texts = build_texts(texts_config(positives=positives), catalog)
    assert texts is not None
    assert texts.criteria.tolist() == expected


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ({}, "shop: 3 training images with a text; set data.batch_size=3 or less"),
        ({"templates": ["{captoin}"]}, "no column 'captoin', which the template '{captoin}' needs; did you mean"),
        ({"templates": ["mug"]}, "template 'mug': has no column"),
        ({"positives": ["producer"]}, "objective.positives: "),
    ],
)
def test_texts_that_cannot_be_had_are_named(objective: dict[str, Any], expected: str) -> None:
    config, catalog = texts_config(**objective), told_shop()
    with pytest.raises((CatalogError, ConfigError), match=re.escape(expected)):
        build_data(
            config,
            catalog,
            images=source_images(catalog),
            encoder=TinyEncoder(),
            validation=None,
            texts=build_texts(config, catalog),
        )

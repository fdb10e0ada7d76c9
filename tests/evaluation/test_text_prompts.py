"""Texts of a catalogue and prompts of its classes."""

import re
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from small_texts import EAST, FOLDER, NORTH, Dictionary, judged
from tiny_training import catalog_of

from simtrain.errors import CatalogError, ConfigError, SimtrainError
from simtrain.evaluation.text_prompts import distinct, embed_prompts, label_prompts, template_columns, texts_of


def test_captions_that_differ_in_case_and_white_space_are_one() -> None:
    texts, places = distinct(["Red  dress", None, "blue", "red dress ", "BLUE"])
    assert (texts, places.tolist()) == (["Red  dress", "blue"], [0, -1, 1, 0, 1])


def test_prompts_are_averaged_on_the_sphere() -> None:
    catalog = catalog_of(FOLDER, label=["hat"])
    prompts = label_prompts(catalog, np.array([0]), ["a {label}", "{label}"])
    assert prompts.texts == (("a hat", "hat"),)
    embedded = embed_prompts(prompts, Dictionary({"a hat": [0.0, 9.0], "hat": [2.0, 0.0]}))
    torch.testing.assert_close(embedded, torch.full((1, 2), 0.5**0.5))  # in the middle, whatever their lengths


def test_a_class_may_be_of_several_columns() -> None:
    catalog = catalog_of(FOLDER, label=["hat", "bag", "hat"], colour=["red", "red", None])
    prompts = label_prompts(catalog, np.arange(3), ["{colour} {label}", "a {label}, {colour}"])
    assert prompts.columns == ("colour", "label")
    assert prompts.texts == (("red bag", "a bag, red"), ("red hat", "a hat, red"))
    assert prompts.classes.tolist() == [1, 0, -1]


def test_numbers_are_written_as_people_do() -> None:
    catalog = catalog_of(FOLDER, size=[38.0, float("nan"), 40.5])
    assert texts_of(catalog, np.arange(3), "size {size}") == ["size 38", None, "size 40.5"]


def test_a_column_with_a_dot_and_doubled_braces_are_taken_as_they_are() -> None:
    catalog = catalog_of(FOLDER, **{"a.b": ["x"]})
    assert texts_of(catalog, np.array([0]), "{{{a.b}}}") == ["{x}"]
    assert template_columns("{b} {a} {b}") == ("b", "a")


BRACES = "write a column as {label}, and a brace that is meant as one twice"


@pytest.mark.parametrize(
    ("templates", "error", "message"),
    [
        (
            ["a {lable}"],
            CatalogError,
            "shop/catalog.parquet: no column 'lable', which the template 'a {lable}' needs; did you mean 'label'?",
        ),
        (
            ["a {x}"],
            CatalogError,
            "shop/catalog.parquet: no column 'x', which the template 'a {x}' needs; it has id, path, split, product, "
            "label, caption, query, gallery, duplicate_group, weights",
        ),
        (
            ["{weights}"],
            CatalogError,
            "shop/catalog.parquet: the values of 'weights' cannot be written in a text; take text or numbers",
        ),
        (
            ["a {label}", "{id} {label}"],
            ConfigError,
            "templates 'a {label}' and '{id} {label}' are over different columns; prompts are averaged for each class, "
            "so give all of them the same columns",
        ),
        (["a photo"], ConfigError, f"template 'a photo': has no column; {BRACES}"),
        (["a {label"], ConfigError, f"template 'a {{label': expected '}}' before end of string; {BRACES}"),
        (["a {}"], ConfigError, f"template 'a {{}}': '{{}}' is not the name of a column; {BRACES}"),
        (["{label:>9}"], ConfigError, f"template '{{label:>9}}': '{{label}}' is not the name of a column; {BRACES}"),
        (["{label!r}"], ConfigError, f"template '{{label!r}}': '{{label}}' is not the name of a column; {BRACES}"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_told(
    templates: Sequence[str], error: type[SimtrainError], message: str
) -> None:
    catalog = catalog_of(FOLDER, label=["hat", "bag"], weights=[[1, 2], [3]])
    with pytest.raises(error, match=f"^label_templates: {re.escape(message)}$"):
        judged(catalog, torch.tensor([NORTH, EAST]), Dictionary({}), templates=templates)


def test_a_template_that_no_image_fills_in_is_told() -> None:
    catalog = catalog_of(FOLDER, label=["hat", "bag"])
    message = (
        "shop/catalog.parquet: none of 2 images has a value of product + label, which the template "
        "'a {product} {label}' needs"
    )
    with pytest.raises(CatalogError, match=f"^{re.escape(message)}$"):
        texts_of(catalog, np.arange(2), "a {product} {label}")

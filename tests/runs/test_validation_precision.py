"""The difference that a validation split can tell from chance, against the normal approximation of a paired test."""

from pathlib import Path
from statistics import NormalDist

import pytest
from tiny_training import catalog_of

from simtrain.catalog.table import Catalog
from simtrain.evaluation.protocol import retrieval_task
from simtrain.evaluation.relevance import same
from simtrain.runs.validation_precision import validation_precision


def shop(*, products: int, views: int, train: int) -> Catalog:
    val = [f"p{row // views}" for row in range(products * views)]
    return catalog_of(Path("shop"), product=[*val, *["t"] * train], split=["val"] * len(val) + ["train"] * train)


def line(catalog: Catalog) -> str | None:
    task = retrieval_task(catalog, split="val", gallery_splits=None, relevance=same(["product"]))
    return validation_precision(task, catalog, confidence=0.95)


def test_it_names_the_difference_and_the_command():
    found = line(shop(products=100, views=4, train=2000))
    assert found is not None
    normal = NormalDist()
    points = 100 * (normal.inv_cdf(0.975) + normal.inv_cdf(0.8)) * (0.2 * (1 + 3 * 0.2) / 400) ** 0.5
    of_map = points * ((0.2 + 0.8 / 3 + 3 * 0.2) / (1 + 3 * 0.2)) ** 0.5  # each query has 3 relevant images
    assert of_map == pytest.approx(6.5, abs=0.05)
    assert points == pytest.approx(7.9, abs=0.05)  # with Student's quantiles of 100 products a little more
    assert found == (
        "val is small (400 queries of 100 products): differences in recall_at_1 of less than 8 points and in map_at_r "
        "of less than 7 points cannot be detected; prepare it with a larger share: "
        "simtrain prepare SOURCE --out shop --set split.val=0.3"
    )


def test_a_split_that_has_its_share_already_gets_no_command():
    found = line(shop(products=100, views=4, train=500))
    assert found is not None
    assert found.endswith("in map_at_r of less than 7 points cannot be detected")


def test_too_few_products_for_any_difference():
    found = line(shop(products=3, views=2, train=4))
    assert found == "val is small (6 queries of 3 products): no difference between two settings can be detected"


def test_a_large_split_gets_no_line():
    assert line(shop(products=2000, views=2, train=0)) is None

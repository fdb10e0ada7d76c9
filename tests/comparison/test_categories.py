"""Category column and levels of relevance of a comparison."""

from pathlib import Path

import pytest
from small_folds import SHOP, small_fold
from tiny_training import catalog_of

from simtrain.comparison.categories import catalog_categories, relevance_levels
from simtrain.config import load_compare_config
from simtrain.errors import CatalogError

DEFAULT = load_compare_config(None, [])


def test_categories_are_those_of_the_label_where_there_is_no_category_column():
    categories = catalog_categories(DEFAULT, SHOP)
    assert categories is not None
    assert categories.column == "label"
    named = [categories.names[code] for code in categories.codes.tolist()]
    assert named == ["x", "x", "x", "cup", "cup", "cup", "cup", "lamp", "lamp"]


def test_a_catalogue_without_labels_has_no_categories():
    shop = catalog_of(Path("shop"), split=["test"] * 2, product=["a", "a"])
    assert catalog_categories(DEFAULT, shop) is None


def test_the_same_product_is_a_higher_level_than_the_same_label():
    assert relevance_levels(DEFAULT, SHOP, [small_fold(SHOP)]) == [["product"], ["label"]]


def test_a_level_of_a_missing_column_is_refused():
    config = load_compare_config(None, ["levels=[product,shape]"])
    with pytest.raises(CatalogError, match="shape"):
        relevance_levels(config, SHOP, [small_fold(SHOP)])

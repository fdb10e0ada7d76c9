"""Usual names of the columns that hold products, labels and captions."""

import pytest

from simtrain.catalog.sources.likely_columns import likely_columns


@pytest.mark.parametrize("name", ["sku", "SKU", "Product ID", "product-id", "productId", "\ufeffArticle_ID"])
def test_usual_names_of_a_product(name: str) -> None:
    assert likely_columns(["path", name, "price"], taken=["path"]) == {"product": name}
    assert likely_columns(["path", name, "price"], taken=["path", name]) == {}


def test_the_most_usual_name_comes_first() -> None:
    assert likely_columns(["asin", "title", "sku", "text"], taken=[]) == {"product": "sku", "caption": "text"}

"""Usual names of the columns that hold products, labels and captions."""

import pandas as pd
import pytest

from simtrain.catalog.sources.likely_columns import likely_columns, repeats


@pytest.mark.parametrize(
    "name", ["sku", "SKU", "Product ID", "product-id", "productId", "\ufeffArticle_ID", "Artikelnummer", "Artikel-Nr"]
)
def test_usual_names_of_a_product(name: str) -> None:
    assert likely_columns(["path", name, "price"], taken=["path"]) == {"product": name}
    assert likely_columns(["path", name, "price"], taken=["path", name]) == {}


def test_the_most_usual_name_comes_first() -> None:
    assert likely_columns(["asin", "title", "sku", "text"], taken=[]) == {"product": "sku", "caption": "text"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [(["a", "a", "b", "b"], True), (["a", "b", "c", "d"], False), (["a", "a", "a"], False), ([None, None], False)],
)
def test_a_column_groups_rows_where_its_values_stand_again(values: list[str], expected: bool) -> None:
    assert repeats(pd.Series(values, dtype="str")) is expected

"""Filters beside the same conditions in Python."""

import numpy as np
import pandas as pd
import pytest

from simtrain.serving.app.filters import FilterColumn, ItemFilters
from simtrain.serving.app.request_error import RequestError

ITEMS = pd.DataFrame(
    {
        "id": ["a", "b", "c", "d"],
        "path": ["a.png", "b.png", "c.png", "d.png"],
        "label": ["mug", "cup", None, "mug"],
        "price": [1.5, np.nan, 20.0, 7.0],
        "stock": [1, 2, 3, 4],
        "new": [True, False, True, None],
        "tags": [["x"], ["y"], [], ["x", "y"]],
        "a=b": ["1", "2", "1", "2"],
    }
)


def found(*filters: str) -> str:
    passing = ItemFilters(items=ITEMS).matching(filters)
    assert passing is not None
    return "".join(ITEMS["id"][passing])


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["label=mug"], "ad"),
        (["label=mug", "label=cup"], "abd"),
        (["label!=mug"], "bc"),
        (["price<=7"], "ad"),
        (["price>=7"], "cd"),
        (["price>=2", "price<=10"], "d"),
        (["price=20"], "c"),
        (["label=mug", "stock>=2"], "d"),
        (["new=true"], "ac"),
        (["new=False"], "b"),
        (["label=nothing"], ""),
        (["label= mug "], "ad"),
        (["id=c"], "c"),
        (['label == "mug" and price < 5'], "a"),
        (['label in ["cup", "mug"]', "stock>=2"], "bd"),
        (["not new == true", "price<=7"], "d"),
        (['label != "mug"'], "b"),
        (["label!=mug and more"], "abcd"),
    ],
)
def test_items_that_pass(filters: list[str], expected: str) -> None:
    assert found(*filters) == expected


def test_without_filters_all_pass() -> None:
    assert ItemFilters(items=ITEMS).matching([]) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "label",
            "filter 'label': allowed: column=value, column!=value, column<=number, column>=number, and conditions with "
            'texts in quotes: column == "value" and column < number',
        ),
        (
            "label == mug",
            "filter 'label == mug': allowed: column=value, column!=value, column<=number, column>=number, and "
            'conditions with texts in quotes: column == "value" and column < number',
        ),
        (
            'lable == "mug"',
            "filter: no column 'lable'; did you mean 'label'?",
        ),
        ("price == 3 or label == 3", "filter: column 'label' holds texts, not 3"),
        (
            "lable=mug",
            "filter: no column 'lable'; did you mean 'label'?; there are: id, label, new, path, price, stock",
        ),
        ("price=cheap", "filter: price holds numbers; 'cheap' is none"),
        ("price<=nan", "filter: price holds numbers; 'nan' is none"),
        ("label<=3", "filter: label holds no numbers; allowed for it: = and !="),
        ("tags=x", "filter: no column 'tags'; there are: id, label, new, path, price, stock"),
    ],
)
def test_what_is_no_filter_is_told(text: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        ItemFilters(items=ITEMS.drop(columns="a=b")).matching([text])
    assert (str(caught.value), caught.value.status) == (message, 422)


def test_columns_that_a_page_offers() -> None:
    columns = ItemFilters(items=ITEMS.drop(columns="a=b")).columns()
    text = FilterColumn(name="label", kind="text", choices=["cup", "mug"], lowest=None, highest=None)
    flag = FilterColumn(name="new", kind="flag", choices=["false", "true"], lowest=None, highest=None)
    price = FilterColumn(name="price", kind="number", choices=None, lowest=1.5, highest=20.0)
    stock = FilterColumn(name="stock", kind="number", choices=None, lowest=1.0, highest=4.0)
    assert columns == [text, price, stock, flag]


def test_many_values_are_no_choice() -> None:
    items = pd.DataFrame({"sku": [f"s{number}" for number in range(41)]})
    assert ItemFilters(items=items).columns()[0].choices is None

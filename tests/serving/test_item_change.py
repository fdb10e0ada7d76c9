"""Items of a bundle beside those of a source."""

import pandas as pd
import pytest

from simtrain.errors import SimtrainError
from simtrain.serving.item_change import standing, with_rows

ITEMS = pd.DataFrame(
    {
        "id": ["a", "b", "c"],
        "path": ["a.png", "b.png", "c.png"],
        "product": ["1", None, "3"],
        "price": [1.0, 2.0, None],
        "sha256": ["x", "y", None],
    }
)


def test_new_changed_and_unknown_are_told_apart() -> None:
    found = standing(ITEMS, ids=["d", "a", "b", "c"], sha256=["z", "x", "other", "w"])
    assert found.new.tolist() == [True, False, False, False]
    assert found.changed.tolist() == [False, False, True, False]
    assert found.unknown.tolist() == [False, False, False, True]


def test_a_bundle_of_before_knows_of_no_image() -> None:
    found = standing(ITEMS.drop(columns="sha256"), ids=["a", "d"], sha256=["x", "z"])
    assert (found.new.tolist(), found.unknown.tolist(), found.changed.any()) == ([False, True], [True, False], False)


def test_rows_are_replaced_in_place_and_added_at_the_end() -> None:
    given = pd.DataFrame({"id": ["d", "b"], "path": ["d.png", "new.png"], "price": [4.0, 5.0], "colour": ["red", None]})
    whole = with_rows(ITEMS, given)
    assert whole.astype(object).where(whole.notna(), None).to_dict("list") == {
        "id": ["a", "b", "c", "d"],
        "path": ["a.png", "new.png", "c.png", "d.png"],
        "product": ["1", None, "3", None],
        "price": [1.0, 5.0, None, 4.0],
        "sha256": ["x", "y", None, None],
        "colour": [None, None, None, "red"],
    }


def test_a_column_that_the_source_leaves_empty_keeps_the_products() -> None:
    given = pd.DataFrame({"id": ["a"], "path": ["a.png"], "product": [None], "sha256": ["x"]})
    assert with_rows(ITEMS, given)["product"].iloc[0] == "1"


def test_numbers_beside_text_are_refused() -> None:
    given = pd.DataFrame({"id": ["d"], "path": ["d.png"], "price": ["4 €"]})
    with pytest.raises(SimtrainError, match="column 'price': the bundle and the source have text in one and numbers"):
        with_rows(ITEMS, given)

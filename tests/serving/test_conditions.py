"""Conditions on columns, beside the same written in pandas, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from simtrain.errors import SimtrainError
from simtrain.serving.conditions import passing

ITEMS = pd.DataFrame(
    {
        "id": list("abcdef"),
        "color": ["red", "blue", None, "red", "green", "blue"],
        "price": [1.0, np.nan, 3.0, 20.0, 5.0, -2.0],
        "stock": [0, 1, 2, 3, 4, 5],
        "on sale": [True, False, True, False, True, False],
        "tags": [["a"], None, ["b"], None, None, None],
    }
)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('color == "red"', "ad"),
        ('color != "red"', "bef"),
        ("color in ['red', 'green']", "ade"),
        ('color not in ["red"]', "bef"),
        ("price < 5", "acf"),
        ("price >= -2 and stock > 2", "def"),
        ("price >= -2 && stock > 2", "def"),
        ("stock == 0 or stock == 5", "af"),
        ("stock == 0 || stock == 5", "af"),
        ("on_sale == true", "ace"),
        ("not on_sale == true", "bdf"),
        ('(color == "red" or color == "blue") and not stock < 3', "df"),
        ('id == "c"', "c"),
        ("stock > 100", ""),
    ],
)
def test_a_condition_keeps_what_it_says(condition: str, expected: str) -> None:
    assert "".join(ITEMS["id"][passing(ITEMS, condition)]) == expected


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("colour == 'red'", "--filter: no column 'colour'; did you mean 'color'?"),
        ("price == 'red'", "--filter: column 'price' holds numbers, not 'red'"),
        ("color > 3", "--filter: column 'color' holds texts, not 3"),
        ("stock == true", "--filter: column 'stock' holds numbers, not True"),
        ("tags == 'a'", "--filter: column 'tags' holds values that cannot be compared"),
        ("color = = 1", "--filter 'color = = 1': is no condition; such as: color"),
        ("color", "--filter: 'color' is no comparison of a column"),
        ("__import__('os').system('x') == 1", "is no comparison of a column"),
        ("stock == __import__('os')", "is no number, text, true, false or list of them"),
        ("stock < 1 < 2", "is no comparison of a column"),
        ("stock is 1", "column 'stock' is compared in a way that is not known"),
        ("", "is no condition"),
        ("stock == 1" + " or stock == 1" * 1000, "has 14010 characters; allowed: 10000"),
    ],
)
def test_anything_else_is_refused(condition: str, told: str) -> None:
    with pytest.raises(SimtrainError) as refused:
        passing(ITEMS, condition)
    assert told in str(refused.value)

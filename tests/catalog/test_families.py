"""Families: values in one spelling, and what is told of their groups."""

import pandas as pd
import pytest

from simtrain.catalog.families import family_findings, family_values
from simtrain.errors import CatalogError


def test_values_in_one_spelling_and_words_for_nothing_left_out() -> None:
    rows = pd.DataFrame({"family": ["oslo", " oslo ", "N/A", "", None, "bergen"], "session": [1.0, 2.0, 1, 1, 3, None]})
    assert family_values(rows, ["family", "session"], nothing=["n/a"]) == {
        "family": ["family=oslo", "family=oslo", None, None, None, "family=bergen"],
        "session": ["session=1", "session=2", "session=1", "session=1", "session=3", None],
    }
    assert family_values(rows, [], nothing=[]) == {}


def test_a_column_of_lists_is_refused() -> None:
    with pytest.raises(CatalogError, match=r"^columns\.group: column 'tags': expected text, found list$"):
        family_values(pd.DataFrame({"tags": [["a"], ["b"]]}), ["tags"], nothing=[])


def test_number_of_groups_and_the_largest_are_told() -> None:
    families = {"family": ["family=x", "family=x", "family=y", None, None, None]}
    groups = ["group:family=x", "group:family=x", "group:family=y", "product:r", "product:s", "image:5"]
    (finding,) = family_findings(groups, families=families, products=["p", "q", "q2", "r", "s", None])
    assert finding == {
        "kind": "families",
        "groups": 2,
        "images": 2,
        "products": 2,
        "without": 3,
        "message": "kept on one side of the split by 'family': 2 groups, the largest of 2 images of 2 products; "
        "3 images have no value",
    }


def test_families_that_tie_most_are_a_warning_that_names_the_value() -> None:
    families = {"family": ["family=x", "family=x", "family=y", None], "session": ["session=1", None, "session=1", None]}
    groups = ["group:family=x"] * 3 + ["product:z"]
    (finding,) = family_findings(groups, families=families, products=["p", "q", None, "z"])
    assert (finding["kind"], finding["images"], finding["products"]) == ("families_tie_most", 3, 2)
    assert finding["message"] == (
        "columns.group: 'family' and 'session' ties 3 images of 2 products together, of 4 images in all, and one split "
        "gets them whole; 2 images by 'session=1'"
    )


def test_columns_without_values_are_a_warning() -> None:
    (finding,) = family_findings(["product:a"], families={"family": [None]}, products=["a"])
    assert finding["message"] == "columns.group: no image has a value in 'family', so no products are kept together"
    assert family_findings(["product:a"], families={}, products=["a"]) == []

"""Changed copies of pictures as rows of a catalogue."""

from pathlib import Path

import pandas as pd

from simtrain.catalog.changed_rows import CHANGE, PICTURE, given_rows, has_changed_rows, with_changed_rows
from simtrain.catalog.table import Catalog

ROWS = pd.DataFrame(
    {
        "id": ["a", "b", "c", "d", "e"],
        "path": ["a.png", "b.png", "c.png", "d.png", "e.png"],
        "split": ["train", "val", "val", "test", "test"],
        "product": pd.Series([None] * 5, dtype="str"),
        "caption": ["red", "blue", None, None, None],
        "query": [True] * 5,
        "gallery": [True, True, True, True, False],
        "sha256": ["1", "2", "3", "4", "5"],
        "pixel_sha256": ["p1", "p2", "p2", "p4", "p5"],
        "duplicate_group": [None, "b", "b", None, None],
        "near_duplicate_group": [None, "b", "b", None, None],
    }
)
SHOP = Catalog(rows=ROWS, root=Path(), folder=Path("shop"))


def test_changed_copies_ask_for_the_pictures_that_they_are_of() -> None:
    rows = with_changed_rows(SHOP).rows
    made = rows[rows[CHANGE]]
    assert made["id"].tolist() == ["b (changed)", "c (changed)", "d (changed)"]
    assert made["path"].tolist() == ["b.png", "c.png", "d.png"]
    assert made["split"].tolist() == ["val", "val", "test"]
    assert made[PICTURE].tolist() == ["b", "b", "d"]  # copies show one picture
    assert rows.loc[made.index, ["pixel_sha256", "duplicate_group", "caption"]].isna().all(axis=None)
    assert (made["query"].all(), made["gallery"].any()) == (True, False)


def test_given_rows_keep_their_places_and_ask_nothing_where_copies_do() -> None:
    changed = with_changed_rows(SHOP)
    assert changed.rows["id"].tolist()[:5] == ROWS["id"].tolist()
    assert changed.rows["query"].tolist()[:5] == [True, False, False, False, False]
    assert changed.rows["gallery"].tolist()[:5] == ROWS["gallery"].tolist()
    assert given_rows(changed)["id"].tolist() == ROWS["id"].tolist()
    assert (has_changed_rows(changed), has_changed_rows(SHOP)) == (True, False)


def test_a_catalogue_with_a_column_of_that_name_stays() -> None:
    own = Catalog(rows=ROWS.assign(**{PICTURE: "mine"}), root=Path(), folder=Path("shop"))
    assert with_changed_rows(own) is own

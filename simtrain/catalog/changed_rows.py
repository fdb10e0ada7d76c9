"""Changed copies of a catalogue's pictures as rows of their own, for evaluation without products and labels."""

from dataclasses import replace

import pandas as pd

from simtrain.catalog.table import NEAR_DUPLICATES, Catalog

PICTURE = "picture"
"""Column whose equal values are pictures of one original: it and its changed copy, and near copies of it."""

CHANGE = "picture_change"
"""Column that is true in rows of changed copies."""

_JUDGED = ("val", "test")
_UNKNOWN = ("product", "label", "caption", "duplicate_group", "pixel_sha256", NEAR_DUPLICATES)


def has_changed_rows(catalog: Catalog) -> bool:
    """Whether changed copies are among its rows."""
    return CHANGE in catalog.rows.columns


def given_rows(catalog: Catalog) -> pd.DataFrame:
    """Its rows without changed copies."""
    return catalog.rows[~catalog.rows[CHANGE]] if has_changed_rows(catalog) else catalog.rows


def with_changed_rows(catalog: Catalog) -> Catalog:
    """The same catalogue with a changed copy of each `gallery` image of val and test, after all other rows.

    The copies are the queries of their split, and the images that they were made of its gallery; equal values of
    `PICTURE` are right answers. A catalogue with a column of that name stays as it is.
    """
    if PICTURE in catalog.rows.columns:
        return catalog
    rows = catalog.rows
    exact = rows["pixel_sha256"] if "pixel_sha256" in rows.columns else rows["sha256"]
    original = rows["id"] if NEAR_DUPLICATES not in rows.columns else rows[NEAR_DUPLICATES].fillna(rows["id"])
    judged = rows["split"].isin(_JUDGED)
    given = rows.copy()
    given["pixel_sha256"], given[PICTURE], given[CHANGE] = exact, original, False
    given["query"] = rows["query"] & ~judged
    changed = given[judged & rows["gallery"]].copy()
    for name in (one for one in _UNKNOWN if one in changed.columns):
        changed[name] = pd.Series([None] * len(changed), dtype="str", index=changed.index)
    changed["id"] += " (changed)"
    changed[CHANGE], changed["query"], changed["gallery"] = True, True, False
    return replace(catalog, rows=pd.concat([given, changed], ignore_index=True))

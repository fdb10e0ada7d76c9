"""Families: columns whose equal values keep different products on one side of the split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from simtrain.catalog.sources.alike import comparable_values
from simtrain.catalog.sources.source import text_of
from simtrain.phrases import counted, joined, quoted, shortened

_LARGEST_SHARE = 0.5
_CHARACTERS = 60


def family_values(rows: pd.DataFrame, columns: Sequence[str], *, nothing: Sequence[str]) -> dict[str, list[str | None]]:
    """Column -> value of each image as `COLUMN=VALUE`, equal where a person reads the values as equal.

    Args:
        rows: Images of a source.
        columns: Columns of `rows`.
        nothing: Words that stand for nothing, in any case: such an image is tied to no other.

    Raises:
        CatalogError: for a column of lists and the like.
    """
    found = {}
    for column in columns:
        texts = [text_of(value, where=f"columns.group: column '{column}'") for value in rows[column].tolist()]
        values = comparable_values(texts, nothing=nothing)
        found[column] = [None if value is None else f"{column}={value}" for value in values]
    return found


def family_findings(
    groups: Sequence[str], *, families: Mapping[str, Sequence[str | None]], products: Sequence[str | None]
) -> list[dict[str, Any]]:
    """How many groups the families make and how large the largest is; a warning where it has over half of the images.

    Args:
        groups: Key of each image's group.
        families: Column -> value of each image, as `family_values` gives them.
        products: Product of each image, or None.
    """
    if not families:
        return []
    columns = joined([quoted(column) for column in families])
    tied = [row for row, own in enumerate(zip(*families.values(), strict=True)) if any(own)]
    if not tied:
        message = f"columns.group: no image has a value in {columns}, so no products are kept together"
        return [{"kind": "families_tie_most", "groups": 0, "images": 0, "message": message}]
    sizes = Counter(groups[row] for row in tied)
    largest = max(sizes, key=lambda group: (sizes[group], group))
    members = {row for row, group in enumerate(groups) if group == largest}
    of_products = len({products[row] for row in members} - {None})
    sized = counted(len(members), "image") + (f" of {counted(of_products, 'product')}" if of_products else "")
    without = len(groups) - len(tied)
    numbers = {"groups": len(sizes), "images": len(members), "products": of_products, "without": without}
    if len(members) > _LARGEST_SHARE * len(groups):
        shared = Counter(
            own for values in families.values() for row, own in enumerate(values) if own and row in members
        )
        value, images = max(shared.items(), key=lambda item: (item[1], item[0]))
        message = (
            f"columns.group: {columns} ties {sized} together, of {len(groups)} images in all, and one split gets them "
            f"whole; {counted(images, 'image')} by {quoted(shortened(value, to=_CHARACTERS))}"
        )
        return [{"kind": "families_tie_most", **numbers, "message": message}]
    told = f"; {counted(without, 'image has', 'images have')} no value" if without else ""
    message = (
        f"kept on one side of the split by {columns}: {counted(len(sizes), 'group')}, the largest of {sized}{told}"
    )
    return [{"kind": "families", **numbers, "message": message}]

"""Findings about products."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from simtrain.phrases import counted, listed


def images_without_product(ids: Sequence[str], products: Sequence[str | None]) -> list[dict[str, Any]]:
    """A finding of the images that have no product where others have one; none where all have one, or none has.

    Args:
        ids: Id of each image.
        products: Product of each image, or None.
    """
    without = [name for name, product in zip(ids, products, strict=True) if product is None]
    if not without or len(without) == len(products):
        return []
    have = "has" if len(without) == 1 else "have"
    message = (
        f"{len(without)} of {counted(len(products), 'image')} {have} no product, such as {listed(without)}: they are "
        "no right answers by product, and no positives"
    )
    return [{"kind": "images_without_product", "ids": without, "message": message}]


def product_findings(products: Sequence[str | None], *, labels: Sequence[str | None]) -> list[dict[str, Any]]:
    """A finding where no product has a second image: none can be found by another of its own.

    Args:
        products: Product of each image, or None.
        labels: Class of each image, or None; whether there is any decides what is advised.
    """
    counts = Counter(product for product in products if product is not None)
    if len(counts) < 2 or max(counts.values()) > 1:
        return []
    way = (
        "evaluate and train by label: --set relevance=label"
        if any(label is not None for label in labels)
        else "add images, or name a column for the label: --set columns.label=NAME"
    )
    message = f"each of the {len(counts)} products has one image, so none can be found by another of its own; {way}"
    return [{"kind": "products_of_one_image", "images": sum(counts.values()), "message": message}]

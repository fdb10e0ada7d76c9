"""Findings about products, and images without product, label or split."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from simtrain.phrases import counted, listed


def images_without(
    what: Literal["product", "label", "split"], ids: Sequence[str], values: Sequence[str | None]
) -> list[dict[str, Any]]:
    """A finding of the images without a product, label or split where others have one; none where all or none have.

    Args:
        what: What is looked for.
        ids: Id of each image.
        values: Product, label or split of each image by the source, or None.
    """
    without = [name for name, value in zip(ids, values, strict=True) if value is None]
    if not without or len(without) == len(values):
        return []
    have = "has" if len(without) == 1 else "have"
    then = f"they are no right answers by {what}, and no positives"
    if what == "split":
        then = "they count as train"
    message = f"{len(without)} of {counted(len(values), 'image')} {have} no {what}, such as {listed(without)}: {then}"
    return [{"kind": f"images_without_{what}", "ids": without, "message": message}]


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

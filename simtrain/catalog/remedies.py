"""Records of what `prepare` mended: copies set aside, products that the given splits had cut."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.split import FAMILY, Split
from simtrain.phrases import counted


def groups_across_splits(split: Split, *, groups: list[str], ids: list[str]) -> list[dict[str, Any]]:
    """The products (open set: classes) that the source had cut, if any."""
    if not split.straddling:
        return []
    cut = set(split.straddling)
    tied = any(group.startswith(FAMILY) for group in cut)
    one, many = (
        ("product, family or class", "products, families or classes")
        if tied
        else ("product or class", "products or classes")
    )
    first_id = dict(zip(reversed(groups), reversed(ids), strict=True))
    return [
        {
            "kind": "groups_across_splits",
            "groups": len(split.straddling),
            "moved_images": split.moved,
            "names": [group.partition(":")[2] for group in split.straddling],
            "examples": [first_id[group] for group in split.straddling[:5]],
            "ids": [identifier for identifier, group in zip(ids, groups, strict=True) if group in cut],
            "message": f"{counted(len(cut), one, many)} stood in several splits; "
            f"{counted(split.moved, 'image was', 'images were')} moved so that each is whole in the strictest",
            "of": "product, family or picture" if tied else "product or picture",
            "reason": f"images of one product{' or family' if tied else ''} (open set: class) stood in several splits; "
            "each went whole to test, else to val",
        }
    ]


def copies_set_aside(
    ids: list[str],
    aside: NDArray[np.bool_],
    *,
    clusters: list[str],
    sides: list[str],
    products: list[str | None],
) -> list[dict[str, Any]]:
    """The copies that are left out, if any, each with the copy that is kept.

    Args:
        ids: Id of each image, N of them.
        aside: (N,) whether an image is left out.
        clusters: Key of each image, equal for copies of one image.
        sides: Split that each image would have been in.
        products: Product of each image, or None.
    """
    if not aside.any():
        return []
    kept_copy: dict[str, str] = {}
    for identifier, cluster, out in zip(ids, clusters, aside, strict=True):
        if not out:
            kept_copy.setdefault(cluster, identifier)
    rows = np.flatnonzero(aside)
    kept_products = {product for product, out in zip(products, aside, strict=True) if not out}
    gone = sorted({product for product in products if product is not None} - kept_products)
    vanished = f"; {counted(len(gone), 'product loses', 'products lose')} all images" if gone else ""
    return [
        {
            "kind": "set_aside",
            "ids": [ids[row] for row in rows],
            "message": f"{counted(len(rows), 'image is a copy', 'images are copies')} of images in a stricter split; "
            f"left out of the catalogue{vanished}",
            "products_gone": gone,
            "copies_of": [kept_copy[clusters[row]] for row in rows],
            "splits": [sides[row] for row in rows],
            "reason": "a copy of each is in a stricter split (test before val before train), and training or choosing "
            "on it would spoil the figures; they are left out of the catalogue",
        }
    ]


def remedies(
    unreadable: list[str], *, set_aside: list[str], copies: list[str | None], near: Sequence[object], fix: bool
) -> list[dict[str, Any]]:
    """What was done: files left out, duplicates grouped, copies set aside.

    Args:
        unreadable: Ids of files that cannot be read as images.
        set_aside: Ids of copies that are left out.
        copies: Duplicate group of each image, or None.
        near: Pairs of near duplicates.
        fix: Whether near duplicates were grouped too.
    """
    grouped = [group for group in copies if group is not None]
    fixes: list[dict[str, Any]] = []
    if unreadable:
        message = f"{counted(len(unreadable), 'file')} that cannot be read left out of the catalogue"
        fixes.append({"kind": "dropped_unreadable", "message": message, "ids": unreadable})
    if grouped:
        copies_are = "exact and near" if fix and near else "exact"
        groups, images = counted(len(set(grouped)), "group"), counted(len(grouped), "image")
        message = f"{images} in {groups} of {copies_are} duplicates (column duplicate_group)"
        fixes.append(
            {
                "kind": "grouped_duplicates",
                "message": message,
                "near": fix,
                "groups": len(set(grouped)),
                "images": len(grouped),
            }
        )
    if set_aside:
        message = f"{counted(len(set_aside), 'copy', 'copies')} of images in a stricter split left out of the catalogue"
        fixes.append({"kind": "set_aside_copies", "message": message, "ids": set_aside})
    return fixes

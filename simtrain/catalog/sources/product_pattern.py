"""Products from paths by a regular expression, and an account of the paths that it does not fit."""

import re
from collections.abc import Sequence
from typing import Any

from simtrain.errors import CatalogError
from simtrain.phrases import counted, listed

_LARGEST_SHARE_MISSED = 0.2


def products_from_paths(
    paths: Sequence[str], *, ids: Sequence[str], pattern: str
) -> tuple[list[str | None], list[dict[str, Any]]]:
    """The product that a regular expression with one group finds in each path, and findings.

    A path that it does not fit belongs to a product that is found elsewhere, where it begins as that product's paths
    do: `hat.jpg`, `hat-2.JPG` and `hat2.png` to `hat` of `hat_1.jpg`, but not `hats.jpg`. Otherwise no product of the
    name would be whole in one split. What is left has no product, which is told.

    Raises:
        CatalogError: if the expression is invalid, has not exactly one group, matches no path at all, or leaves more
            than a fifth of the images without a product.
    """
    expression = _compiled(pattern)
    matches = [expression.search(path) for path in paths]
    products = [(match.group(1) or None) if match else None for match in matches]
    missed = [row for row, product in enumerate(products) if product is None]
    if len(missed) == len(paths):
        raise CatalogError(f"product_pattern '{pattern}': matches none of the {len(paths)} paths, such as '{paths[0]}'")
    beginnings = {
        path[: match.end(1)].casefold(): match.group(1)
        for path, match in zip(paths, matches, strict=True)
        if match is not None and match.group(1)
    }
    for row in missed:
        products[row] = _product_of_beginning(paths[row], beginnings)
    left = [row for row in missed if products[row] is None]
    if len(left) > _LARGEST_SHARE_MISSED * len(paths):
        fits = next(path for path, product in zip(paths, products, strict=True) if product is not None)
        raise CatalogError(
            f"product_pattern '{pattern}': leaves {len(left)} of {counted(len(paths), 'image')} without a product, "
            "such "
            f"as {listed([paths[row] for row in left])}; it fits '{fits}'. At most a fifth may be left: widen the "
            "pattern"
        )
    if not missed:
        return products, []
    finding = {"ids": [ids[row] for row in missed], "without_product": [ids[row] for row in left]}
    message = _message(paths, pattern, missed=missed, left=left)
    return products, [{"kind": "product_pattern_missed", **finding, "message": message}]


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise CatalogError(f"product_pattern '{pattern}': not a regular expression: {error}") from None
    if expression.groups != 1:
        raise CatalogError(
            f"product_pattern '{pattern}': has {expression.groups} groups; put (round brackets) around the "
            "product and use (?:…) for anything else"
        )
    return expression


def _product_of_beginning(path: str, beginnings: dict[str, str]) -> str | None:
    """The product of the longest beginning of a path that ends where a word or a number ends."""
    folded = path.casefold()
    for end in range(len(folded) - 1, 0, -1):
        if _sort(folded[end - 1]) != _sort(folded[end]) and folded[:end] in beginnings:
            return beginnings[folded[:end]]
    return None


def _sort(character: str) -> str:
    return "letter" if character.isalpha() else "digit" if character.isdigit() else character


def _message(paths: Sequence[str], pattern: str, *, missed: list[int], left: list[int]) -> str:
    joined = sorted(set(missed) - set(left))
    told = [f"product_pattern '{pattern}' does not fit {len(missed)} of {counted(len(paths), 'image')}"]
    if joined:
        examples = listed([paths[row] for row in joined])
        told.append(f"{len(joined)} begin as a product's others do and go with it, such as {examples}")
    if left:
        have = "has" if len(left) == 1 else "have"
        told.append(f"{len(left)} {have} no product, such as {listed([paths[row] for row in left])}")
    return "; ".join(told)

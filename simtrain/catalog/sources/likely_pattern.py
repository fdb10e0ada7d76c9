"""Products that file names follow a pattern of, such as `SKU10042_3.png`: a product, a sign and the view's number."""

import posixpath
import re
import shlex
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from simtrain.phrases import counted

_NUMBER, _LETTER = r"\d+", "[A-Za-z]"
_WORD = "(?:front|back|side|left|right|top|bottom|detail|main|alt|view|angle)"
_VIEWS = (
    rf"[-_]{_NUMBER}",
    rf" ?\({_NUMBER}\)",
    rf"[-_]{_LETTER}",
    rf"[-_]{_WORD}[-_]?\d*",
    rf"[ .]{_NUMBER}",
)
"""What stands between product and suffix, the most usual first."""

_LEAST_FITTING = 0.8  # `products_from_paths` refuses a pattern that leaves more than a fifth
_LEAST_SEVERAL = 0.5  # share of the products that have two images or more
_MOST_IMAGES = 40  # of a product, as a rule; more are classes or films
_LEAST_PRODUCTS = 3
_NUMBERED = 0.8  # share of the products whose views are numbered from 0 or 1 on, with few gaps


@dataclass(frozen=True, kw_only=True)
class LikelyPattern:
    """A pattern that file names follow.

    Attributes:
        pattern: Value of `product_pattern`.
        example: A path that it fits, of a product with as many images as most.
        products: Number of products that it gives.
        images_per_product: Median number of images of a product.
        fitting: Number of images that it fits.
    """

    pattern: str
    example: str
    products: int
    images_per_product: int
    fitting: int


def likely_pattern(paths: Sequence[str]) -> LikelyPattern | None:
    """The pattern that four fifths of the file names follow, most products with several views; None: there is none.

    Names that count the images of a class or a whole folder (`image_0001.jpg`) are no products, nor are the folders
    themselves.

    Args:
        paths: Relative paths of the images.
    """
    for view in _VIEWS:
        within = _products(paths, view)
        found = None if within is None else _pattern(paths, view, within)
        if found is not None:
            return found
    return None


def likely_pattern_findings(paths: Sequence[str]) -> list[dict[str, Any]]:
    """A finding with the setting that takes the pattern; none where file names follow none."""
    found = likely_pattern(paths)
    if found is None:
        return []
    setting = f"product_pattern={found.pattern}"
    left = len(paths) - found.fitting
    others = f"; {counted(left, 'image has another name', 'images have other names')}" if left else ""
    message = (
        f"file names look like {posixpath.basename(found.example)}: {counted(found.products, 'product')} of "
        f"{counted(found.images_per_product, 'picture')}{others}; to take them: --set {shlex.quote(setting)}"
    )
    return [
        {
            "kind": "likely_product_pattern",
            "setting": setting,
            "products": found.products,
            "images": found.fitting,
            "message": message,
        }
    ]


_Views = dict[tuple[str, str], list[tuple[str, str]]]
"""Folder and beginning of a file's name -> what names each view, and its path."""


def _products(paths: Sequence[str], view: str) -> _Views | None:
    """The views of each product of each folder; None where too few names are so."""
    expression = re.compile(rf"^(.+?)({view})\.\w+$")
    views: _Views = defaultdict(list)
    others = []
    for path in paths:
        folder, name = posixpath.split(path)
        match = expression.match(name)
        if match is not None:
            views[folder, match.group(1)].append((match.group(2), path))
        else:
            others.append(((folder, posixpath.splitext(name)[0]), path))
    first_views = [(key, path) for key, path in others if key in views]  # hat.jpg beside hat_2.jpg and hat_3.jpg
    for key, path in first_views:
        views[key].append(("", path))
    left = len(others) - len(first_views)
    return views if views and left <= (1 - _LEAST_FITTING) * len(paths) else None


def _pattern(paths: Sequence[str], view: str, views: _Views) -> LikelyPattern | None:
    by_name: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for (_, name), own in views.items():
        by_name[name] += own
    # One name and view in two folders: they hold different products of one name.
    clash = any(len({view for view, _ in own}) < len(own) for own in by_name.values())
    groups = list(views.values()) if clash else list(by_name.values())
    sizes = [len(group) for group in groups]
    folders = len({posixpath.dirname(path) for path in paths})
    several = [group for group in groups if len(group) > 1]
    if (
        len(groups) < max(_LEAST_PRODUCTS, 1.5 * folders)
        or len(several) < _LEAST_SEVERAL * len(groups)
        or median(sizes) > _MOST_IMAGES
        or sum(map(_is_numbered, several)) < _NUMBERED * len(several)
    ):
        return None
    pattern = rf"^(.+){view}\.\w+$" if clash else rf"([^/]+){view}\.\w+$"
    expression = re.compile(pattern)
    return LikelyPattern(
        pattern=pattern,
        example=_example(groups, expression),
        products=len(groups),
        images_per_product=int(median(sizes)),
        fitting=sum(sizes),
    )


def _example(groups: Sequence[Sequence[tuple[str, str]]], expression: re.Pattern[str]) -> str:
    """The last view of the first product that has as many as most."""
    usual = median(len(group) for group in groups)
    nearest = min(groups, key=lambda group: abs(len(group) - usual))
    return [path for _, path in nearest if expression.search(path)][-1]


def _is_numbered(views: Sequence[tuple[str, str]]) -> bool:
    """Whether the numbers of a product's views begin near 1 and have few gaps; letters and words always do."""
    numbers = [int(digits.group()) for view, _ in views if (digits := re.search(r"\d+", view)) is not None]
    return max(numbers, default=0) <= 2 * len(views) + 1

"""Rendered pictures of products."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from simtrain.synthetic import (
    CATEGORIES,
    COLORS,
    SyntheticProduct,
    render_view,
    synthetic_products,
)

SIZE = 64


def product_mask(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels of a catalogue shot darker than its ground, less their edge; a little shadow among them does no harm."""
    darker = (picture.min(axis=2) < 238).astype(np.uint8)
    return cv2.erode(darker, np.ones((3, 3), np.uint8)).astype(bool)


def plausible_names(red: float, green: float, blue: float) -> set[str]:
    """The colour names a person may give a colour, from hue, saturation and value alone."""
    value, low = max(red, green, blue), min(red, green, blue)
    saturation = (value - low) / max(value, 1.0)
    hue = math.degrees(math.atan2(math.sqrt(3) * (green - blue), 2 * red - green - blue)) % 360
    names = set()
    if saturation < 0.22:
        names |= {"black"} if value < 80 else set()
        names |= {"grey"} if 60 < value < 190 else set()
        names |= {"silver"} if value > 120 else set()
        names |= {"white"} if value > 165 else set()
    if saturation > 0.14:
        ranges = {
            "red": (-20, 18), "brown": (10, 42), "orange": (14, 42), "yellow": (38, 62), "green": (70, 175),
            "blue": (185, 245), "purple": (248, 300), "pink": (310, 350),
        }  # fmt: skip
        names |= {name for name, (start, end) in ranges.items() if (hue - start) % 360 <= end - start}
    return names


def test_the_same_arguments_give_the_same_products_and_pictures() -> None:
    first, second = synthetic_products(20, seed=3), synthetic_products(20, seed=3)
    assert first == second
    for one, other in zip(first[:4], second[:4], strict=True):
        picture = render_view(one, view=2, size=SIZE, seed=5)
        # Drawing something else in between empties the cache of built products.
        for stranger in synthetic_products(12, seed=99):
            render_view(stranger, view=0, size=32, seed=5)
        assert np.array_equal(picture, render_view(other, view=2, size=SIZE, seed=5))


def test_global_random_state_is_neither_read_nor_changed() -> None:
    product = synthetic_products(1, seed=0)[0]
    np.random.seed(1)
    expected = np.random.random()
    np.random.seed(1)
    first = render_view(product, view=1, size=SIZE, seed=0)
    assert np.random.random() == expected
    assert np.array_equal(first, render_view(product, view=1, size=SIZE, seed=0))


def test_views_differ_from_each_other_and_siblings_from_siblings() -> None:
    products = synthetic_products(2 * len(CATEGORIES), seed=6)
    for product in products[:: len(CATEGORIES) // 4]:
        first, second, third = (render_view(product, view=view, size=SIZE, seed=6).astype(float) for view in range(3))
        assert min(np.abs(first - second).mean(), np.abs(second - third).mean()) > 8.0
    mugs = [product for product in products if product.category == "mug"]
    one, other = (render_view(mug, view=0, size=SIZE, seed=6).astype(float) for mug in mugs)
    assert np.abs(one - other).mean() > 2.0


def test_the_catalogue_shot_fills_a_sane_share_of_a_white_frame() -> None:
    for product in synthetic_products(3 * len(CATEGORIES), seed=2):
        picture = render_view(product, view=0, size=SIZE, seed=2)
        assert picture.shape == (SIZE, SIZE, 3)
        assert picture.dtype == np.uint8
        corners = picture[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert corners[:2].min() > 240, product
        # White products are told from the ground by their shading only, so any pixel below it counts.
        rows, columns = np.nonzero(picture.min(axis=2) < 246)
        assert 0.6 * SIZE < max(np.ptp(rows), np.ptp(columns)) < SIZE, product
        assert 0.05 < len(rows) / SIZE**2 < 0.8, product


def test_snapshots_are_neither_black_nor_burnt() -> None:
    for product in synthetic_products(40, seed=12):
        picture = render_view(product, view=3, size=SIZE, seed=12).astype(float)
        assert 40.0 < picture.mean() < 252.0, product
        assert picture.std() > 8.0, product


def test_plain_products_show_the_color_they_are_named_after() -> None:
    # A chair is mostly legs, a bookshelf mostly books, a clock mostly dial: the rule holds for closed bodies.
    solid = {"bottle", "handbag", "hat", "mug", "suitcase", "teapot", "vase"}
    products = [p for p in synthetic_products(300, seed=5) if p.category in solid and p.pattern == "plain"]
    right: list[SyntheticProduct] = []
    for product in products:
        picture = render_view(product, view=0, size=SIZE, seed=5)
        red, green, blue = np.median(picture[product_mask(picture)], axis=0)
        if product.color in plausible_names(float(red), float(green), float(blue)):
            right.append(product)
    assert len(products) >= 50
    assert len(right) / len(products) > 0.85
    assert {product.color for product in right} == set(COLORS)

import csv
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from simtrain.synthetic import (
    CATEGORIES,
    COLORS,
    SyntheticProduct,
    render_view,
    synthetic_products,
    write_synthetic_catalog,
)

SIZE = 64


def digest(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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


def test_a_longer_catalogue_begins_with_the_shorter_one() -> None:
    assert synthetic_products(50, seed=1)[:17] == synthetic_products(17, seed=1)


def test_another_seed_gives_another_catalogue() -> None:
    assert [p.title for p in synthetic_products(20, seed=1)] != [p.title for p in synthetic_products(20, seed=2)]


def test_global_random_state_is_neither_read_nor_changed() -> None:
    product = synthetic_products(1, seed=0)[0]
    np.random.seed(1)
    expected = np.random.random()
    np.random.seed(1)
    first = render_view(product, view=1, size=SIZE, seed=0)
    assert np.random.random() == expected
    assert np.array_equal(first, render_view(product, view=1, size=SIZE, seed=0))


def test_categories_are_balanced_and_all_colors_appear() -> None:
    products = synthetic_products(10 * len(CATEGORIES), seed=4)
    counts = {category: sum(product.category == category for product in products) for category in CATEGORIES}
    assert len(CATEGORIES) >= 10
    assert set(counts.values()) == {10}
    assert COLORS == (
        "black", "blue", "brown", "green", "grey", "orange", "pink", "purple", "red", "silver", "white", "yellow"
    )  # fmt: skip
    assert {product.color for product in products} == set(COLORS)


def test_most_products_have_a_sibling_of_the_same_category_and_color() -> None:
    products = synthetic_products(4 * len(CATEGORIES), seed=9)
    looks = [(product.category, product.color) for product in products]
    assert all(looks.count(look) >= 2 for look in looks)


def test_ids_are_unique_and_titles_name_what_is_shown() -> None:
    products = synthetic_products(150, seed=8)
    assert len({product.product for product in products}) == 150
    for product in products:
        words = product.title.lower().split()
        assert {product.color, product.category, product.accent_color} <= set(words)
        assert (product.pattern in words) == (product.pattern != "plain")
        assert product.accent_color != product.color
        assert product.price > 0


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


def test_the_folder_holds_every_picture_and_a_manifest_of_them(tmp_path: Path) -> None:
    manifest = write_synthetic_catalog(tmp_path / "shop", products=16, views=3, size=48, seed=1, workers=1)
    assert manifest == tmp_path / "shop" / "manifest.csv"
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["path", "product", "label", "caption", "color", "accent_color", "pattern", "price", "view"]
    assert list(rows[0]) == names
    assert len(rows) == 16 * 3
    assert {row["path"] for row in rows} == {
        path.relative_to(manifest.parent).as_posix() for path in manifest.parent.rglob("*.jpg")
    }
    products = {product.product: product for product in synthetic_products(16, seed=1)}
    for row in rows:
        product = products[row["product"]]
        assert row["path"] == f"{product.category}/{product.product}_{row['view']}.jpg"
        assert (row["label"], row["caption"], row["color"]) == (product.category, product.title, product.color)
        assert float(row["price"]) == pytest.approx(product.price)
    picture = cv2.imread(str(manifest.parent / rows[0]["path"]))
    assert picture is not None
    # JPEG at quality 95 moves a pixel by a few levels; swapped channels would move it by far more.
    drawn = render_view(products[rows[0]["product"]], view=0, size=48, seed=1)
    assert np.abs(picture[:, :, ::-1].astype(float) - drawn).mean() < 4.0


def test_the_files_depend_neither_on_workers_nor_on_the_count(tmp_path: Path) -> None:
    for name, products, workers in (("one", 6, 1), ("two", 6, 2), ("more", 9, 1)):
        write_synthetic_catalog(tmp_path / name, products=products, views=2, size=32, seed=7, workers=workers)
    one, two, more = (digest(tmp_path / name) for name in ("one", "two", "more"))
    assert len(one) == 6 * 2 + 1
    assert one == two
    pictures = set(one) - {"manifest.csv"}
    assert all(more[name] == one[name] for name in pictures)


def test_a_killed_run_leaves_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_synthetic_catalog(tmp_path, products=2, views=1, size=32, seed=0, workers=1)

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("simtrain.synthetic.writer.render_view", fail)
    with pytest.raises(KeyboardInterrupt):
        write_synthetic_catalog(tmp_path, products=3, views=1, size=32, seed=0, workers=1)
    assert not (tmp_path / "manifest.csv").exists()


def test_numbers_out_of_range_are_refused(tmp_path: Path) -> None:
    product = synthetic_products(1, seed=0)[0]
    with pytest.raises(ValueError, match=r"^synthetic_products: count is 0; it must be at least 1$"):
        synthetic_products(0, seed=0)
    with pytest.raises(ValueError, match=r"^synthetic_products: seed is -1; it must be at least 0$"):
        synthetic_products(1, seed=-1)
    with pytest.raises(ValueError, match=r"^render_view: size is 31; it must lie in 32\.\.1024$"):
        render_view(product, view=0, size=31, seed=0)
    with pytest.raises(ValueError, match=r"^view_scene: view is -1; it must be at least 0$"):
        render_view(product, view=-1, size=32, seed=0)
    with pytest.raises(ValueError, match=r"^view_scene: seed is -2; it must be at least 0$"):
        render_view(product, view=0, size=32, seed=-2)
    for name in ("views", "workers"):
        numbers = {"products": 1, "views": 1, "size": 32, "seed": 0, "workers": 1} | {name: 0}
        with pytest.raises(ValueError, match=rf"^write_synthetic_catalog: {name} is 0; it must be at least 1$"):
            write_synthetic_catalog(tmp_path, **numbers)
    with pytest.raises(ValueError, match=r"^write_synthetic_catalog: size is 2000; it must lie in 32\.\.1024$"):
        write_synthetic_catalog(tmp_path, products=1, views=1, size=2000, seed=0, workers=1)
    assert list(tmp_path.iterdir()) == []

"""Products of the catalogue: balanced, named and told apart."""

from simtrain.synthetic import (
    CATEGORIES,
    COLORS,
    synthetic_products,
)


def test_a_longer_catalogue_begins_with_the_shorter_one() -> None:
    assert synthetic_products(50, seed=1)[:17] == synthetic_products(17, seed=1)


def test_another_seed_gives_another_catalogue() -> None:
    assert [p.title for p in synthetic_products(20, seed=1)] != [p.title for p in synthetic_products(20, seed=2)]


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

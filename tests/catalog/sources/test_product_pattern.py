"""Products from paths by a pattern."""

import pytest

from simtrain.catalog.sources.product_pattern import products_from_paths
from simtrain.errors import CatalogError

README = r"([^/]+)[-_]\d+\.\w+$"


def many(count: int) -> list[str]:
    return [f"hats/hat{number}_{view}.jpg" for number in range(count) for view in range(2)]


def test_paths_that_begin_as_a_products_others_do_go_with_it() -> None:
    paths = [*many(10), "hats/hat3.jpg", "hats/HAT4_b.png", "hats/hat5front.jpg"]
    products, told = products_from_paths(paths, ids=paths, pattern=r"([^/]+)_\d+\.jpg$")
    assert products[-3:] == ["hat3", "hat4", "hat5"]
    (finding,) = told
    assert (finding["ids"], finding["without_product"]) == (paths[-3:], [])


def test_another_products_number_is_no_beginning() -> None:
    paths = [*many(10), "hats/hat33.jpg", "hats/hatter.jpg"]
    products, told = products_from_paths(paths, ids=paths, pattern=README)
    assert products[-2:] == [None, None]
    assert told[0]["message"] == (
        f"product_pattern '{README}' does not fit 2 of 22 images; 2 have no product, such as 'hats/hat33.jpg' and "
        "'hats/hatter.jpg'"
    )


def test_more_than_a_fifth_without_a_product_is_refused() -> None:
    paths = [*many(4), "a.jpg", "b.jpg", "c.jpg"]
    with pytest.raises(CatalogError) as told:
        products_from_paths(paths, ids=paths, pattern=README)
    assert str(told.value) == (
        f"product_pattern '{README}': leaves 3 of 11 images without a product, such as 'a.jpg', 'b.jpg' and 'c.jpg'; "
        "it "
        "fits 'hats/hat0_0.jpg'. At most a fifth may be left: widen the pattern"
    )


def test_a_fifth_is_not_refused() -> None:
    paths = [*many(2), "z.jpg"]
    products, _ = products_from_paths(paths, ids=paths, pattern=README)
    assert products == ["hat0", "hat0", "hat1", "hat1", None]


@pytest.mark.parametrize("name", ["mug_1.PNG", "mug-22.webp", "mug_1.jpeg"])
def test_the_readmes_pattern_fits_any_suffix(name: str) -> None:
    assert products_from_paths([name], ids=[name], pattern=README) == (["mug"], [])

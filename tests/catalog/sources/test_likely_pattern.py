"""Patterns that file names follow, and names that only look like it."""

import re

import pytest

from simtrain.catalog.sources.likely_pattern import likely_pattern, likely_pattern_findings
from simtrain.catalog.sources.product_pattern import products_from_paths


def views(count: int, *names: str, folder: str = "") -> list[str]:
    return [f"{folder}{name.replace('N', str(number))}" for number in range(count) for name in names]


FOLLOWED = [
    (views(40, "SKUN_1.png", "SKUN_2.jpg", "SKUN_3.webp"), 40, 3),
    (views(40, "hats/N-1.png", "hats/N-2.png") + views(40, "mugs/N-1.png", "mugs/N-2.png"), 80, 2),
    (views(40, "train/N_1.png", "test/N_2.png"), 40, 2),
    (views(40, "mug N (1).png", "mug N (2).png"), 40, 2),
    (views(40, "mugN-a.png", "mugN-b.png"), 40, 2),
    (views(40, "mugN_front.png", "mugN_back.png"), 40, 2),
    (views(40, "mugN.png", "mugN_2.png", "mugN_3.png"), 40, 3),
    (views(40, "mugN.1.png", "mugN.2.png"), 40, 2),
]


@pytest.mark.parametrize(("paths", "products", "images"), FOLLOWED)
def test_a_pattern_gives_what_it_says(paths: list[str], products: int, images: int) -> None:
    found = likely_pattern(paths)
    assert found is not None
    assert (found.products, found.images_per_product, found.fitting) == (products, images, len(paths))
    assert re.search(found.pattern, found.example)
    given, told = products_from_paths(paths, ids=paths, pattern=found.pattern)
    assert len(set(given)) == products
    assert None not in given
    assert all(finding["without_product"] == [] for finding in told)


@pytest.mark.parametrize(
    "paths",
    [
        [],
        ["a_1.png"],
        [f"{label}/image_{number:04}.jpg" for label in "abcdefgh" for number in range(50)],  # counted in each class
        [f"IMG_{number}.jpg" for number in range(500)],  # counted in all
        [f"n{label}_{1000 + 37 * number}.jpg" for label in range(50) for number in range(30)],  # ImageNet
        [f"{label}.{number}.jpg" for label in ("cat", "dog") for number in range(200)],  # Kaggle
        [
            f"bird{label}/bird{label}_{number:04}_{9000 + number}.jpg" for label in range(9) for number in range(40)
        ],  # CUB
        [f"{label}/{number}.png" for label in "abc" for number in range(50)],
        views(40, "N_1.png") + [f"other{number}.png" for number in range(40)],  # half of them
    ],
)
def test_other_names_are_no_products(paths: list[str]) -> None:
    assert likely_pattern(paths) is None
    assert likely_pattern_findings(paths) == []


def test_the_setting_can_be_typed() -> None:
    paths = [*views(20, "SKUN_1.png", "SKUN_2.png"), "logo.png"]
    (finding,) = likely_pattern_findings(paths)
    assert finding["setting"] == r"product_pattern=([^/]+)[-_]\d+\.\w+$"
    assert finding["message"] == (
        "file names look like SKU0_2.png: 20 products of 2 pictures; 1 image has another name; to take them: "
        r"--set 'product_pattern=([^/]+)[-_]\d+\.\w+$'"
    )

"""Near duplicates planted among rendered products: the copies are found, and nothing else."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from simtrain.catalog.inspection.near_duplicates import FINGERPRINT_BYTES, fingerprint, near_duplicates
from simtrain.synthetic.products import synthetic_products
from simtrain.synthetic.render import render_view

Picture = NDArray[np.uint8]
PRODUCTS = 40
SIDE = 256


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    """One view of each product."""
    return [render_view(product, view=1, size=SIDE, seed=0) for product in synthetic_products(PRODUCTS, seed=0)]


def scaled(picture: Picture, factor: float) -> Picture:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=method))


def compressed(picture: Picture, quality: int) -> Picture:
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))


def cropped(picture: Picture, share: float) -> Picture:
    cut = round(share * SIDE)
    return picture[cut : SIDE - cut, cut : SIDE - cut]


def pairs_of(pictures: list[Picture], *, mirrored: bool = False) -> list[tuple[int, int, bool]]:
    fingerprints = np.stack([np.frombuffer(fingerprint(np.ascontiguousarray(one)), np.uint8) for one in pictures])
    found = near_duplicates(fingerprints, mirrored=mirrored, loose=False)
    assert all(0.5 <= pair.similarity <= 1 for pair in found)
    return [(pair.first, pair.second, pair.mirrored) for pair in found]


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: scaled(picture, 0.5),
        lambda picture: scaled(picture, 1.5),
        lambda picture: compressed(picture, 50),
        lambda picture: compressed(scaled(picture, 0.5), 50),
        lambda picture: cropped(picture, 0.025),
        lambda picture: cropped(picture, 0.05),
        lambda picture: picture[: -SIDE // 20, : -SIDE // 20],
    ],
    ids=["half", "larger", "q50", "half q50", "5 % of the sides", "5 % of each edge", "corner"],
)
def test_copies_are_found_and_nothing_else(pictures: list[Picture], change: Callable[[Picture], Picture]) -> None:
    copies = [change(picture) for picture in pictures[::2]]
    found = pairs_of([*pictures, *copies])
    planted = [(2 * number, PRODUCTS + number, False) for number in range(len(copies))]
    assert set(found) <= set(planted)
    assert len(found) >= 0.95 * len(planted)
    assert found == sorted(found)


def test_mirrored_copies_only_where_they_are_asked_for(pictures: list[Picture]) -> None:
    copies = [picture[:, ::-1] for picture in pictures[:20]]
    lopsided = [*pictures[:20], *copies]
    alike = pairs_of(lopsided)
    assert len(alike) <= 2  # what is nearly its own mirror image
    found = {(one, other) for one, other, _ in pairs_of(lopsided, mirrored=True)}
    assert {(number, 20 + number) for number in range(20)} <= found


def test_another_colour_is_another_picture(pictures: list[Picture]) -> None:
    recoloured = [np.ascontiguousarray(picture[:, :, [1, 2, 0]]) for picture in pictures[:20]]
    coloured = [
        number
        for number, picture in enumerate(pictures[:20])
        if np.abs(picture.astype(int) - recoloured[number]).mean() > 8
    ]
    assert len(coloured) >= 10
    found = pairs_of([*pictures[:20], *recoloured])
    assert not {(number, 20 + number) for number in coloured} & {(one, other) for one, other, _ in found}


def test_flat_pictures_have_no_copies() -> None:
    flat = [np.full((64, 64, 3), level, dtype=np.uint8) for level in (0, 128, 128, 255)]
    assert pairs_of(flat) == []


def test_nothing_and_one_have_no_pairs(pictures: list[Picture]) -> None:
    assert near_duplicates(np.empty((0, FINGERPRINT_BYTES), np.uint8), mirrored=False, loose=False) == []
    assert pairs_of(pictures[:1]) == []


def test_a_foreign_fingerprint_is_refused() -> None:
    with pytest.raises(ValueError, match=rf"fingerprints is \(2, 7\); it has to be \(N, {FINGERPRINT_BYTES}\)"):
        near_duplicates(np.zeros((2, 7), np.uint8), mirrored=False, loose=False)


def test_doubtful_pairs_come_only_on_request(pictures: list[Picture]) -> None:
    worn = [compressed(scaled(picture, 0.2), 20) for picture in pictures]
    fingerprints = np.stack([np.frombuffer(fingerprint(one), np.uint8) for one in [*pictures, *worn]])
    strict = {(pair.first, pair.second) for pair in near_duplicates(fingerprints, mirrored=False, loose=False)}
    loose = {(pair.first, pair.second) for pair in near_duplicates(fingerprints, mirrored=False, loose=True)}
    assert strict < loose

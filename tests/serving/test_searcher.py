"""Questions to a bundle."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simtrain.encoders.base import Encoder
from simtrain.errors import BundleError
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_writer import BundleContent, write_bundle
from simtrain.serving.searcher import Searcher
from simtrain.serving.torch_query_encoder import TorchQueryEncoder


def searcher_of(bundle: Bundle, factory: Callable[..., Encoder]) -> Searcher:
    encoder = TorchQueryEncoder(encoder=bundle.load_encoder(factory), device=torch.device("cpu"))
    return Searcher(bundle=bundle, encoder=encoder)


@pytest.fixture
def searcher(bundle: Bundle, factory: Callable[..., Encoder]) -> Searcher:
    return searcher_of(bundle, factory)


def test_neighbours_are_those_of_a_loop_over_the_embeddings(searcher: Searcher, shop: Any) -> None:
    names = shop.items["id"].tolist()
    own = shop.embeddings[names.index("p11")].astype(np.float64)
    similarities = {name: float(row.astype(np.float64) @ own) for name, row in zip(names, shop.embeddings, strict=True)}
    expected = sorted(names, key=lambda name: (-similarities[name], name))[:6]
    found = searcher.by_image(shop.picture("p11"), k=6)
    assert [neighbour.id for neighbour in found] == expected
    assert [neighbour.rank for neighbour in found] == [1, 2, 3, 4, 5, 6]
    assert [neighbour.similarity for neighbour in found] == pytest.approx([similarities[name] for name in expected])
    assert found[0].id == "p11"
    assert found[0].path == Path("11.png")


def test_a_neighbour_carries_its_items_columns_as_json_holds_them(searcher: Searcher, shop: Any) -> None:
    (found,) = searcher.by_image(shop.picture("p11"), k=1)
    assert (found.product, found.label, found.caption) == ("product 5", "chair", "a red one")
    assert found.other == {"query": False, "price": 16.5}
    (empty,) = searcher.by_image(shop.picture("p30"), k=1)
    assert (empty.product, empty.label, empty.caption) == (None, "lamp", None)
    assert empty.other == {"query": True, "price": None}
    json.dumps([asdict(found) | {"path": str(found.path)}], allow_nan=False)


def test_neighbours_carry_the_highest_precision_that_they_are_similar_enough_for(
    searcher: Searcher, content: BundleContent, factory: Callable[..., Encoder], shop: Any, tmp_path: Path
) -> None:
    plain = searcher.by_image(shop.picture("p11"), k=6)
    assert [found.precision for found in plain] == [None] * 6
    # Wanted: the similarities of the second and the fourth neighbour, one a rounding error above.
    levels = [
        {"wanted_precision": 0.9, "similarity": plain[3].similarity + 5e-7, "positives": 9, "negatives": 1},
        {"wanted_precision": 0.95, "similarity": plain[1].similarity, "positives": 19, "negatives": 1},
        {"wanted_precision": 0.99, "similarity": None, "positives": 0, "negatives": 0},
    ]
    thresholds = {"relevance": ["product"], "levels": levels}
    folder = write_bundle(
        replace(content, thresholds=thresholds, no_thresholds=None), tmp_path / "promising", formats=()
    )
    bundle = Bundle.open(folder)
    promising = searcher_of(bundle, factory)
    found = promising.by_image(shop.picture("p11"), k=6)
    assert [one.precision for one in found] == [0.95, 0.95, 0.9, 0.9, None, None]


def test_identical_pictures_come_in_the_order_of_their_ids(searcher: Searcher, shop: Any) -> None:
    first, second = searcher.by_image(shop.picture("p07"), k=2)
    assert (first.id, second.id) == ("p03", "p07")
    assert first.similarity == second.similarity


def test_more_than_all_are_all(searcher: Searcher, shop: Any) -> None:
    assert len(searcher.by_image(shop.picture("p00"), k=1000)) == 40


def test_several_pictures_are_answered_like_one_by_one(searcher: Searcher, shop: Any) -> None:
    names = sorted(shop.items["id"])[:35]  # more than one batch
    pictures = [shop.picture(name) for name in names]
    together = searcher.by_images(pictures, k=3)
    for picture, answer in zip(pictures, together, strict=True):
        assert [found.id for found in answer] == [found.id for found in searcher.by_image(picture, k=3)]
    assert searcher.by_images([], k=3) == []


def test_text_is_refused(searcher: Searcher, folder: Path) -> None:
    with pytest.raises(BundleError) as caught:
        searcher.by_text("red chair", k=3)
    assert str(caught.value) == f"{folder}: this bundle's encoder has no text tower; search it by image"


def test_what_is_no_picture_is_the_callers_mistake(searcher: Searcher, shop: Any) -> None:
    with pytest.raises(ValueError, match=r"^image is float64 of shape \(4, 4, 3\); allowed: uint8 of shape"):
        searcher.by_image(np.zeros((4, 4, 3)), k=1)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ValueError, match=r"^k is 0; allowed: 1 or more$"):
        searcher.by_image(shop.picture("p00"), k=0)

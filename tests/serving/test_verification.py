"""A bundle whose parts are each whole, but do not belong together, is found out."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import torch
from bundle_files import forge
from numpy.typing import NDArray

from simtrain.encoders.base import Encoder
from simtrain.errors import BundleError
from simtrain.serving.bundle_writer import BundleContent, IndexSettings, write_bundle
from simtrain.serving.stored_vectors import VectorType
from simtrain.serving.verification import verify_bundle

Check = Callable[[Path], int]
"""Verifies a bundle; number of its items whose images were looked at."""


def pictures_of(shop: Any) -> Callable[[int], NDArray[np.uint8]]:
    names = sorted(shop.items["id"])
    return lambda row: shop.picture(names[row])


@pytest.fixture
def verify(shop: Any, factory: Callable[..., Encoder]) -> Check:
    def check(folder: Path) -> int:
        looked_at, picture_of = set(), pictures_of(shop)

        def image(row: int) -> NDArray[np.uint8]:
            looked_at.add(row)
            return picture_of(row)

        verify_bundle(folder, images=image, network_factory=factory, rows=64, device=torch.device("cpu"))
        return len(looked_at)

    return check


@pytest.fixture
def mixed(shop: Any, content: BundleContent, make_encoder: Callable[..., Encoder]) -> Callable[..., BundleContent]:
    """A bundle's content with the embeddings of another encoder."""

    def make(**changes: Any) -> BundleContent:
        wrong = make_encoder(**changes)
        pixels = np.stack([wrong.preprocessing.pixels(shop.picture(name)) for name in shop.items["id"]])
        return replace(content, embeddings=wrong.embed_pixels(torch.from_numpy(pixels)).numpy())

    return make


def test_a_sound_bundle_passes_its_identical_pictures_included(verify: Check, folder: Path) -> None:
    assert verify(folder) == 40


@pytest.mark.parametrize("stored_as", ["float32", "float16"])
@pytest.mark.parametrize("factory_string", ["HNSW32", "SQ8", "IVF4,SQ8"])
def test_a_sound_approximate_bundle_passes(
    factory_string: str, stored_as: VectorType, verify: Check, content: BundleContent, tmp_path: Path
) -> None:
    index = IndexSettings(factory=factory_string, wanted_recall=0.99, stored_as=stored_as)
    assert verify(write_bundle(replace(content, index=index), tmp_path / "bundle", formats=())) == 40


@pytest.mark.parametrize(
    ("seed", "changes"),
    [(5, {}), (1, {"resize": "squash"}), (1, {"mean": (0.0, 0.0, 0.0)})],
    ids=["weights", "resize", "mean"],
)
def test_embeddings_of_another_encoder_or_preprocessing_are_found_out(
    seed: int, changes: dict[str, Any], verify: Check, mixed: Callable[..., BundleContent], tmp_path: Path
) -> None:
    folder = write_bundle(mixed(seed=seed, **changes), tmp_path / "bundle", formats=())
    start = f"^{re.escape(str(folder))}: the index's vector of 'p[0-9]+' is not what the encoder makes of its image: "
    with pytest.raises(BundleError, match=start):
        verify(folder)


def test_an_approximate_index_of_another_encoder_is_found_out(
    verify: Check, mixed: Callable[..., BundleContent], tmp_path: Path
) -> None:
    index = IndexSettings(factory="HNSW32", wanted_recall=0.99, stored_as="float16")
    folder = write_bundle(replace(mixed(seed=5), index=index), tmp_path / "bundle", formats=())
    with pytest.raises(BundleError, match=r"is not what the encoder makes of its image: they differ by .*: 0\.0005\)"):
        verify(folder)


def test_an_approximate_index_that_loses_its_items_is_found_out(
    verify: Check, content: BundleContent, tmp_path: Path
) -> None:
    index = IndexSettings(factory="IVF4,Flat", wanted_recall=0.99, stored_as="float32")
    folder = write_bundle(replace(content, index=index), tmp_path / "bundle", formats=())
    shuffled = faiss.index_factory(16, "IVF4,Flat", faiss.METRIC_INNER_PRODUCT)
    shuffled.train(content.embeddings)
    shuffled.add_with_ids(-content.embeddings, np.arange(40))  # the farthest seem to be the nearest
    faiss.write_index(shuffled, str(folder / "index.faiss"))
    forge(folder, lambda manifest: manifest["index"].update(search={"width": 4, "candidates": 10}))
    with pytest.raises(BundleError, match="items find themselves among the 10 nearest; the index 'IVF4,Flat' is too"):
        verify(folder)


def test_items_in_another_order_than_embeddings_are_found_out(
    verify: Check, content: BundleContent, tmp_path: Path
) -> None:
    shifted = replace(content, embeddings=np.roll(content.embeddings, 1, axis=0))
    with pytest.raises(BundleError, match="is not what the encoder makes of its image: they differ by "):
        verify(write_bundle(shifted, tmp_path / "bundle", formats=()))


def test_it_looks_at_evenly_spread_rows_once_each(folder: Path, shop: Any, factory: Callable[..., Encoder]) -> None:
    seen: list[int] = []
    images = pictures_of(shop)

    def count(row: int) -> NDArray[np.uint8]:
        seen.append(row)
        return images(row)

    verify_bundle(folder, images=count, network_factory=factory, rows=4, device=torch.device("cpu"))
    assert seen == [0, 13, 26, 39]
    with pytest.raises(ValueError, match=r"^rows is 0; allowed: 1 or more$"):
        verify_bundle(folder, images=count, network_factory=factory, rows=0, device=torch.device("cpu"))

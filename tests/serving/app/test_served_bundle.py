"""Embedding in batches."""

from typing import Any

import pytest

from simtrain.serving.app.served_bundle import ServedBundle


def test_pictures_and_texts_of_one_batch_get_their_own_embeddings(served: ServedBundle, shop: Any) -> None:
    prepared = served.bundle.preprocessing.pixels(shop.picture("p11"))
    futures = [served.embed(query) for query in ("p02", prepared, "p30")]
    vectors_of = dict(zip(shop.items["id"], shop.embeddings, strict=True))
    for future, name in zip(futures, ("p02", "p11", "p30"), strict=True):
        assert future.result(20) == pytest.approx(vectors_of[name], abs=1e-5)

"""Answers beside neighbours that a loop over the embeddings finds."""

import asyncio
from typing import Any

import numpy as np
import pytest

from simtrain.serving.app.queries import PictureQuery, SearchParameters, answer
from simtrain.serving.app.request_error import RequestError
from simtrain.serving.app.served_bundle import ServedBundle


def asked(served: ServedBundle, picture: PictureQuery | None = None, **parameters: Any) -> dict[str, Any]:
    return asyncio.run(answer(served, SearchParameters(**parameters), picture=picture))


def item(name: str) -> PictureQuery:
    return PictureQuery(kind="item", pixels=None, item=name)


def ranked(shop: Any, query: Any) -> list[tuple[str, float]]:
    unit = query.astype(np.float64) / np.linalg.norm(query.astype(np.float64))
    near = [(name, float(row @ unit)) for name, row in zip(shop.items["id"], shop.embeddings, strict=True)]
    return sorted(near, key=lambda pair: (-pair[1], pair[0]))


def vector(shop: Any, name: str) -> Any:
    return shop.embeddings[shop.items["id"].tolist().index(name)]


def names(found: dict[str, Any]) -> list[str]:
    return [one["id"] for one in found["neighbours"]]


def test_an_item_finds_its_neighbours_without_itself(served: ServedBundle, shop: Any) -> None:
    found = asked(served, item("p11"), id="p11", k=5)
    expected = [pair for pair in ranked(shop, vector(shop, "p11")) if pair[0] != "p11"][:5]
    assert names(found) == [name for name, _ in expected]
    assert [one["rank"] for one in found["neighbours"]] == [1, 2, 3, 4, 5]
    assert [one["similarity"] for one in found["neighbours"]] == pytest.approx([near for _, near in expected])
    assert found["query"] == {"kind": "item", "id": "p11", "text": None, "tokens_read": None}
    assert found["relevance"] == ["label"]
    assert [level["precision"] for level in found["thresholds"]] == [0.95, 0.9]


def test_pixels_find_what_their_embedding_finds(served: ServedBundle, shop: Any) -> None:
    pixels = served.bundle.preprocessing.pixels(shop.picture("p11"))
    found = asked(served, PictureQuery(kind="image", pixels=pixels, item=None), k=4)
    assert names(found) == [name for name, _ in ranked(shop, vector(shop, "p11"))[:4]]


def test_a_text_finds_without_promises(served: ServedBundle, shop: Any) -> None:
    found = asked(served, text=" p30 ", k=4)
    assert names(found) == [name for name, _ in ranked(shop, vector(shop, "p30"))[:4]]
    assert (found["query"]["kind"], found["thresholds"]) == ("text", [])
    assert [one["precision"] for one in found["neighbours"]] == [None] * 4


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_an_item_and_a_text_are_mixed_by_their_shares(served: ServedBundle, shop: Any, share: float) -> None:
    found = asked(served, item("p11"), text="p30", text_share=share, k=5)
    mixed = (1 - share) * vector(shop, "p11") + share * vector(shop, "p30")
    assert names(found) == [name for name, _ in ranked(shop, mixed) if name != "p11"][:5]
    assert found["query"]["kind"] == "item+text"


def test_filters_and_thresholds_leave_out(served: ServedBundle, shop: Any) -> None:
    lamps = set(shop.items["id"][shop.items["label"] == "lamp"])
    expected = [(name, near) for name, near in ranked(shop, vector(shop, "p11")) if name in lamps]
    found = asked(served, item("p11"), k=50, filter=["label=lamp"])
    assert names(found) == [name for name, _ in expected]
    bound = expected[6][1] - 1e-4
    assert names(asked(served, item("p11"), k=50, filter=["label=lamp"], min_similarity=bound)) == [
        name for name, near in expected if near >= bound
    ]
    for precision, threshold in ((0.92, 0.9), (0.9, 0.6)):
        kept = asked(served, item("p11"), k=50, filter=["label=lamp"], min_precision=precision)
        assert names(kept) == [name for name, near in expected if near >= threshold]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "give an image, a url, an id or a text"),
        ({"text": "  "}, "give an image, a url, an id or a text"),
        ({"text": "p30", "min_precision": 0.9}, "min_precision: measured for image queries only; use min_similarity"),
    ],
)
def test_questions_that_have_no_answer(served: ServedBundle, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        asked(served, **parameters)
    assert (str(caught.value), caught.value.status) == (message, 422)


def test_a_precision_beyond_all_thresholds_is_told(served: ServedBundle) -> None:
    with pytest.raises(RequestError) as caught:
        asked(served, item("p11"), min_precision=0.99)
    assert str(caught.value) == "min_precision: no threshold so high; there are: 0.95, 0.9"


@pytest.mark.parametrize("name", ["p99", "", "../p11", "p11\0", "0"])
def test_no_such_item(served: ServedBundle, name: str) -> None:
    with pytest.raises(RequestError, match="no such item") as caught:
        asked(served, item(name))
    assert caught.value.status == 404


def test_an_index_without_vectors_is_told(served: ServedBundle) -> None:
    served.bundle.index.factory = "SQ8"
    with pytest.raises(RequestError) as caught:
        asked(served, item("p11"))
    assert str(caught.value) == (
        "id: this bundle's index keeps no vectors; upload the item's picture, or export the bundle again"
    )


def test_a_query_that_the_encoder_makes_nothing_of(served: ServedBundle, shop: Any) -> None:
    opposite = {"p30": -vector(shop, "p11")}
    object.__setattr__(served.searcher.encoder, "vectors", opposite)
    with pytest.raises(RequestError, match="the encoder makes nothing of this query"):
        asked(served, item("p11"), text="p30", text_share=0.5)

"""A collection in an embedded Milvus in service, beside the bundle that it was published from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import MilvusClient
from recording_console import RecordingConsole
from starlette.testclient import TestClient

from simtrain.commands.serve import bundle_place, milvus_place
from simtrain.console import SILENT
from simtrain.errors import BundleError
from simtrain.serving.app.api import create_app
from simtrain.serving.app.live_bundle import LiveBundle, ServedPlace
from simtrain.serving.app.metrics import ServiceMetrics
from simtrain.serving.app.milvus_items import MilvusItems, milvus_condition
from simtrain.serving.app.request_error import RequestError
from simtrain.serving.app.settings import ServeSettings
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_writer import BundleContent, write_bundle
from simtrain.serving.given_bundle import GivenBundle
from simtrain.serving.milvus.connection import MilvusAddress
from simtrain.serving.milvus.fields import Field
from simtrain.serving.milvus.publishing import publish_items
from simtrain.serving.milvus.searching import PublishedCollection
from simtrain.serving.milvus.source import BundleSource
from simtrain.serving.onnx_export import ONNX, onnx_available
from simtrain.serving.picture_folders import PictureFolders

pytestmark = pytest.mark.skipif(not onnx_available(), reason="needs the extra 'export'")

MakeClient = Callable[..., TestClient]


def publish(folder: Path, address: MilvusAddress) -> None:
    publish_items(BundleSource(opened=Bundle.open(folder)), address, alias="shop", index="auto", console=SILENT)


@pytest.fixture
def address(tmp_path: Path) -> MilvusAddress:
    return MilvusAddress.of(f"milvus:{tmp_path / 'shop.db'}")


@pytest.fixture
def published(onnx_folder: Path, address: MilvusAddress) -> Iterator[PublishedCollection]:
    publish(onnx_folder, address)
    with PublishedCollection.opened(address, None) as found:
        yield found


@pytest.fixture
def started(settings: ServeSettings, metrics: ServiceMetrics) -> Iterator[Callable[..., TestClient]]:
    """`started(place)`: a running service."""
    running: list[TestClient] = []

    def start(place: ServedPlace, **changes: Any) -> TestClient:
        changed = replace(settings, **changes)
        live = LiveBundle(place=place, limits=changed.limits, metrics=metrics, console=SILENT)
        running.append(TestClient(create_app(live, settings=changed, metrics=metrics)).__enter__())
        return running[-1]

    yield start
    for client in running:
        client.__exit__(None, None, None)


def test_it_answers_as_the_bundle_does(
    published: PublishedCollection, onnx_folder: Path, started: MakeClient, shop: Any
) -> None:
    milvus = started(milvus_place(published, folder=None, images=None))
    bundle = started(bundle_place(GivenBundle(folder=onnx_folder)))
    upload = {"image": (shop.root / "11.png").read_bytes()}
    asked: list[tuple[dict[str, Any], Any]] = [
        ({"k": 7}, upload),
        ({"id": "p11", "k": 50}, None),
        ({"id": "p11", "k": 50, "min_precision": 0.9}, None),
        ({"id": "p11", "k": 50, "filter": ["label=lamp", "price>=30"]}, None),
        ({"id": "p11", "k": 50, "filter": ["label=lamp", "label=chair", "product!=product 1"]}, None),
        ({"id": "p11", "k": 50, "filter": ["price<=20", "query=TRUE"]}, None),
        ({"id": "p11", "k": 50, "filter": ["query=perhaps"]}, None),
        ({"id": "p11", "k": 50, "filter": 'label == "lamp" and price < 20 or id in ["p01", "p02"]'}, None),
        ({"k": 5, "filter": "price=33"}, upload),
    ]
    for parameters, files in asked:
        answers = [
            client.get("/api/search", params=parameters)
            if files is None
            else client.post("/api/search", params=parameters, files=files)
            for client in (milvus, bundle)
        ]
        found, expected = (answer.json() for answer in answers)
        for one, other in zip(found["neighbours"], expected["neighbours"], strict=True):
            assert one.pop("similarity") == pytest.approx(other.pop("similarity"), abs=1e-6)
        assert found == expected, parameters
    for path in ("/ready", "/api/item?id=p11", "/api/item?id=p99", "/api/picture?id=p11", "/api/picture?id=p99"):
        found, expected = milvus.get(path), bundle.get(path)
        assert (found.status_code, found.content) == (expected.status_code, expected.content), path
    told, expected = milvus.get("/api/bundle").json(), bundle.get("/api/bundle").json()
    assert (told.pop("name"), expected.pop("name")) == ("shop", "bundle")
    assert told == expected
    assert b"simtrain_items 40.0" in milvus.get("/metrics").content


@pytest.mark.parametrize(
    ("parameters", "status", "message"),
    [
        ({"id": "p99"}, 404, "no such item"),
        ({"id": "x' or id != '"}, 404, "no such item"),
        ({"id": 'x"] or id in ["p11'}, 404, "no such item"),
        ({"id": "p11", "filter": "lable=lamp"}, 422, "filter: no column 'lable'; did you mean 'label'?; there are: "),
        ({"id": "p11", "filter": "label == lamp"}, 422, "filter 'label == lamp': allowed: column=value, "),
        ({"id": "p11", "filter": 'lable == "lamp"'}, 422, "filter '(lable == \"lamp\")': unknown field 'lable'"),
        ({"id": "p11", "filter": "price>=cheap"}, 422, "filter: price holds numbers; 'cheap' is none"),
        ({"id": "p11", "filter": 'label=" or id != "'}, 200, ""),
    ],
)
def test_mistakes_are_told_and_nothing_leaves_its_quotes(
    published: PublishedCollection, started: MakeClient, parameters: dict[str, Any], status: int, message: str
) -> None:
    answer = started(milvus_place(published, folder=None, images=None)).get("/api/search", params=parameters)
    assert answer.status_code == status
    if message:
        assert answer.json()["error"].startswith(message), answer.json()
        assert published.address.uri not in answer.json()["error"]
    else:
        assert answer.json()["neighbours"] == []


def test_another_encoder_is_refused(
    published: PublishedCollection, other_content: BundleContent, tmp_path: Path
) -> None:
    other = write_bundle(other_content, tmp_path / "other", formats=[ONNX])
    with pytest.raises(BundleError, match="holds embeddings of another encoder"):
        milvus_place(published, folder=other, images=None).opening()


def test_what_takes_the_alias_takes_over(
    published: PublishedCollection, other_content: BundleContent, settings: ServeSettings, tmp_path: Path
) -> None:
    console, metrics = RecordingConsole(), ServiceMetrics()
    place = milvus_place(published, folder=None, images=None)
    live = LiveBundle(place=place, limits=settings.limits, metrics=metrics, console=console)
    assert live.reload()
    other = write_bundle(other_content, tmp_path / "other", formats=[ONNX])
    with live.use() as before:
        publish(other, published.address)
        with pytest.raises(RequestError, match="Milvus does not answer; try again later") as caught:
            before.items.vector("p11")  # what it was opened with is gone, and nothing of another encoder is taken
        assert caught.value.status == 503
    assert live.reload()
    with live.use() as after:
        row = other_content.items["id"].tolist().index("p11")
        assert after.items.vector("p11") == pytest.approx(other_content.embeddings[row], abs=1e-6)
    assert console.asides == [
        f"the collection has changed: collection: 'shop' in {published.address.text} (40 items), encoder of {other}"
    ]
    live.close()


def test_a_milvus_that_is_away_is_the_services_trouble(
    published: PublishedCollection, started: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymilvus import MilvusException

    from simtrain.serving.milvus import connection

    client = started(milvus_place(published, folder=None, images=None))

    def away(*_: object, **__: object) -> None:
        raise MilvusException(code=2, message="UNAVAILABLE: failed to connect to secret.example")

    monkeypatch.setattr(connection, "_PAUSE", 0.0)
    for name in ("search", "query", "get", "describe_alias"):
        monkeypatch.setattr(MilvusClient, name, away)
    for path in ("/ready", "/api/search?id=p11", "/api/item?id=p11", "/api/picture?id=p11"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (503, {"error": "Milvus does not answer; try again later"}), path
    assert client.get("/health").status_code == 200
    assert b"simtrain_items NaN" in client.get("/metrics").content


def test_pictures_of_shards_need_their_folder(published: PublishedCollection, onnx_folder: Path, shop: Any) -> None:
    shards = replace(published, described=replace(published.described, bundle=None))
    place = milvus_place(shards, folder=onnx_folder, images=None)
    properties = {"simtrain": json.dumps({"format": 1, **asdict(shards.described)})}
    published.client.alter_collection_properties(published.name, properties=properties)
    items = place.opening()[1]
    with pytest.raises(RequestError, match="its picture is not here"):
        items.picture("p11")
    assert str(items.pictures) == ""
    assert items.some_paths(3) == ["00.png", "01.png", "02.png"]
    named = milvus_place(shards, folder=onnx_folder, images=shop.root).opening()[1]
    assert named.picture("p11") == (shop.root / "11.png").resolve()


def test_columns_of_a_large_collection_come_without_choices(
    published: PublishedCollection, onnx_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simtrain.serving.app import milvus_items

    monkeypatch.setattr(milvus_items, "_LOOKED_THROUGH", 39)
    opened = bundle_place(GivenBundle(folder=onnx_folder)).opening()[0]
    columns = MilvusItems(published=published, opened=opened, pictures=PictureFolders()).columns()
    assert [(one.name, one.kind, one.choices, one.lowest) for one in columns] == [
        ("product", "text", None, None),
        ("label", "text", None, None),
        ("caption", "text", None, None),
        ("query", "flag", None, None),
        ("price", "number", None, None),
    ]


def test_a_condition_in_milvus_words() -> None:
    names = {"Preis €": ("Preis", "double"), "label": ("label", "varchar"), "new": ("new", "bool")}
    fields = {column: Field(column=column, name=name, kind=kind) for column, (name, kind) in names.items()}
    assert milvus_condition([], fields) is None
    assert milvus_condition(["Preis €<=3", 'label=a "b"', "label=c", "new!=true"], fields) == (
        '(Preis <= 3.0) and (new != true or new is null) and (label == "a \\"b\\"" or label == "c")'
    )
    assert np.isfinite(float(str(milvus_condition(["Preis €>=1e3"], fields)).split()[-1].rstrip(")")))

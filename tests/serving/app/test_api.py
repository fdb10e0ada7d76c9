"""The JSON API, and the page's files."""

import importlib.resources
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient


def picture(shop: Any, name: str) -> bytes:
    return (shop.root / shop.items.set_index("id").loc[name, "path"]).read_bytes()


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["neighbours"]]


def test_an_uploaded_image_finds_its_item_first(client: TestClient, shop: Any) -> None:
    answer = client.post("/api/search", params={"k": 3}, files={"image": picture(shop, "p11")})
    assert len(names(answer)) == 3
    first = answer.json()["neighbours"][0]
    assert (first["id"], first["path"], first["label"], first["price"], first["precision"]) == (
        "p11", "11.png", "chair", 16.5, 0.95,
    )  # fmt: skip
    assert first["similarity"] == pytest.approx(1, abs=1e-5)


def test_name_and_type_of_an_upload_do_not_count(client: TestClient, shop: Any) -> None:
    upload = ("../../x.svg", picture(shop, "p11"), "image/svg+xml")
    assert names(client.post("/api/search", params={"k": 1}, files={"image": upload})) == ["p11"]


def test_by_item_by_text_and_by_both(client: TestClient) -> None:
    by_item = names(client.get("/api/search", params={"id": "p11", "k": 4}))
    assert len(by_item) == 4
    assert "p11" not in by_item
    assert names(client.get("/api/search", params={"text": "p30", "k": 1})) == ["p30"]
    both = {"id": "p11", "text": "p30", "text_share": 0.9, "k": 1}
    assert names(client.get("/api/search", params=both)) == ["p30"]


def test_an_image_and_a_text(client: TestClient, shop: Any) -> None:
    upload = {"image": picture(shop, "p11")}
    for share, first in ((0.05, "p11"), (0.95, "p30")):
        answer = client.post("/api/search", params={"text": "p30", "text_share": share, "k": 1}, files=upload)
        assert names(answer) == [first]


def test_filters_come_several_at_a_time(client: TestClient, shop: Any) -> None:
    found = client.get("/api/search", params={"id": "p11", "k": 40, "filter": ["label=lamp", "price>=30"]})
    chosen = shop.items[(shop.items["label"] == "lamp") & (shop.items["price"] >= 30)]
    assert sorted(names(found)) == sorted(chosen["id"])


@pytest.mark.parametrize(
    ("parameters", "status", "message"),
    [
        ({}, 422, "give an image, a url, an id or a text"),
        ({"id": "p99"}, 404, "no such item"),
        ({"id": "p11", "k": 0}, 422, "k: Input should be greater than or equal to 1"),
        ({"id": "p11", "k": 201}, 422, "k: allowed: 1 to 200"),
        ({"id": "p11", "limit": 3}, 422, "limit: Extra inputs are not permitted"),
        ({"id": "p11", "filter": "colour=red"}, 422, "filter: no column 'colour'"),
        ({"id": "p11", "url": "http://shop.example/a.png"}, 422, "give one of image, url and id"),
        ({"url": "http://shop.example/a.png"}, 403, "url: this service fetches no URLs; upload the picture"),
        ({"id": "p11", "min_similarity": "nan"}, 422, "min_similarity: "),
        ({"text": "x" * 2001}, 422, "text: String should have at most 2000 characters"),
    ],
)
def test_mistakes_are_one_line(client: TestClient, parameters: dict[str, Any], status: int, message: str) -> None:
    answer = client.get("/api/search", params=parameters)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].startswith(message)
    assert "\n" not in answer.json()["error"]


def test_uploads_that_are_no_pictures(client: TestClient) -> None:
    for data, status in ((b"<svg/>", 415), (b"\xff\xd8\xff\xe0", 422), (b"", 415)):
        assert client.post("/api/search", files={"image": data}).status_code == status
    assert client.post("/api/search").status_code == 422
    assert client.post("/api/search", data={"image": "text"}).status_code == 422
    assert (
        client.post("/api/search", content=b"\0" * 99, headers={"content-type": "application/json"}).status_code == 422
    )
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("/api/search", content=b"--x\r\nbroken", headers=broken).status_code in (400, 422)


def test_pictures_of_items_and_of_nothing_else(client: TestClient, shop: Any) -> None:
    answer = client.get("/api/picture", params={"id": "p11", "side": 32})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert max(image.size) == min(32, max(shop.picture("p11").shape[:2]))
    for name in ("11.png", "../11.png", "/etc/passwd", "p11/../p12", "", "0", "*", "p11%00", "file:///etc/passwd"):
        assert client.get("/api/picture", params={"id": name}).status_code == 404, name
    for side in (0, 15, 1025, "big"):
        assert client.get("/api/picture", params={"id": "p11", "side": side}).status_code == 422
    for path in ("/api/picture/p11", "/page/index.html", "/%2e%2e/etc/passwd", "/index.html", "/docs"):
        assert client.get(path).status_code == 404, path


def test_pictures_of_another_folder(make_client: Callable[..., TestClient], tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    client = make_client(images=tmp_path / "images")
    assert client.get("/api/picture", params={"id": "p11"}).status_code == 404
    Image.fromarray(np.full((20, 20, 3), 9, dtype=np.uint8)).save(tmp_path / "images" / "11.png")
    assert client.get("/api/picture", params={"id": "p11"}).status_code == 200


def test_what_the_bundle_holds(client: TestClient) -> None:
    told = client.get("/api/bundle").json()
    assert (told["name"], told["items"], told["encoder"], told["reads_texts"]) == ("served", 40, "conv", True)
    assert [column["name"] for column in told["columns"]] == ["product", "label", "caption", "query", "price"]
    assert told["limits"] == {"upload_bytes": 200_000, "pixels": 1_000_000, "results": 200}
    item = client.get("/api/item", params={"id": "p11"}).json()
    assert (item["id"], item["label"], item["price"]) == ("p11", "chair", 16.5)
    assert "similarity" not in item


def test_probes_and_the_description(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready", "items": 40}
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/health", "/ready", "/metrics", "/api/search", "/api/bundle", "/api/item", "/api/picture"}
    names = {one["name"] for one in paths["/api/search"]["post"]["parameters"]}
    assert names == {"id", "url", "text", "text_share", "k", "filter", "min_similarity", "min_precision"}


def test_the_page_needs_nothing_from_elsewhere_and_makes_no_markup(client: TestClient) -> None:
    page = importlib.resources.files("simtrain.serving.app") / "page"
    for path, name in (("/", "index.html"), ("/page.css", "page.css"), ("/page.js", "page.js")):
        text = client.get(path).text
        assert text == (page / name).read_text(encoding="utf-8")
        assert "//" not in text.replace("// The search page.", "").replace("//.", "")
        for risk in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "onclick="):
            assert risk not in text


def test_a_full_queue_is_told(client: TestClient, shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from simtrain.serving.app.micro_batches import MicroBatches
    from simtrain.serving.app.request_error import RequestError

    def refuse(*_: object) -> None:
        raise RequestError("too many requests are waiting; try again in a moment", status=503)

    monkeypatch.setattr(MicroBatches, "submit", refuse)
    answer = client.post("/api/search", files={"image": picture(shop, "p11")})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")

"""Query pictures from URLs, beside a small server of this machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from simtrain.serving.app.request_error import RequestError
from simtrain.serving.app.settings import ServeSettings
from simtrain.serving.app.url_images import fetch_image


class Shop(BaseHTTPRequestHandler):
    seen: list[dict[str, str]] = []  # noqa: RUF012 - of one test process

    def do_GET(self) -> None:
        Shop.seen.append(dict(self.headers))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("location", "/picture")
            self.end_headers()
            return
        content = bytes(300_000) if self.path == "/large" else b"a picture"
        self.send_response(200 if self.path != "/missing" else 404)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fetched(url: str, settings: ServeSettings, *hosts: str) -> bytes:
    return asyncio.run(fetch_image(url, settings=replace(settings, url_hosts=hosts)))


def test_a_picture_of_an_allowed_host(settings: ServeSettings, host: str) -> None:
    assert fetched(f"http://{host}/picture", settings, "shop.example", host) == b"a picture"
    assert not {"authorization", "cookie"} & {name.lower() for name in Shop.seen[-1]}


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/missing", 422, "answered with status 404"),
        ("/moved", 422, "answered with status 302"),
        ("/large", 413, "url: more than 0.2 MB, which is the limit"),
    ],
)
def test_what_is_no_answer(settings: ServeSettings, host: str, path: str, status: int, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        fetched(f"http://{host}{path}", settings, host)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.png",
        "http://shop.example:81/a.png",
        "http://shop.example@evil.example/a.png",
        "http://evil.example#shop.example",
        "http://shop.example.evil.example/",
        "https://me:secret@shop.example/a.png",
        "ftp://shop.example/a.png",
        "file:///etc/passwd",
        "//shop.example/a.png",
        "shop.example/a.png",
        "gopher://shop.example",
        "",
    ],
)
def test_no_other_host_or_scheme(settings: ServeSettings, url: str) -> None:
    with pytest.raises(RequestError) as caught:
        fetched(url, settings, "shop.example")
    assert str(caught.value) == "url: allowed: http or https of shop.example"
    assert caught.value.status == 403


def test_what_is_no_url_and_nobody_who_answers(settings: ServeSettings) -> None:
    with pytest.raises(RequestError, match="url: not a URL"):
        fetched("http://shop.example:port/", settings, "shop.example")
    with pytest.raises(RequestError, match="url: cannot be fetched: ConnectError"):
        fetched("http://127.0.0.1:1/a.png", settings, "127.0.0.1:1")
    with pytest.raises(RequestError, match="url: this service fetches no URLs; upload the picture"):
        fetched("http://shop.example/", settings)

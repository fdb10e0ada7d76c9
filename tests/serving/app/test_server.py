"""A real server on a free port: connections that send slowly, and an end that loses nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from simtrain.console import SILENT
from simtrain.errors import SimtrainError
from simtrain.serving.app.api import create_app
from simtrain.serving.app.live_bundle import LiveBundle, ServedPlace
from simtrain.serving.app.metrics import ServiceMetrics
from simtrain.serving.app.server import run_server
from simtrain.serving.app.settings import ServeSettings

SECONDS = 0.5


@pytest.fixture
def url(
    make_place: Callable[..., ServedPlace], settings: ServeSettings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The address of a server in a thread, which gives a request half a second."""
    import uvicorn

    servers: list[uvicorn.Server] = []
    began = uvicorn.Server.__init__

    def remember(server: uvicorn.Server, config: uvicorn.Config) -> None:
        began(server, config)
        servers.append(server)

    monkeypatch.setattr(uvicorn.Server, "__init__", remember)
    short = replace(settings, host="127.0.0.1", limits=replace(settings.limits, seconds=SECONDS, connections=40))
    metrics, ready, told = ServiceMetrics(), threading.Event(), []

    def listening(address: str) -> None:
        told.append(address)
        ready.set()

    live = LiveBundle(place=make_place(), limits=short.limits, metrics=metrics, console=SILENT)
    app = create_app(live, settings=short, metrics=metrics)
    thread = threading.Thread(target=lambda: run_server(app, settings=short, ready=listening))
    thread.start()
    assert ready.wait(20)
    yield told[0]
    servers[0].should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=20)


def everything_from(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_it_answers(url: str, shop: Any) -> None:
    answer = httpx2.post(f"{url}api/search?k=2", files={"image": (shop.root / "11.png").read_bytes()})
    assert [answer.status_code, answer.json()["neighbours"][0]["id"]] == [200, "p11"]
    assert "server" not in answer.headers


def test_slow_senders_are_ended_and_others_are_answered(url: str) -> None:
    began = time.monotonic()
    head = b"POST /api/search HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000\r\n\r\n"
    silent, half, slow = connected(url), connected(url), connected(url)
    half.sendall(b"GET / HTTP/1.1\r\nhost: local")
    slow.sendall(head + b"x")
    assert httpx2.get(f"{url}ready").status_code == 200
    answer = everything_from(slow)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'{"error":"the request took longer than 0.5 s to send"}' in answer
    assert everything_from(silent) == b""
    assert everything_from(half) == b""
    assert time.monotonic() - began < 15
    assert httpx2.get(f"{url}ready").status_code == 200


def test_what_is_no_http_is_refused(url: str) -> None:
    connection = connected(url)
    connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n")
    assert everything_from(connection).startswith(b"HTTP/1.1 400 ")
    traversal = connected(url)
    traversal.sendall(b"GET /../../../../etc/passwd HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    assert everything_from(traversal).startswith(b"HTTP/1.1 404 ")


def test_connections_beyond_the_bound_are_refused(url: str) -> None:
    held = [connected(url) for _ in range(45)]
    time.sleep(0.1)
    assert httpx2.get(f"{url}health").status_code == 503
    for connection in held:
        connection.close()


def test_an_address_that_is_taken_is_told(settings: ServeSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SimtrainError) as caught:
            run_server(None, settings=replace(settings, host="127.0.0.1", port=port), ready=lambda _: None)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"serve: cannot listen on 127.0.0.1:{port}: Address already in use; choose others with --host and --port"
    )

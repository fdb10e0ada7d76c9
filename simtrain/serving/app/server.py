"""The process that serves: its socket, its signals, and connections that send nothing."""

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

from simtrain.errors import SimtrainError, system_reason
from simtrain.serving.app.guard import Guard
from simtrain.serving.app.settings import ServeSettings

_GRACE_SECONDS = 30


def run_server(app: Guard, *, settings: ServeSettings, ready: Callable[[str], None]) -> None:
    """Answer requests until SIGTERM or Ctrl-C; what is being answered then is answered to its end.

    Args:
        app: The service.
        settings: Address, port and bounds.
        ready: Called with the URL, such as `http://127.0.0.1:8000/`, as soon as connections are accepted.

    Raises:
        SimtrainError: if the address cannot be listened on.
    """
    with _listening(settings) as listener:
        port = listener.getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        config = uvicorn.Config(
            app,
            http=_protocol(settings.limits.seconds),
            ws="none",
            log_config=None,
            log_level="error",  # what strangers send is answered, not logged
            access_log=False,
            server_header=False,
            limit_concurrency=settings.limits.connections,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        logging.getLogger("python_multipart").setLevel(logging.ERROR)  # the same
        ready(f"http://{host}:{port}/")
        with _ended_by_signals():
            uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def _listening(settings: ServeSettings) -> Iterator[socket.socket]:
    address = f"{settings.host}:{settings.port}"
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except OSError as error:
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else system_reason(error)  # below 0: a name is unknown
        raise SimtrainError(
            f"serve: cannot listen on {address}: {reason}; choose others with --host and --port"
        ) from None
    with listener:
        yield listener


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """The server raises the signal again that has ended it, which is no failure here."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


def _protocol(seconds: float) -> type[H11Protocol]:
    """HTTP that closes a connection whose request's head has not come within so many seconds."""

    class BoundedHead(H11Protocol):
        """Uvicorn bounds the time between two requests, not that of a head."""

        _deadline: asyncio.TimerHandle | None = None

        @override
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._watch_head()

        @override
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch_head()

        @override
        def connection_lost(self, exc: Exception | None) -> None:
            self._unwatch()
            super().connection_lost(exc)

        def _watch_head(self) -> None:
            waiting = self.cycle is None or self.cycle.response_complete
            if not waiting:
                self._unwatch()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(seconds, self.transport.close)

        def _unwatch(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return BoundedHead

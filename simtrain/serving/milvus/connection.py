"""Connection to Milvus: an embedded one in a file, or a server; its errors in one line."""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from simtrain.errors import SimtrainError, first_line, system_reason
from simtrain.phrases import shortened

if TYPE_CHECKING:
    from pymilvus import MilvusException

PREFIX = "milvus:"
TOKEN_VARIABLE = "MILVUS_TOKEN"
_SERVERS = ("http://", "https://", "tcp://", "unix:")
_PATIENCE = 30.0  # seconds for an answer
_TRIES = 4
_PAUSE = 0.5  # seconds before the second try; twice as long before each further one
_EMBEDDED_CHANNEL = {"grpc.keepalive_time_ms": 2**31 - 1}  # no pings: the embedded server hangs up on pymilvus's
_GRPC_NAMES = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "rate limit", "not ready", "timeout")

Answer = TypeVar("Answer")


class MilvusAwayError(SimtrainError):
    """A Milvus that does not answer now, and may later."""


@dataclass(frozen=True, kw_only=True)
class MilvusAddress:
    """Where a Milvus is.

    Attributes:
        text: As the user wrote it, such as `milvus:shop.db` or `milvus:https://host:19530`.
        uri: For pymilvus: the address of a server, or the path of an embedded one.
        file: Path of the embedded one; None: it is a server.
    """

    text: str
    uri: str
    file: Path | None

    @staticmethod
    def of(text: str) -> MilvusAddress:
        """Read an address.

        Raises:
            SimtrainError: for anything but `milvus:PATH` and `milvus:URI`.
        """
        rest = text.removeprefix(PREFIX)
        if not text.startswith(PREFIX) or not rest:
            raise SimtrainError(
                f"{text or 'an empty address'}: is no address of a Milvus; allowed: milvus:PATH.db (embedded, in a "
                "file) and milvus:http://HOST:19530"
            )
        if rest.startswith(_SERVERS):
            if "@" in urlsplit(rest).netloc:  # an address is printed and kept
                raise SimtrainError(
                    f"{PREFIX}{rest.partition('://')[0]}://…@…: an address holds no password; set "
                    f"{TOKEN_VARIABLE}=USER:PASSWORD and write {PREFIX}http://HOST:19530"
                )
            return MilvusAddress(text=text, uri=rest, file=None)
        if "://" in rest:
            raise SimtrainError(f"{text}: allowed are milvus:http://HOST:19530, milvus:https://… and milvus:PATH.db")
        file = Path(rest).expanduser()
        return MilvusAddress(text=text, uri=str(file.resolve()), file=file)


@contextmanager
def connected(address: MilvusAddress, *, must_exist: bool) -> Iterator[Any]:
    """A client of pymilvus for as long as the block lasts.

    `MILVUS_TOKEN` (`USER:PASSWORD`, or an API key) is how a server knows the user.

    Args:
        address: Where it is.
        must_exist: Whether an embedded one has to be there already.

    Yields:
        The client.

    Raises:
        SimtrainError: if pymilvus is not installed, or the place cannot be reached; and for what a call in the block
            is refused; `MilvusAwayError` where it does not answer.
    """
    if importlib.util.find_spec("pymilvus") is None:
        raise SimtrainError(f"{address.text}: needs the extra: pip install 'simtrain[milvus]'")
    if address.file is not None:
        _check_file(address, must_exist=must_exist)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's own lines stay off the screen
    from pymilvus import MilvusClient

    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it writes tracebacks of what it raises
    with milvus_errors(address.text):
        client = MilvusClient(
            address.uri,
            token=os.environ.get(TOKEN_VARIABLE, ""),
            timeout=_PATIENCE,
            grpc_options={} if address.file is None else _EMBEDDED_CHANNEL,
        )
        try:
            yield client
        finally:
            client.close()


@contextmanager
def milvus_errors(where: str) -> Iterator[None]:
    """What Milvus refuses becomes one line that begins with `where`; `MilvusAwayError` where it does not answer."""
    from pymilvus import MilvusException

    try:
        yield
    except MilvusException as error:
        kind = MilvusAwayError if _is_passing(error) or _is_unreached(error) else SimtrainError
        raise kind(f"{where}: {_reason(error)}") from None


def with_patience(call: Callable[[], Answer]) -> Answer:
    """The answer of a call, tried again where Milvus is busy or away for a moment; other errors are raised at once."""
    from pymilvus import MilvusException

    pause = _PAUSE
    for attempt in range(_TRIES):
        try:
            return call()
        except MilvusException as error:
            if not _is_passing(error) or attempt == _TRIES - 1:
                raise
        time.sleep(pause)
        pause *= 2
    raise AssertionError("the last try returns or raises")


def _check_file(address: MilvusAddress, *, must_exist: bool) -> None:
    assert address.file is not None
    if importlib.util.find_spec("milvus_lite") is None:
        raise SimtrainError(f"{address.text}: an embedded Milvus needs the extra: pip install 'simtrain[milvus]'")
    if address.file.suffix != ".db":
        raise SimtrainError(f"{address.text}: the path of an embedded Milvus ends in .db: milvus:{address.file}.db")
    if must_exist and not address.file.exists():
        raise SimtrainError(f"{address.text}: nothing is there; publish a bundle: simtrain publish BUNDLE --to …")
    try:
        address.file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SimtrainError(f"{address.file}: cannot be written: {system_reason(error)}") from None


def _is_passing(error: MilvusException) -> bool:
    return any(name.lower() in str(error).lower() for name in _GRPC_NAMES)


def _is_unreached(error: MilvusException) -> bool:
    text = first_line(ValueError(error.message or error)).lower()
    return "connect" in text and "fail" in text


def _reason(error: MilvusException) -> str:
    text = first_line(ValueError(error.message or error))
    if _is_unreached(error):
        return "cannot be reached; is it running, and is the address right?"
    if any(word in text.lower() for word in ("auth", "permission", "unauthenticated")):
        return f"{shortened(text, to=160)}; set {TOKEN_VARIABLE}=USER:PASSWORD"
    return shortened(text, to=300)

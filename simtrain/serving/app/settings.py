"""Settings and limits of the search service."""

from dataclasses import dataclass

BATCHES_AT_A_TIME = 2
"""Batches that onnxruntime computes at a time, each on its share of the cores: none waits at a step for another's
thread, and what has to be done in between goes on meanwhile. Torch computes one."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request may cost."""

    upload_bytes: int
    """Largest uploaded or fetched picture in bytes; the rest of a request may have 64 KiB more."""

    pixels: int
    """Largest picture in pixels, width times height."""

    seconds: float
    """Longest time for sending a request, and again for answering it; decoding a picture may take half of that."""

    results: int
    """Largest k."""

    batch: int
    """Most pictures or texts that the encoder embeds together."""

    waiting: int
    """Most pictures and texts that wait for the encoder; further requests are refused with status 503."""

    connections: int
    """Most connections at a time; further ones are refused with status 503."""


def usual_limits(*, upload_megabytes: float, megapixels: float, seconds: float) -> Limits:
    """Limits of which an operator chooses three.

    Args:
        upload_megabytes: Largest picture in MB (10^6 bytes); > 0.
        megapixels: Largest picture in millions of pixels; > 0.
        seconds: Longest time for sending a request, and again for answering it; > 0.
    """
    return Limits(
        upload_bytes=int(upload_megabytes * 1e6),
        pixels=int(megapixels * 1e6),
        seconds=seconds,
        results=200,
        batch=16,
        waiting=256,
        connections=512,
    )


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Where the service listens, who may ask, and for what."""

    host: str
    """Address to listen on, such as 127.0.0.1 (this machine alone) or 0.0.0.0 (everybody)."""

    port: int
    """Port to listen on, 0 to 65535; 0: a free one."""

    token: str | None
    """Word that every request has to bring; None: none."""

    url_hosts: tuple[str, ...]
    """Hosts, as `shop.example` or `shop.example:8443`, that query pictures may be fetched from; empty: no URLs."""

    limits: Limits

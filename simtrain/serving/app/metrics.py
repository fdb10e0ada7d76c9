"""Figures of the service for Prometheus."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32)


class ServiceMetrics:
    """Counters and histograms of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "simtrain_requests", "Answered requests.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "simtrain_request_seconds", "Time of a request.", ["route"], buckets=_SECONDS, registry=self._registry
        )
        self._batch = Histogram(
            "simtrain_batch_size", "Queries embedded together.", buckets=_SIZES, registry=self._registry
        )
        self._encoding = Histogram(
            "simtrain_encoder_seconds", "Time of a batch in the encoder.", buckets=_SECONDS, registry=self._registry
        )
        self._waiting = Gauge("simtrain_waiting", "Queries that wait for the encoder.", registry=self._registry)
        self._items = Gauge("simtrain_items", "Items of the bundle.", registry=self._registry)
        self._reloads = Counter("simtrain_reloads", "Replaced bundles.", ["outcome"], registry=self._registry)

    def answered(self, route: str, *, status: int, seconds: float) -> None:
        """Count a request by its route, such as `/api/search`."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def reloaded(self, *, well: bool) -> None:
        """Count a bundle that took the place of another, or could not."""
        self._reloads.labels("done" if well else "failed").inc()

    @contextmanager
    def encoding(self, size: int) -> Iterator[None]:
        """Measure a batch of this many queries."""
        self._batch.observe(size)
        began = time.perf_counter()
        yield
        self._encoding.observe(time.perf_counter() - began)

    def text(self, *, waiting: int, items: float) -> bytes:
        """Everything in Prometheus's text format."""
        self._waiting.set(waiting)
        self._items.set(items)
        return generate_latest(self._registry)

"""The bundle or collection in service, which another one may replace while requests are answered."""

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simtrain.console import Console
from simtrain.errors import SimtrainError
from simtrain.serving.app.metrics import ServiceMetrics
from simtrain.serving.app.served_bundle import ServedBundle
from simtrain.serving.app.served_items import ServedItems
from simtrain.serving.app.settings import Limits
from simtrain.serving.manifest import MANIFEST_FILE
from simtrain.serving.opened_bundle import OpenedBundle


@dataclass(frozen=True, kw_only=True)
class ServedPlace:
    """What is served, wherever it lies.

    Attributes:
        what: A word for it: `bundle`, `collection`.
        opening: Opens it: the bundle with its encoder, and the items that are searched.
        stamp: Another value once something else lies there; None: nothing does, for a moment at least.
    """

    what: str
    opening: Callable[[], tuple[OpenedBundle, ServedItems]]
    stamp: Callable[[], Hashable | None]


class LiveBundle:
    """Opens what is served again when it has changed; each request sees one bundle from beginning to end.

    Args:
        place: What is served.
        limits: Bounds of batches.
        metrics: Counts batches and replacements.
        console: Is told of replacements.
    """

    def __init__(self, *, place: ServedPlace, limits: Limits, metrics: ServiceMetrics, console: Console) -> None:
        self._place = place
        self._limits, self._metrics, self._console = limits, metrics, console
        self._lock = threading.Lock()
        self._users: dict[ServedBundle, int] = {}
        self._told = ""
        self._stamp = self._place.stamp()
        self._current = self._opened()

    @contextmanager
    def use(self) -> Iterator[ServedBundle]:
        """The bundle for one request; it stays open until the request has ended, even if another takes its place."""
        with self._lock:
            served = self._current
            self._users[served] = self._users.get(served, 0) + 1
        try:
            yield served
        finally:
            with self._lock:
                self._users[served] -= 1
                last = self._users[served] == 0
                if last:
                    del self._users[served]
                over = last and served is not self._current
            if over:
                served.close()

    def reload(self) -> bool:
        """Open what is served again if it has changed; where that fails the old one stays, which is told.

        Returns:
            Whether what lies there is in service; if not, a later call tries again.
        """
        stamp = self._place.stamp()
        if stamp == self._stamp:
            return True
        if stamp is None:  # between two names, or on its way
            return False
        try:
            new = self._opened()
        except SimtrainError as error:
            self._tell_once(
                f"the {self._place.what} has changed and cannot be opened; the old one stays in service: {error}"
            )
            return False
        self._stamp, self._told = stamp, ""
        with self._lock:
            old, self._current = self._current, new
            unused = old not in self._users
        if unused:
            old.close()
        self._metrics.reloaded(well=True)
        self._console.aside(f"the {self._place.what} has changed: {new.items}")
        return True

    def close(self) -> None:
        """Answer what waits, and end."""
        self._current.close()

    def _opened(self) -> ServedBundle:
        opened, items = self._place.opening()
        return ServedBundle(opened=opened, items=items, limits=self._limits, metrics=self._metrics)

    def _tell_once(self, problem: str) -> None:
        if problem != self._told:
            self._told = problem
            self._metrics.reloaded(well=False)
            self._console.aside(problem)


def manifest_stamp(folder: Path) -> Hashable | None:
    """Another value for each bundle that has lain in a folder; None: there is none."""
    try:
        found = (folder / MANIFEST_FILE).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns

"""The bundle in service, which another one may replace while requests are answered."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from simtrain.console import Console
from simtrain.errors import SimtrainError
from simtrain.serving.app.metrics import ServiceMetrics
from simtrain.serving.app.served_bundle import ServedBundle
from simtrain.serving.app.settings import Limits
from simtrain.serving.manifest import MANIFEST_FILE
from simtrain.serving.opened_bundle import OpenedBundle


class LiveBundle:
    """Opens a bundle again when its manifest has changed; each request sees one bundle from beginning to end.

    Args:
        folder: The bundle's folder.
        opening: Opens it, with its encoder.
        limits: Bounds of batches.
        metrics: Counts batches and replacements.
        console: Is told of replacements.
    """

    def __init__(
        self,
        *,
        folder: Path,
        opening: Callable[[], OpenedBundle],
        limits: Limits,
        metrics: ServiceMetrics,
        console: Console,
    ) -> None:
        self._folder, self._opening = folder, opening
        self._limits, self._metrics, self._console = limits, metrics, console
        self._lock = threading.Lock()
        self._users: dict[ServedBundle, int] = {}
        self._told = ""
        self._stamp = self._stamp_now()
        self._current = self._opened()

    @property
    def folder(self) -> Path:
        """Where the bundle lies."""
        return self._folder

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
        """Open the bundle again if its manifest has changed; where that fails the old one stays, which is told.

        Returns:
            Whether what lies on the disk is in service; if not, a later call tries again.
        """
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return True
        if stamp is None:  # between two names, or on its way
            return False
        try:
            new = self._opened()
        except SimtrainError as error:
            self._tell_once(f"the bundle has changed and cannot be opened; the old one stays in service: {error}")
            return False
        self._stamp, self._told = stamp, ""
        with self._lock:
            old, self._current = self._current, new
            unused = old not in self._users
        if unused:
            old.close()
        self._metrics.reloaded(well=True)
        self._console.aside(f"the bundle has changed: {new.opened}")
        return True

    def close(self) -> None:
        """Answer what waits, and end."""
        self._current.close()

    def _opened(self) -> ServedBundle:
        return ServedBundle(opened=self._opening(), limits=self._limits, metrics=self._metrics)

    def _tell_once(self, problem: str) -> None:
        if problem != self._told:
            self._told = problem
            self._metrics.reloaded(well=False)
            self._console.aside(problem)

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            found = (self._folder / MANIFEST_FILE).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns

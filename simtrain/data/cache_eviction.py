"""Eviction from the cache of embeddings: the least recently used files go, while nobody else has the cache open."""

import fcntl
import os
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

LARGEST_CACHE = 20 * 10**9
"""Bytes that a cache of embeddings keeps when a command opens it: ten million embeddings of 512 dimensions."""


class OpenFolder:
    """A cache's folder as a process uses it, until the object is gone; others that open it then remove nothing.

    Args:
        folder: The folder, which exists.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def evict(self, files: Iterable[Path], *, largest: int) -> None:
        """Remove the files that were used the longest ago, until the others have `largest` bytes, or one is left.

        Nothing is removed while another process, or another object of this one, has the folder open, nor where the file
        system has no locks. The folder counts as open from then on.
        """
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_oldest(files, largest=largest)
        except OSError:  # somebody reads; or there are no locks, and nobody knows
            pass
        with suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)


def note_use(files: Iterable[Path]) -> None:
    """The files are used now, which their modification time says from then on."""
    for path in files:
        with suppress(OSError):  # gone, or another user's
            os.utime(path)


def _remove_oldest(files: Iterable[Path], *, largest: int) -> None:
    found = sorted(((path.stat(), path) for path in files), key=lambda entry: entry[0].st_mtime_ns, reverse=True)
    kept = 0
    for place, (stat, path) in enumerate(found):
        kept += stat.st_size
        if kept > largest and place > 0:  # the last one used stays, however large
            path.unlink(missing_ok=True)

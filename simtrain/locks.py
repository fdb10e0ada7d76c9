"""Locks on files: one process at a time; a process that ends, in whatever way, lets go of them."""

import errno
import fcntl
import functools
import os
import socket
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_TRIES = 5
_PAUSE = 0.05  # seconds; whoever looks whether a lock is held holds it for a moment
_held: "weakref.WeakSet[FileLock]" = weakref.WeakSet()


class LockHeldError(Exception):
    """Another process holds the lock; the message names it."""


class FileLock:
    """A lock that one process holds at a time; the file says which.

    Args:
        path: The lock's file, in a folder that exists once the lock is taken.
    """

    def __init__(self, *, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def acquire(self, *, without: Callable[[OSError], None]) -> None:
        """Take the lock.

        Args:
            without: Told the reason where the file system has no locks (NFS, Lustre, some FUSE); there is none then.

        Raises:
            LockHeldError: if another process holds it.
            OSError: if the file cannot be written.
        """
        _let_children_go()
        while True:
            file = self.path.open("a+b")
            try:
                _flock(file, holder=lambda: _holder(self.path))
            except LockHeldError:
                file.close()
                raise
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    file.close()
                    raise
                without(error)
            if _is_open_file(self.path, file.fileno()):  # else its holder has just removed it
                break
            file.close()
        self._file = file
        _held.add(self)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
        file.flush()

    def moved_to(self, path: Path) -> None:
        """The file has another path, because its folder was renamed."""
        self.path = path

    def release(self) -> None:
        """Let go of the lock and remove its file; does nothing where it is not held."""
        if self._file is not None:
            with suppress(OSError):  # of a folder that is gone, or cannot be written to any more
                self.path.unlink(missing_ok=True)
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        _held.discard(self)


def is_locked(path: Path) -> bool | None:
    """Whether a process holds the lock of a file; None: its file system has no locks, or it cannot be read."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _flock(file: BinaryIO, *, holder: Callable[[], str]) -> None:
    for attempt in range(_TRIES):
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt == _TRIES - 1:
                raise LockHeldError(holder()) from None
            time.sleep(_PAUSE)
        else:
            return


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or "another process"
    except OSError:
        return "another process"


def _is_open_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@functools.cache
def _let_children_go() -> None:
    """A forked process, such as one that loads images, must not hold on to the lock of one that was killed."""
    os.register_at_fork(after_in_child=_close_all)


def _close_all() -> None:
    for lock in list(_held):
        lock._close()

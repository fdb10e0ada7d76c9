"""Locks on files: one process at a time; a process that ends, in whatever way, lets go of them."""

import errno
import fcntl
import functools
import os
import socket
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from simtrain.errors import SimtrainError, system_reason

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
_TRIES = 5
_TRIES_TO_WRITE = 1200
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
        self._file: FileIO | None = None

    def acquire(self, *, without: Callable[[OSError], None], tries: int = _TRIES) -> None:
        """Take the lock.

        Args:
            without: Told the reason where the file system has no locks (NFS, Lustre, some FUSE); there is none then.
            tries: How often it is tried, 0.05 seconds apart.

        Raises:
            LockHeldError: if another process holds it.
            OSError: if the file cannot be made; `FileNotFoundError` also where its holder has just removed the folder.
        """
        _let_children_go()
        while True:
            file = self.path.open("a+b", buffering=0)
            try:
                _flock(file, tries=tries, holder=lambda: _holder(self.path))
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
        with suppress(OSError):  # of a full disk: the lock holds without a name
            file.truncate(0)
            _write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())

    def moved_to(self, path: Path) -> None:
        """The file has another path, because its folder was renamed."""
        self.path = path

    def release(self) -> None:
        """Let go of the lock and remove its file, unless that is another's by now; nothing where it is not held."""
        if self._file is not None:
            with suppress(OSError):  # of a folder that is gone, or cannot be written to any more
                if _is_open_file(self.path, self._file.fileno()):
                    self.path.unlink(missing_ok=True)
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        _held.discard(self)


@contextmanager
def written_by_one(path: Path, *, error: type[SimtrainError]) -> Iterator[None]:
    """Hold the lock of a file or folder for the moment of its writing, after whoever else writes it (a minute at most).

    The lock is `.NAME.lock` beside it. Where the file system has no locks, nobody is waited for.

    Args:
        path: What is written, in a folder that exists.
        error: Raised if another process does not let go, or the folder cannot be written to.
    """
    lock = FileLock(path=path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(without=lambda _: None, tries=_TRIES_TO_WRITE)
    except LockHeldError as held:
        raise error(f"{path}: is being written by {held}; try again when that has ended, or end it") from None
    except OSError as failure:
        raise error(f"{path}: cannot be written: {system_reason(failure)}") from None
    try:
        yield
    finally:
        lock.release()


def remove_left_locks(folder: Path) -> None:
    """Remove the locks of `written_by_one` that killed processes have left in a folder; held ones stay."""
    for path in folder.glob(".*.lock"):
        lock = FileLock(path=path)
        with suppress(LockHeldError, OSError):
            lock.acquire(without=lambda _: None, tries=1)
            lock.release()


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


def _flock(file: FileIO, *, tries: int, holder: Callable[[], str]) -> None:
    for attempt in range(tries):
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt == tries - 1:
                raise LockHeldError(holder()) from None
            time.sleep(_PAUSE)
        else:
            return


def _write(file: FileIO, content: bytes) -> None:
    file.write(content)


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

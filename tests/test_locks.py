"""A lock is held by one process, let go of at its end, and not handed down to its children."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simtrain import locks
from simtrain.locks import FileLock, LockHeldError, is_locked

HOLD = (
    "import sys; from pathlib import Path; from simtrain.locks import FileLock\n"
    "lock = FileLock(path=Path(sys.argv[1])); lock.acquire(without=print); print('held', flush=True); {then}\n"
)


@contextmanager
def held_by_another(path: Path, *, then: str = "sys.stdin.read()") -> Iterator[subprocess.Popen[str]]:
    script = [sys.executable, "-c", HOLD.format(then=then), str(path)]
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def refuse(error: OSError) -> None:
    raise AssertionError(error)


def test_another_process_is_refused_by_name_until_the_first_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_PAUSE", 0)
    lock = FileLock(path=tmp_path / "lock")
    with held_by_another(lock.path) as process:
        with pytest.raises(LockHeldError, match=f"^process {process.pid} on {os.uname().nodename}$"):
            lock.acquire(without=refuse)
        assert is_locked(lock.path)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert is_locked(lock.path) is False
    lock.acquire(without=refuse)
    assert lock.path.read_text() == f"process {os.getpid()} on {os.uname().nodename}"
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_a_child_that_outlives_a_killed_process_does_not_hold_on_to_its_lock(tmp_path: Path) -> None:
    then = "import os; os.fork() or print(os.getpid(), flush=True); sys.stdin.read()"  # the child tells that it runs
    with held_by_another(tmp_path / "lock", then=then) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        os.kill(child, 0)  # it lives
        assert is_locked(tmp_path / "lock") is False
        os.kill(child, signal.SIGKILL)


def test_released_twice_and_taken_again(tmp_path: Path) -> None:
    lock, other = FileLock(path=tmp_path / "lock"), FileLock(path=tmp_path / "lock")
    lock.release()
    lock.acquire(without=refuse)
    lock.release()
    lock.release()
    other.acquire(without=refuse)
    assert is_locked(other.path)
    other.release()
    assert is_locked(other.path) is False


def test_it_goes_along_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    lock = FileLock(path=tmp_path / "a" / "lock")
    lock.acquire(without=refuse)
    (tmp_path / "a").rename(tmp_path / "b")
    lock.moved_to(tmp_path / "b" / "lock")
    assert is_locked(tmp_path / "b" / "lock")
    lock.release()
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_system_without_locks_is_told_and_goes_on(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks.fcntl, "flock", no_locks)
    lock, told = FileLock(path=tmp_path / "lock"), list[int | None]()
    lock.acquire(without=lambda error: told.append(error.errno))
    assert told == [number]
    assert is_locked(lock.path) is None
    lock.release()


def test_a_lock_that_fails_otherwise_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(locks.fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output error"):
        FileLock(path=tmp_path / "lock").acquire(without=refuse)

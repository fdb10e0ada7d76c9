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
from simtrain.errors import BundleError
from simtrain.locks import FileLock, LockHeldError, is_locked, remove_left_locks, written_by_one

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


def test_the_lock_of_whoever_made_the_folder_anew_is_left_alone(tmp_path: Path) -> None:
    first, second = FileLock(path=tmp_path / "work" / "lock"), FileLock(path=tmp_path / "work" / "lock")
    first.path.parent.mkdir()
    first.acquire(without=refuse)
    first.path.unlink()  # with its folder, by its holder
    second.acquire(without=refuse)
    first.release()
    assert is_locked(second.path)
    second.release()
    assert not second.path.exists()


def test_a_full_disk_takes_the_lock_without_its_holders_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, other = FileLock(path=tmp_path / "lock"), FileLock(path=tmp_path / "lock")

    def full(_file: object, _content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(locks, "_PAUSE", 0)
    monkeypatch.setattr(locks, "_write", full)
    lock.acquire(without=refuse)
    with pytest.raises(LockHeldError, match=r"^another process$"):
        other.acquire(without=refuse)
    lock.release()


def test_who_writes_waits_for_who_writes_already(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from simtrain.errors import SimtrainError\n"
        "from simtrain.locks import written_by_one\n"
        "path = Path(sys.argv[1])\n"
        "for _ in range(200):\n"
        "    with written_by_one(path, error=SimtrainError):\n"
        "        path.write_text(str(int(path.read_text()) + 1))\n"
    )
    (tmp_path / "count").write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "count")]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "600"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


def test_who_does_not_let_go_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_PAUSE", 0)
    path = tmp_path / "bundle"
    with held_by_another(tmp_path / ".bundle.lock") as process:
        told = (
            f"{path}: is being written by process {process.pid} on {os.uname().nodename}; try again when that has ended"
        )
        with pytest.raises(BundleError) as caught, written_by_one(path, error=BundleError):
            pass
    assert str(caught.value) == f"{told}, or end it"


def test_a_folder_that_cannot_be_written_is_told_by_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "a.json"
    with pytest.raises(BundleError) as caught, written_by_one(path, error=BundleError):
        pass
    assert str(caught.value) == f"{path}: cannot be written: No such file or directory"


def test_locks_of_killed_processes_are_removed_and_held_ones_stay(tmp_path: Path) -> None:
    for name in (".lock", ".a.json.lock", "b.lock"):
        (tmp_path / name).touch()
    with held_by_another(tmp_path / ".held.json.lock"):
        remove_left_locks(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {".lock", "b.lock", ".held.json.lock"}

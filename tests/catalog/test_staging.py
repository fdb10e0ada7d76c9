"""Publishing is all or nothing, and leaves no trace when it fails."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from recording_console import RecordingConsole

from simtrain import locks
from simtrain.catalog import staging
from simtrain.catalog.staging import DOWNLOAD_FOLDER, SHARDS_FOLDER, WORK_FOLDER, publish, work_folder
from simtrain.console import SILENT
from simtrain.errors import CatalogError
from simtrain.locks import FileLock

NAMES = ["pictures", "notes.json", "table.parquet"]


def fill(folder: Path, *, content: str) -> None:
    (folder / "pictures").mkdir(parents=True)
    for path in ("pictures/a.png", "notes.json", "table.parquet"):
        (folder / path).write_text(content)


def publish_new(out: Path) -> None:
    with work_folder(out, console=SILENT) as staging:
        fill(staging, content="new")
        publish(staging, out, names=NAMES)


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_files_and_folders_are_replaced_and_others_stay(tmp_path: Path) -> None:
    fill(tmp_path, content="old")
    (tmp_path / "mine.txt").write_text("mine")
    with work_folder(tmp_path, console=SILENT) as staging:
        fill(staging, content="new")
        (staging / "notes.json").unlink()
        publish(staging, tmp_path, names=NAMES)
    expected = {"pictures/a.png": "new", "notes.json": "old", "table.parquet": "new", "mine.txt": "mine"}
    assert contents(tmp_path) == expected
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("failing", NAMES)
@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_at_any_step_undoes_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, exists: bool, error: BaseException
) -> None:
    out = tmp_path / "deep" / "out"
    if exists:
        fill(out, content="old")
    before = contents(tmp_path)

    def rename(self: Path, target: Path) -> Path:
        if target == out / failing and self != out / WORK_FOLDER / "previous" / failing:
            raise error
        os.replace(self, target)  # noqa: PTH105 - what is patched here
        return target

    monkeypatch.setattr(staging, "exchanged", lambda first, second: False)  # as on other systems than Linux
    monkeypatch.setattr(Path, "replace", rename)
    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(type(error)):
        publish_new(out)
    assert contents(tmp_path) == before
    assert (tmp_path / "deep").exists() is exists


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_folder_that_was_exchanged_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    fill(tmp_path, content="old")
    before = contents(tmp_path)

    def rename(self: Path, target: Path) -> Path:
        if target.name == "pictures" and target.parent.name == "previous":
            raise error
        os.rename(self, target)  # noqa: PTH104 - what is patched here
        return target

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(type(error)):
        publish_new(tmp_path)
    assert contents(tmp_path) == before


def test_a_folder_that_its_holder_has_just_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire, removed = FileLock.acquire, []

    def acquire_too_late(lock: FileLock, **settings: Any) -> None:
        if not removed:
            removed.append(lock.path.parent)
            lock.path.parent.rmdir()
        acquire(lock, **settings)

    monkeypatch.setattr(FileLock, "acquire", acquire_too_late)
    with work_folder(tmp_path / "out", console=SILENT) as work:
        assert [work] == removed
        assert (work / SHARDS_FOLDER).is_dir()
    assert not work.exists()


def test_half_a_backup_is_not_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, content="old")

    def half_a_copy(_source: Path, target: Path) -> None:
        target.write_text("o")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", half_a_copy)
    with pytest.raises(OSError, match="No space"):
        publish_new(tmp_path)
    assert set(contents(tmp_path).values()) == {"old"}


def test_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "mkdir", Mock(side_effect=PermissionError(13, "Permission denied")))
    with (
        pytest.raises(CatalogError, match=r"out: cannot be written to: Permission denied$"),
        work_folder(tmp_path / "out", console=SILENT),
    ):
        pass


def work_and_fail(out: Path, *, error: BaseException) -> None:
    with work_folder(out, console=SILENT) as work:
        (work / DOWNLOAD_FOLDER).mkdir()
        (work / DOWNLOAD_FOLDER / "part").write_text("half")
        (work / SHARDS_FOLDER / "a.facts").write_text("read")
        (work / "catalog.parquet").write_text("unfinished")
        raise error


def test_interruption_keeps_what_was_read_and_downloaded(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        work_and_fail(tmp_path / "out", error=KeyboardInterrupt())
    kept = {".prepare/download/part": "half", ".prepare/shards/a.facts": "read"}
    assert contents(tmp_path / "out") == kept
    with work_folder(tmp_path / "out", console=SILENT) as work:
        assert (work / SHARDS_FOLDER / "a.facts").is_file()
    assert not (tmp_path / "out" / WORK_FOLDER).exists()


def test_error_keeps_the_part_of_a_download_only(tmp_path: Path) -> None:
    with pytest.raises(CatalogError):
        work_and_fail(tmp_path / "out", error=CatalogError("no network"))
    assert contents(tmp_path / "out") == {".prepare/download/part": "half"}


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with (
        work_folder(tmp_path / "out", console=SILENT) as work,
        pytest.raises(
            CatalogError,
            match=rf"out: another simtrain prepare \(process {os.getpid()} on .*\) is at work in this folder; wait "
            r"until that has ended, or end it$",
        ),
        work_folder(tmp_path / "out", console=SILENT),
    ):
        pass
    assert not work.exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks.fcntl, "flock", no_locks)
    console = RecordingConsole()
    with work_folder(tmp_path / "out", console=console) as work:
        assert work.is_dir()
    told = f"{tmp_path / 'out'}: its file system has no locks ({os.strerror(number)}): start no second prepare in it"
    assert console.lines == [told]


def test_lock_that_fails_otherwise_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(locks.fcntl, "flock", broken)
    told = f"{tmp_path / 'out'}: cannot be written to: Input/output error"
    with pytest.raises(CatalogError) as caught, work_folder(tmp_path / "out", console=SILENT):
        pass
    assert str(caught.value) == told

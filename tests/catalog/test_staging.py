"""Publishing is all or nothing, and leaves no trace when it fails."""

import errno
import os
import shutil
from pathlib import Path
from unittest.mock import Mock

import pytest
from recording_console import RecordingConsole

from simtrain.catalog import staging
from simtrain.catalog.staging import DOWNLOAD_FOLDER, SHARDS_FOLDER, WORK_FOLDER, publish, work_folder
from simtrain.console import SILENT
from simtrain.errors import CatalogError

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

    def replace(self: Path, target: Path) -> Path:
        if self.name == failing and self.parent.name == WORK_FOLDER:
            raise error
        return self.rename(target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(type(error)):
        publish_new(out)
    assert contents(tmp_path) == before
    assert (tmp_path / "deep").exists() is exists


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
    kept = {".prepare/download/part": "half", ".prepare/shards/a.facts": "read", ".prepare/lock": ""}
    assert contents(tmp_path / "out") == kept
    with work_folder(tmp_path / "out", console=SILENT) as work:
        assert (work / SHARDS_FOLDER / "a.facts").is_file()
    assert not (tmp_path / "out" / WORK_FOLDER).exists()


def test_error_keeps_the_part_of_a_download_only(tmp_path: Path) -> None:
    with pytest.raises(CatalogError):
        work_and_fail(tmp_path / "out", error=CatalogError("no network"))
    assert contents(tmp_path / "out") == {".prepare/download/part": "half", ".prepare/lock": ""}


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with (
        work_folder(tmp_path / "out", console=SILENT) as work,
        pytest.raises(CatalogError, match=r"out: another simtrain prepare is at work in this folder$"),
        work_folder(tmp_path / "out", console=SILENT),
    ):
        pass
    assert not work.exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(staging.fcntl, "flock", no_locks)
    console = RecordingConsole()
    with work_folder(tmp_path / "out", console=console) as work:
        assert work.is_dir()
    told = f"{tmp_path / 'out'}: its file system has no locks ({os.strerror(number)}): start no second prepare in it"
    assert console.lines == [told]


def test_lock_that_fails_otherwise_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(staging.fcntl, "flock", broken)
    told = f"{tmp_path / 'out'}: cannot be written to: Input/output error"
    with pytest.raises(CatalogError) as caught, work_folder(tmp_path / "out", console=SILENT):
        pass
    assert str(caught.value) == told

"""A run that is alive is trained by nobody else, and one that was killed is called killed."""

import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from recording_console import RecordingConsole

from simtrain import locks
from simtrain.commands.fit import fit
from simtrain.config import RunConfig
from simtrain.console import SILENT
from simtrain.errors import CheckpointError
from simtrain.locks import FileLock
from simtrain.runs.run import open_run
from simtrain.runs.run_lock import LOCK_FILE, lock_run, with_present_status
from simtrain.training.checkpoints import WholeFileIO

MakeConfig = Callable[..., RunConfig]


def held(folder: Path) -> FileLock:
    lock = FileLock(path=folder / LOCK_FILE)
    lock_run(lock, folder, console=SILENT)
    return lock


def test_the_second_process_is_told_who_holds_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_PAUSE", 0)
    first = held(tmp_path)
    told = (
        f"{tmp_path}: this run is being trained by process {os.getpid()} on {os.uname().nodename}; wait until that "
        "has ended, or end it, and resume then"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(told)}$"):
        held(tmp_path)
    first.release()
    held(tmp_path).release()


def test_no_locks_are_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", no_locks)
    console = RecordingConsole()
    lock_run(FileLock(path=tmp_path / LOCK_FILE), tmp_path, console=console)
    told = f"{tmp_path}: its file system has no locks (No locks available): train this run in one process only"
    assert console.lines == [told]
    assert with_present_status(tmp_path, {"status": "running"}) == {"status": "running"}


def test_running_without_a_process_is_killed(tmp_path: Path) -> None:
    assert with_present_status(tmp_path, {"status": "running"}) == {"status": "killed"}
    (tmp_path / LOCK_FILE).touch()  # as a killed process leaves it
    assert with_present_status(tmp_path, {"status": "running"}) == {"status": "killed"}
    assert with_present_status(tmp_path, {"status": "finished"}) == {"status": "finished"}
    lock = held(tmp_path)
    assert with_present_status(tmp_path, {"status": "running"}) == {"status": "running"}
    lock.release()


def test_a_run_is_locked_while_it_trains_and_the_full_disk_that_ends_it_is_on_record(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when the first checkpoint is written: its name is told, and the run can be resumed."""
    config = make_config(run="full", trainer={"epochs": 1, "accelerator": "cpu"})
    folder, seen = Path(config.checkpoints) / "full", list[str]()

    def full(_io: WholeFileIO, _checkpoint: object, path: Path, storage_options: object = None) -> None:
        try:
            fit(config, resume=True, console=SILENT)
        except CheckpointError as error:
            seen.append(str(error))
        raise CheckpointError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr(locks, "_PAUSE", 0)
    with monkeypatch.context() as patched:
        patched.setattr(WholeFileIO, "save_checkpoint", full)
        with pytest.raises(CheckpointError, match=r"full/last\.ckpt: cannot be written: No space left on device$"):
            fit(config, resume=False, console=SILENT)
    assert len(seen) == 1
    assert "this run is being trained by process" in seen[0]
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "failed"
    assert record["reason"].endswith("last.ckpt: cannot be written: No space left on device")
    assert not (folder / LOCK_FILE).exists()
    fit(config, resume=True, console=SILENT)
    assert open_run(str(folder), checkpoints=folder.parent).record["status"] == "finished"
    assert not (folder / LOCK_FILE).exists()

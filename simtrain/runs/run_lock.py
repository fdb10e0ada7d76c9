"""Lock of a run's folder: one process trains a run at a time, and one that was killed lets go of it."""

from pathlib import Path
from typing import Any

from simtrain.console import Console
from simtrain.errors import CheckpointError, system_reason
from simtrain.files import remove_leftovers
from simtrain.locks import FileLock, LockHeldError, is_locked, remove_left_locks

LOCK_FILE = ".lock"
"""Below a run's folder, while it is trained."""


def lock_run(lock: FileLock, folder: Path, *, console: Console) -> None:
    """Take the lock of a run, until its `release` or the end of the process, and remove what a killed one left.

    Args:
        lock: Its file lies in the run's folder, or in what becomes that folder.
        folder: The run's folder, for messages.
        console: Told where the file system has no locks.

    Raises:
        CheckpointError: if another process trains the run, or the folder cannot be written to.
    """

    def without(error: OSError) -> None:
        console.line(f"{folder}: its file system has no locks ({error.strerror}): train this run in one process only")

    try:
        lock.acquire(without=without)
    except LockHeldError as error:
        raise CheckpointError(
            f"{folder}: this run is being trained by {error}; wait until that has ended, or end it, and resume then"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be written to: {system_reason(error)}") from None
    remove_left_locks(folder)
    for left in folder.glob(".*.tmp"):
        remove_leftovers(folder / left.name[1:].removesuffix(".tmp").rpartition(".")[0])


def with_present_status(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """The record of a run; one that still says `running`, and that no process trains, has the status `killed`."""
    if record["status"] == "running" and is_locked(folder / LOCK_FILE) is False:
        return {**record, "status": "killed"}
    return record

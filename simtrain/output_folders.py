"""Folders that commands write to: made before anything long runs, gone again where the command failed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simtrain.errors import SimtrainError, system_reason


@contextmanager
def output_folder(folder: Path, *, told_as: str, error: type[SimtrainError] = SimtrainError) -> Iterator[None]:
    """Make a folder with its parents and see that files can be written there; a block that fails leaves none empty.

    Args:
        folder: The folder; one that was there stays, whatever happens.
        told_as: What the user named, such as `--out FOLDER`, for the message.
        error: Class of the error.

    Raises:
        SimtrainError: of that class, before the block is entered, if the folder cannot be made or written to.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as reason:
            raise error(f"{told_as}: cannot be written: {system_reason(reason)}") from None
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):  # it holds something, and so do its parents
                path.rmdir()
        raise


def why_not_writable(folder: Path) -> str | None:
    """Why a folder cannot be made or written to, as a phrase; None: it can, as far as rights tell."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        return f"{existing} is a file"
    return None if os.access(existing, os.W_OK | os.X_OK) else f"{existing} cannot be written to"

"""Nothing half-written: results are finished in a folder of their own and then moved together."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from simtrain.errors import CatalogError


@contextmanager
def staging_folder(out: Path) -> Iterator[Path]:
    """A folder inside `out` for what is not finished; it goes at the end, and with it any folder made in vain.

    Raises:
        CatalogError: if `out` is a file or cannot be written to.
    """
    if out.exists() and not out.is_dir():
        raise CatalogError(f"{out}: is a file; --out takes a folder")
    made = [folder for folder in (out, *out.parents) if not folder.exists()]  # innermost first
    staging = out / f".staging.{os.getpid()}.tmp"
    try:
        try:
            staging.mkdir(parents=True)
        except OSError as error:
            raise cannot_write(out, error) from None
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        for folder in made:
            with suppress(OSError):  # holds the finished catalogue
                folder.rmdir()


def publish(staging: Path, out: Path, *, names: Sequence[str]) -> None:
    """Move what is finished to where it belongs, all of it or nothing.

    Args:
        staging: Folder of `staging_folder`.
        out: Where files and folders of the same names are replaced.
        names: What to move, in this order; the one that makes the others count comes last. Names that are not in
            `staging` are passed over.
    """
    names = [name for name in names if (staging / name).exists()]
    previous = staging / "previous"
    previous.mkdir()
    try:
        for name in names:
            if (out / name).is_dir():  # a folder cannot be replaced in one step
                (out / name).rename(previous / name)
            elif (out / name).exists():
                shutil.copy2(out / name, previous / name)
            (staging / name).replace(out / name)
    except BaseException:
        for name in names:
            if not (staging / name).exists():
                _remove(out / name)
            if (previous / name).exists() and not (out / name).exists():
                (previous / name).replace(out / name)
        raise


def cannot_write(out: Path, error: OSError) -> CatalogError:
    """The error for a full disk, a read-only folder and the like."""
    return CatalogError(f"{out}: cannot be written to: {error.strerror or error}")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

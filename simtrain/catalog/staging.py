"""Atomic writing of the catalogue's files: finished in a work folder, then moved together."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from simtrain.console import Console
from simtrain.errors import CatalogError, SimtrainError, system_reason
from simtrain.files import exchanged
from simtrain.locks import FileLock, LockHeldError

WORK_FOLDER = ".prepare"
"""Folder, inside the catalogue's, for what is not finished; a killed run leaves it, the next one goes on with it."""

DOWNLOAD_FOLDER = "download"
"""Folder in it for what is being downloaded; it stays where a download fails."""

MADE_FOLDER = "source"
"""Folder in it for a source that is made into files."""

SHARDS_FOLDER = "shards"
"""Folder in it for pictures and facts that have been read; it stays where a run is interrupted."""

PLAN_FILE = "plan.json"
"""What an interrupted run had decided about what it read; worth nothing by itself."""

_LOCK = "lock"
_TRIES = 100  # to make a folder that others remove at their end


class UnfinishedError(CatalogError):
    """An error after which what was read is worth keeping: the next run goes on with it."""


@contextmanager
def work_folder(out: Path, *, console: Console) -> Iterator[Path]:
    """The work folder of `out`, for one process at a time; it goes at the end, and with it any folder made in vain.

    After an interruption it stays if it holds images that were read; after an error, if it holds a download. Where
    the file system has no locks (NFS, Lustre, some FUSE) there is none, and that is told.

    Raises:
        CatalogError: if `out` is a file or cannot be written to, or another process is preparing it.
    """
    if out.exists() and not out.is_dir():
        raise CatalogError(f"{out}: is a file; --out takes a folder")
    made = [folder for folder in (out, *out.parents) if not folder.exists()]  # innermost first
    work = out / WORK_FOLDER
    kept: tuple[str, ...] = ()
    try:
        with _locked(work, out, console=console):
            (work / SHARDS_FOLDER).mkdir(exist_ok=True)
            try:
                yield work
            except UnfinishedError:
                kept = (DOWNLOAD_FOLDER, SHARDS_FOLDER, MADE_FOLDER)
                raise
            except SimtrainError:
                kept = (DOWNLOAD_FOLDER,)
                raise
            except BaseException:
                kept = (DOWNLOAD_FOLDER, SHARDS_FOLDER, MADE_FOLDER)
                raise
            finally:
                _clear(work, kept=kept)
    finally:
        for folder in made:
            with suppress(OSError):  # holds the finished catalogue, or work to go on with
                folder.rmdir()


def publish(staging: Path, out: Path, *, names: Sequence[str]) -> None:
    """Move what is finished to where it belongs, all of it or nothing.

    Args:
        staging: Folder that holds it.
        out: Where files and folders of the same names are replaced.
        names: What to move, in this order; the one that makes the others count comes last. Names that are not in
            `staging` are passed over. While a folder is replaced, the last one is not there: a kill leaves it out
            rather than beside a folder of another time.
    """
    names = [name for name in names if (staging / name).exists()]
    previous = staging / "previous"
    shutil.rmtree(previous, ignore_errors=True)  # of a run that was killed just here
    previous.mkdir()
    try:
        if any((out / name).is_dir() for name in names) and (out / names[-1]).is_file():
            (out / names[-1]).rename(previous / names[-1])
        for name in names:
            if (out / name).is_dir():
                _put_folder(staging / name, out / name, previous=previous / name)
                continue
            if (out / name).exists():
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
    return UnfinishedError(f"{out}: cannot be written to: {system_reason(error)}")


@contextmanager
def _locked(work: Path, out: Path, *, console: Console) -> Iterator[None]:
    """Hold the folder's lock, which a killed process lets go of."""

    def without(error: OSError) -> None:
        console.line(f"{out}: its file system has no locks ({error.strerror}): start no second prepare in it")

    lock = FileLock(path=work / _LOCK)
    try:
        _take(lock, work, without=without)
    except LockHeldError as held:
        raise CatalogError(
            f"{out}: another simtrain prepare ({held}) is at work in this folder; wait until that has ended, or end it"
        ) from None
    except OSError as error:
        raise CatalogError(str(cannot_write(out, error))) from None
    try:
        yield
    finally:
        lock.release()


def _take(lock: FileLock, work: Path, *, without: Callable[[OSError], None]) -> None:
    for attempt in range(_TRIES):
        try:
            work.mkdir(parents=True, exist_ok=True)
            lock.acquire(without=without)
        except FileNotFoundError:  # another one has just removed the folder at its end
            if attempt == _TRIES - 1:
                raise
        else:
            return


def _clear(work: Path, *, kept: Sequence[str]) -> None:
    worth = [name for name in kept if any(path.name != PLAN_FILE for path in (work / name).glob("*"))]
    if worth in ([], [MADE_FOLDER]):  # what was made alone is made again
        shutil.rmtree(work, ignore_errors=True)
        return
    for path in work.iterdir():
        if path.name not in (*worth, _LOCK):
            _remove(path)


def _put_folder(folder: Path, place: Path, *, previous: Path) -> None:
    """Put a folder in the place of another, which becomes `previous`; in one step where the system can.

    All of it happens below the folder of `previous`, of which nothing is used again after a kill.
    """
    waiting = previous.with_name(f"{previous.name}.new")
    folder.rename(waiting)
    swapped = exchanged(waiting, place)
    try:
        (waiting if swapped else place).rename(previous)
        if not swapped:
            waiting.rename(place)
    except BaseException:
        if swapped:
            exchanged(waiting, place)
        with suppress(OSError):  # it is in its place; the one who calls takes it away
            waiting.rename(folder)
        raise


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

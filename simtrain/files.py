"""Atomic writing of files and folders, JSON files, and SHA-256 hashes."""

import ctypes
import glob
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from simtrain.errors import SimtrainError, first_line, system_reason

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


@contextmanager
def whole_file(path: Path, *, error: type[SimtrainError] | None = None, sync: bool = False) -> Iterator[Path]:
    """Write a file whole or not at all: a reader, an error or a kill never meets half of it.

    The block writes a hidden file beside the target, which takes the target's place when the block ends and is removed
    when the block fails. Only a kill leaves it, as `.NAME.PID.tmp`, until the file is written again.

    Args:
        path: The file, in a folder that exists; an older one is replaced.
        error: Raised for an `OSError`, with the path and the reason; None: the `OSError` itself.
        sync: Wait until the content is on the disk, so that a power cut cannot lose it either.

    Yields:
        The path to write to.

    Raises:
        OSError: that names the file, not what was written beside it.
    """
    temporary = _beside(path)
    remove_leftovers(path)
    with ExitStack() as stack:
        stack.enter_context(_named(path, error=error))
        stack.callback(_give_up, temporary)
        yield temporary
        if sync:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(path)


def write_together(contents: Mapping[Path, bytes], *, error: type[SimtrainError] | None = None) -> None:
    """Write files that belong together, such as figures and their page: all of them, or none.

    Killed in the middle of their renames, the files after the first are missing (the old ones are then hidden, as
    `.NAME.PID.old`, until they are written again); never is a new one beside an old one.

    Args:
        contents: File, in a folder that exists -> content; the file that counts comes first.
        error: As for `whole_file`.

    Raises:
        OSError: that names the file which cannot be written; all are then as they were.
    """
    first, *others = contents
    with ExitStack() as stack:
        for path, content in contents.items():
            remove_leftovers(path)
            stack.callback(_give_up, _beside(path))
            with _named(path, error=error):
                _beside(path).write_bytes(content)
        with _named(first, error=error):
            _take_places(first, others)
    for path in contents:
        remove_leftovers(path)


def replace_folder(work: Path, target: Path) -> None:
    """Rename a folder to `target`; one that is there is exchanged with it, in one step where the system can (Linux).

    Elsewhere it takes two, and a process killed in between leaves the old folder as `.NAME.PID.old`.

    Args:
        work: The new folder; the old one has its name afterwards, or is removed.
        target: Its place, in the same folder.

    Raises:
        OSError: if it cannot be renamed; the target is then as it was.
    """
    if not target.exists():
        work.rename(target)
    elif not exchanged(work, target):
        old = _aside(target)
        target.rename(old)
        try:
            work.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    remove_leftovers(target)


def exchanged(first: Path, second: Path) -> bool:
    """Have two files or folders change names in one step; False: not done, as the system or file system cannot."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0)


@contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target` to fill; the block renames it to `target` as its last act.

    Whatever is left under the hidden name when the block ends is removed. Missing parents are made.

    Yields:
        The empty folder, `.NAME.PID.tmp`.
    """
    staging = _beside(target)
    remove_leftovers(target)
    shutil.rmtree(staging, ignore_errors=True)  # left by a killed process of the same number
    try:
        staging.mkdir(parents=True)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes have left beside a file or folder: `.NAME.PID.tmp`, and `.NAME.PID.old`.

    An old one stays where nothing has taken its place. What belongs to a process that is alive stays, and so does what
    cannot be removed.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        number, _, kind = left.name.removeprefix(f".{path.name}.").partition(".")
        if not number.isdecimal() or _is_alive(int(number)) or not (kind == "tmp" or (kind == "old" and path.exists())):
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(OSError):
                left.unlink()


def write_whole(path: Path, content: bytes, *, error: type[SimtrainError] | None = None) -> None:
    """Write bytes to a file, whole or not at all; see `whole_file`."""
    with whole_file(path, error=error) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: Mapping[str, Any], *, error: type[SimtrainError] | None = None) -> None:
    """Write a JSON file of `json_text`, with a line break at its end, whole or not at all; see `whole_file`.

    Raises:
        TypeError: for a value that JSON cannot hold; the file stays as it was.
    """
    write_whole(path, json_bytes(content), error=error)


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """What `write_json` writes."""
    return (json_text(content) + "\n").encode(errors="backslashreplace")  # half a surrogate pair: as JSON escapes it


def json_text(content: Any, *, ascii_only: bool = False) -> str:
    """JSON with an indent of 2 that every reader takes: NaN and infinity, which JSON does not have, are null.

    Args:
        content: Plain values.
        ascii_only: Write every other character as an escape.

    Raises:
        TypeError: for a value that JSON cannot hold.
    """
    return json.dumps(_finite(content), indent=2, ensure_ascii=ascii_only, allow_nan=False)


def read_json(path: Path, *, error: type[SimtrainError]) -> dict[str, Any]:
    """A JSON file that holds an object.

    Args:
        path: The file.
        error: Raised with the path and the reason for one that cannot be read, is no JSON, or is no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as failure:
        raise error(f"{path}: cannot be read: {system_reason(failure)}") from None
    except (ValueError, RecursionError) as failure:
        raise error(f"{path}: not JSON, or damaged: {first_line(failure, to=160).partition('; use sys.')[0]}") from None
    if not isinstance(content, dict):
        raise error(f"{path}: damaged: holds {type(content).__name__} where an object should be")
    return content


def sha256_of_bytes(content: bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's content as 64 hexadecimal digits; the file is read in pieces.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_if_readable(path: Path) -> str:
    """`sha256_of_file`; an empty text for a file that cannot be read, which equals no hash."""
    try:
        return sha256_of_file(path)
    except OSError:
        return ""


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


@contextmanager
def _named(path: Path, *, error: type[SimtrainError] | None) -> Iterator[None]:
    """Errors of the system name the file, not what is written beside it."""
    try:
        yield
    except OSError as failure:
        if failure.errno is not None and failure.filename in (None, str(_beside(path))):
            failure.filename = str(path)
        if error is None:
            raise
        raise error(f"{path}: cannot be written: {system_reason(failure)}") from None


def _take_places(first: Path, others: Sequence[Path]) -> None:
    """Rename what was written beside files that belong together; old ones go aside, so that none stays by itself."""
    aside: dict[Path, Path] = {}
    try:
        for path in others:
            if path.exists():
                aside[path] = path.rename(_aside(path))
        _beside(first).replace(first)
    except BaseException:
        for path, old in aside.items():
            old.rename(path)
        raise
    for path in others:
        _beside(path).replace(path)
    for old in aside.values():
        old.unlink()


def _give_up(temporary: Path) -> None:
    """Remove what was written, and give its space back at once: a library may still have the file open."""
    with suppress(OSError):  # after a failure of the folder itself; the first error is the one to tell
        os.truncate(temporary, 0)
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


def _is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # of another user
        return True
    return True


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.old")

"""Reading of a bundle that may be replaced meanwhile: what is opened is what was hashed."""

import glob
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from simtrain.errors import BundleError, system_reason
from simtrain.files import sha256_of_bytes

Opened = TypeVar("Opened")

_ATTEMPTS = 100
_PAUSE = 0.02  # seconds; between two renames a bundle is nowhere

_Stamp = tuple[int, ...] | None


class BeingReplacedError(BundleError):
    """A bundle that is replaced faster than it can be opened."""


def read_checked(path: Path, *, sha256: str) -> bytes:
    """The content of a file, read once.

    Args:
        path: The file.
        sha256: What the manifest says of it.

    Raises:
        BundleError: if it cannot be read, or is no longer that content.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {system_reason(error)}") from None
    check_hash(path, sha256_of_bytes(content), expected=sha256)
    return content


def check_hash(path: Path, found: str, *, expected: str) -> None:
    """Refuse content of another hash than the manifest's, by the path that it was read from.

    Raises:
        BundleError: if they differ.
    """
    if found != expected:
        raise BundleError(
            f"{path}: altered or of another bundle: its SHA-256 is {found[:12]}…, manifest.json says "
            f"{expected[:12]}…; export the bundle again"
        )


class HashingReader:
    """A file whose content is hashed while somebody else reads it.

    Args:
        file: Open for reading, at its beginning.
    """

    def __init__(self, *, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def __call__(self, size: int) -> bytes:
        """The next bytes: `size` of them, or what is left."""
        content = self._file.read(size)
        self._hash.update(content)
        return content

    def sha256(self) -> str:
        """SHA-256 of the whole file, the part that nobody has read included."""
        while self(1 << 20):
            pass
        return self._hash.hexdigest()


def open_while_replaced(folder: Path, opening: Callable[[], Opened]) -> Opened:
    """What `opening` makes of a bundle; it starts over where it failed because another bundle took the place meanwhile.

    Args:
        folder: The bundle's folder.
        opening: Opens it, and raises where a file is not what the manifest says.

    Raises:
        BeingReplacedError: if the bundle is replaced again and again.
        Exception: of `opening`, where the bundle stayed the same.
    """
    for _ in range(_ATTEMPTS):
        before = _stamp(folder)
        try:
            return opening()
        except BeingReplacedError:  # of an inner call, which has tried long enough
            raise
        except Exception:
            if _stamp(folder) == before and not _is_between_renames(folder):
                raise
        time.sleep(_PAUSE)
    raise BeingReplacedError(f"{folder}: is replaced again and again; try again when that has ended")


def _stamp(folder: Path) -> _Stamp:
    """What changes when another bundle takes the place: by a rename, a link, or file by file."""
    try:
        found = (folder.lstat(), folder.stat(), (folder / "manifest.json").stat())
    except OSError:
        return None
    return tuple(number for one in found for number in (one.st_dev, one.st_ino, one.st_ctime_ns))


def _is_between_renames(folder: Path) -> bool:
    target = folder.resolve()
    return not target.exists() and any(target.parent.glob(f".{glob.escape(target.name)}.*.old"))

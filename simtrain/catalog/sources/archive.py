"""Safe unpacking of zip and tar archives from untrusted sources."""

import bz2
import calendar
import gzip
import lzma
import os
import re
import shutil
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from simtrain.console import Console
from simtrain.errors import CatalogError, first_line, system_reason

_MOST_MEMBERS = 5_000_000
_CHUNK = 1 << 20
_LONGEST_READ = 16 << 20
"""Bytes. No header of a tar is longer: one that claims to be is after our memory."""

_NAME_BYTES = 255
"""What file systems take for one name."""

_ENCRYPTED = 0x1
_UTF8 = 0x800
"""Flags of a zip's members."""

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_LATEST = 2.0**32
_NO_FILE = "is a link or a device; only files and folders are unpacked"
_ONE_PLACE = "differ in upper and lower case only; unpack the archive yourself and give the folder"
_COMPRESSIONS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": partial(gzip.open, mode="rb"),
    b"BZh": partial(bz2.open, mode="rb"),
    b"\xfd7zXZ\x00": partial(lzma.open, mode="rb"),
}


def unpack_archive(archive: Path, folder: Path, *, largest_bytes: int, console: Console) -> None:
    """Write the files of a zip or tar (plain, .gz, .bz2, .xz) into a folder; nothing outside it is touched.

    Every member is looked at before the first is written. Files keep the modification time that the archive gives (a
    zip's, which has no time zone, is taken for UTC), so that unpacking again gives the same. `__MACOSX` and `.DS_Store`
    are left out, as are empty folders. Names that are not UTF-8 are read as code page 437; a backslash parts folders.

    Args:
        archive: The file; its kind is told by its first bytes, not by its name.
        folder: Made if missing. After an error it may hold some of the files.
        largest_bytes: Most bytes that the files may have in all, whatever the archive says of itself.
        console: Shows how many members have been written.

    Raises:
        CatalogError: for damaged, encrypted and foreign archives; members that would leave the folder, are links or
            devices, or cannot lie beside each other on every file system; more bytes than allowed or free.
    """
    with ExitStack() as opened:
        with _told(archive):
            folder.mkdir(parents=True, exist_ok=True)
            bounds = _Bounds(archive=archive, largest=largest_bytes, free=shutil.disk_usage(folder).free)
            files = _files(archive, opened, bounds=bounds)
        _refuse_collisions(archive, files)
        written = 0
        for member in console.bar(files, len(files), "unpacking"):
            with _told(archive, member.name):
                written = _write(member, folder.joinpath(*member.parts), written=written, bounds=bounds)


@dataclass(frozen=True, kw_only=True)
class _Member:
    name: str
    is_folder: bool
    size: int
    modified: float
    open: Callable[[], AbstractContextManager[IO[bytes]]]

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(part for part in self.name.split("/") if part not in ("", "."))


@dataclass(frozen=True, kw_only=True)
class _Bounds:
    archive: Path
    largest: int
    free: int

    def check(self, total: int, *, member: str) -> None:
        where = f"{self.archive}: {member}"
        if total > self.largest:
            raise CatalogError(
                f"{where}: with it the files have more than the {self.largest:,} bytes allowed; if they are what they "
                "should be, unpack the archive yourself and give the folder"
            )
        if total > self.free:
            raise CatalogError(f"{where}: with it the files have more than the {self.free:,} bytes free on the disk")


@contextmanager
def _told(archive: Path, member: str | None = None) -> Iterator[None]:
    where = f"{archive}: {member}" if member is not None else f"{archive}"
    try:
        yield
    except CatalogError:
        raise
    except OSError as error:
        raise CatalogError(f"{where}: cannot be unpacked: {system_reason(error)}") from None
    except Exception as error:  # the parsers raise whatever they trip over
        raise CatalogError(f"{where}: cannot be unpacked: {first_line(error)}") from None


def _files(archive: Path, opened: ExitStack, *, bounds: _Bounds) -> list[_Member]:
    """What is to be written, in the archive's order; the sizes it claims are held against the bounds on the way."""
    files = []
    claimed = 0
    for number, member in enumerate(_members(archive, opened), start=1):
        if number > _MOST_MEMBERS:
            raise CatalogError(f"{archive}: {member.name}: comes after {_MOST_MEMBERS:,} others, which is the most")
        claimed += member.size
        bounds.check(claimed, member=member.name)
        if not member.is_folder and not _is_clutter(member.parts):
            files.append(member)
    if not files:
        raise CatalogError(f"{archive}: holds no files")
    return files


def _members(archive: Path, opened: ExitStack) -> Iterator[_Member]:
    with archive.open("rb") as file:
        head = file.read(tarfile.BLOCKSIZE)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_members(archive, opened.enter_context(zipfile.ZipFile(archive)))
    for magic, decompressed in _COMPRESSIONS.items():
        if head.startswith(magic):
            return _tar_members(archive, opened.enter_context(decompressed(archive)), opened)
    if head[257:262] == b"ustar":
        return _tar_members(archive, opened.enter_context(archive.open("rb")), opened)
    raise CatalogError(f"{archive}: neither a zip nor a tar archive (.tar, .tar.gz, .tar.bz2, .tar.xz)")


def _zip_members(archive: Path, opened: zipfile.ZipFile) -> Iterator[_Member]:
    for info in opened.infolist():
        name = _checked_name(archive, _zip_name(info))
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise CatalogError(f"{archive}: {name}: {_NO_FILE}")
        if info.flag_bits & _ENCRYPTED:
            raise CatalogError(f"{archive}: {name}: is encrypted; unpack the archive yourself and give the folder")
        yield _Member(
            name=name,
            is_folder=name.endswith("/"),
            size=info.file_size,
            modified=_zip_time(info.date_time),
            open=partial(opened.open, info),
        )


def _tar_members(archive: Path, source: IO[bytes], opened: ExitStack) -> Iterator[_Member]:
    bounded = _BoundedReads(source)
    # Read, seek and tell are all that tarfile asks of a file; its types ask for more.
    tar = opened.enter_context(tarfile.TarFile(fileobj=cast(IO[bytes], bounded), encoding="utf-8"))
    for info in tar:
        name = _checked_name(archive, _tar_name(info.name))
        if not info.isreg() and not info.isdir():
            raise CatalogError(f"{archive}: {name}: {_NO_FILE}")
        if info.size < 0:  # some versions of tarfile would go round in circles
            raise CatalogError(f"{archive}: {name}: cannot be unpacked: its size is {info.size}")
        yield _Member(
            name=name,
            is_folder=info.isdir(),
            size=info.size,
            modified=min(max(float(info.mtime), 0.0), _LATEST),
            open=partial(_open_in_tar, tar, info),
        )
    _refuse_cut_short(archive, bounded, end=tar.offset)


def _open_in_tar(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(info)
    assert file is not None  # None is for what is no file
    return file


class _BoundedReads:
    """What tarfile asks of a file, but no more bytes at once than a sane archive needs."""

    def __init__(self, source: IO[bytes]) -> None:
        self.seek, self.tell, self._source = source.seek, source.tell, source

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LONGEST_READ:
            raise tarfile.ReadError(f"a header claims {size:,} bytes")
        return self._source.read(size)


def _refuse_cut_short(archive: Path, source: _BoundedReads, *, end: int) -> None:
    """The end mark has to be there, and what comes after it is read to have the compression's checksum verified."""
    source.seek(end)
    if source.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise CatalogError(f"{archive}: cannot be unpacked: it is damaged or cut short after {end:,} bytes")
    for _ in range(64):
        if not source.read(_CHUNK):
            return
    raise CatalogError(f"{archive}: cannot be unpacked: too much stands after its end mark")


def _zip_name(info: zipfile.ZipInfo) -> str:
    if not info.flag_bits & _UTF8:  # said to be code page 437; many tools write UTF-8 all the same
        try:
            return info.orig_filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return info.orig_filename


def _tar_name(name: str) -> str:
    raw = name.encode("utf-8", errors="surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _zip_time(moment: tuple[int, int, int, int, int, int]) -> float:
    try:
        return float(calendar.timegm(moment))
    except ValueError:  # month 0 and the like
        return float(calendar.timegm(_ZIP_EPOCH))


def _checked_name(archive: Path, name: str) -> str:
    name = name.replace("\\", "/")
    parts = name.split("/")
    problem = None
    if "\0" in name:
        problem = "has a NUL character in its name"
    elif name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in parts:
        problem = "would lie outside the folder that the archive is unpacked into"
    elif any(len(part.encode()) > _NAME_BYTES for part in parts):
        problem = f"has a name of more than {_NAME_BYTES} bytes"
    if problem is not None:
        raise CatalogError(f"{archive}: {name!r}: {problem}")
    return name


def _is_clutter(parts: Sequence[str]) -> bool:
    return "__MACOSX" in parts or parts[-1:] in ((), (".DS_Store",))


def _refuse_collisions(archive: Path, files: Sequence[_Member]) -> None:
    """Two names for one place, here or where upper and lower case are one."""
    folders: dict[str, str] = {}
    for member in files:
        for depth in range(1, len(member.parts)):
            name = "/".join(member.parts[:depth])
            other = folders.setdefault(_place(name), name)
            if other != name:
                raise CatalogError(f"{archive}: {member.name}: the folders '{other}' and '{name}' {_ONE_PLACE}")
    seen: dict[str, str] = {}
    for member in files:
        name = "/".join(member.parts)
        first = seen.get(_place(name))
        if first == name:
            raise CatalogError(f"{archive}: {member.name}: stands twice in it")
        if first is not None:
            raise CatalogError(f"{archive}: {member.name}: '{first}' and '{name}' {_ONE_PLACE}")
        if _place(name) in folders:
            raise CatalogError(f"{archive}: {member.name}: is a file and a folder at once")
        seen[_place(name)] = name


def _place(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _write(member: _Member, target: Path, *, written: int, bounds: _Bounds) -> int:
    """The bytes written in all; counted as they come, as headers may lie."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with member.open() as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            bounds.check(written, member=member.name)
            file.write(chunk)
    os.utime(target, (member.modified, member.modified))
    return written

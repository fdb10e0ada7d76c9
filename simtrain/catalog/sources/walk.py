"""Listing of a source folder: the images below it, and an account of every file that is none of them."""

import os
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from simtrain.catalog.picture_kinds import (
    HEAD_BYTES,
    HEIC_HINT,
    HEIF_SUFFIXES,
    IMAGE_SUFFIXES,
    NO_PICTURE_SUFFIXES,
    UNREAD_PICTURE_SUFFIXES,
    picture_suffix,
    reads_heif,
)
from simtrain.catalog.sources.clutter import is_clutter, without_thumbnails
from simtrain.catalog.sources.generated import MARKER_FILE
from simtrain.catalog.staging import WORK_FOLDER
from simtrain.files import sha256_of_bytes
from simtrain.phrases import counted

_OWN = frozenset(
    {
        WORK_FOLDER, "catalog.parquet", "findings.json", "summary.html", "images.parquet", "images.raw", "images.jpeg",
        "embeddings",
    }
)  # fmt: skip
"""What lies in a catalogue's folder, where that is the source folder itself."""

_TABLES = frozenset({".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xlsm"})
_SIDECARS = frozenset({".txt", ".caption", ".json"})
_ARCHIVES = frozenset({".7z", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip"})
_STORES = frozenset({".arrow", ".tfrecord", ".lmdb", ".mdb", ".h5", ".hdf5", ".npz", ".npy", ".pkl", ".pickle", ".mat"})
_SHOWN_SUFFIXES = 4
_DEEPEST = 200


def _suffix(path: str) -> str:
    return posixpath.splitext(path)[1].lower()


@dataclass(kw_only=True)
class Seen:
    """Files of one sort that are not taken: how many of each suffix, and the first of them."""

    suffixes: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, suffix: str, path: str) -> None:
        """Count a file."""
        self.examples.setdefault(suffix, path)
        self.suffixes[suffix] = self.suffixes.get(suffix, 0) + 1

    def without(self, paths: Sequence[str], *, known: Sequence[str]) -> "Seen":
        """The others, where some are read after all; the first of them is looked for among those that are known."""
        suffixes = Counter(self.suffixes) - Counter(_suffix(path) for path in paths)
        examples = {suffix: self.examples[suffix] for suffix in suffixes}
        for suffix in {_suffix(path) for path in paths if path in examples.values()}:
            examples[suffix] = next((path for path in known if path not in paths and _suffix(path) == suffix), "")
        return Seen(suffixes=dict(suffixes), examples=examples)

    @property
    def files(self) -> int:
        """How many there are."""
        return sum(self.suffixes.values())

    @property
    def example(self) -> str:
        """One of them."""
        return next(iter(self.examples.values()))

    def told(self) -> str:
        """Such as `11 files (7 .heic, 4 without a suffix), such as 'mug/IMG_0.HEIC'`."""
        ordered = sorted(self.suffixes.items(), key=lambda item: (-item[1], item[0]))
        kinds = [f"{count} {suffix or 'without a suffix'}" for suffix, count in ordered[:_SHOWN_SUFFIXES]]
        others = sum(count for _, count in ordered[_SHOWN_SUFFIXES:])
        kinds += [f"{others} of other kinds"] if others else []
        return f"{counted(self.files, 'file')} ({', '.join(kinds)}), such as '{self.example}'"


@dataclass(kw_only=True)
class Listing:
    """What lies below a folder.

    Attributes:
        folder: The folder as it was named, for messages.
        root: The same, resolved.
        images: Sorted POSIX paths of the images, relative to the root.
        findings: Files and folders that are left out, one by one (`left_out`).
        pictures: Pictures of kinds that are not read.
        others: Files that are no pictures.
        clutter: Names of what other programs left behind, with the number of files in it; hidden files as `.`.
        tables: Paths of the tables among `others`, sorted.
        sidecars: Paths of the texts and JSON files among them, sorted.
    """

    folder: Path
    root: Path
    images: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    pictures: Seen = field(default_factory=Seen)
    others: Seen = field(default_factory=Seen)
    clutter: dict[str, int] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)
    sidecars: list[str] = field(default_factory=list)

    def account(self) -> list[dict[str, Any]]:
        """`findings`, and one finding for each sort of files that are not looked at."""
        found = list(self.findings)
        if self.pictures.files:
            heif = not HEIF_SUFFIXES.isdisjoint(self.pictures.suffixes)
            way = f"; {HEIC_HINT}" if heif else "; save them as JPEG or PNG"
            message = f"pictures of kinds that are not read: {self.pictures.told()}{way}"
            found.append({"kind": "pictures_not_read", **_counts(self.pictures), "message": message})
        if self.others.files:
            packed = "" if _ARCHIVES.isdisjoint(self.others.suffixes) else "; archives are not opened: unpack them"
            if not _STORES.isdisjoint(self.others.suffixes):
                packed += (
                    "; pictures inside them are not read: write them to image files, or with datasets to_parquet()"
                )
            message = f"not looked at, as they are no pictures: {self.others.told()}{packed}"
            found.append({"kind": "other_files", **_counts(self.others), "message": message})
        clutter = {name: files for name, files in sorted(self.clutter.items()) if files}
        if clutter:
            named = [f"{files} hidden" if name == "." else f"{files} in {name}" for name, files in clutter.items()]
            message = f"passed over, as other programs leave it behind: {', '.join(named)}"
            found.append({"kind": "clutter", "files": sum(clutter.values()), "names": clutter, "message": message})
        return found

    def without(self, paths: Sequence[str]) -> "Listing":
        """The same with some files among `others` read after all."""
        return replace(self, others=self.others.without(paths, known=[*self.tables, *self.sidecars]))

    def described(self) -> dict[str, Any]:
        """What lies there, as plain values, to notice a change."""
        images, sidecars = (sha256_of_bytes("\n".join(paths).encode()) for paths in (self.images, self.sidecars))
        return {"images": images, "account": self.account(), "tables": self.tables, "sidecars": sidecars}


def list_folder(root: Path, *, output: Path, follow_links: bool) -> Listing:
    """List what lies below a folder.

    A file is an image by its suffix; one without a suffix, or with one that says nothing, by its first bytes. Hidden
    files and what other programs leave behind are counted only.

    Args:
        root: The folder.
        output: Folder that results go to; where it lies inside `root`, it is no part of the source.
        follow_links: Take links to files and folders outside `root`; a link to a folder inside it, or around it, is
            left out in any case.
    """
    walk = _Walk(listing=Listing(folder=root, root=root.resolve()), output=output.resolve(), follow_links=follow_links)
    found = sorted(walk.images_below(str(walk.listing.root), prefix=""))
    walk.listing.images, thumbnails = without_thumbnails(found)
    walk.listing.clutter |= thumbnails
    walk.listing.tables.sort()
    walk.listing.sidecars.sort()
    return walk.listing


def _counts(seen: Seen) -> dict[str, Any]:
    suffixes = dict(sorted(seen.suffixes.items()))
    return {"files": seen.files, "suffixes": suffixes, "examples": [seen.example]}


@dataclass(kw_only=True)
class _Walk:
    listing: Listing
    output: Path
    follow_links: bool
    linked: set[Path] = field(default_factory=set)

    def images_below(self, folder: str, *, prefix: str) -> Iterator[str]:
        """POSIX paths, relative to the root, of the images in a folder and below it."""
        # Plain strings and scandir's own knowledge of each entry: a Path and a stat for each of 100,000 files is slow.
        if prefix.count("/") > _DEEPEST:
            self._leave_out(prefix.rstrip("/"), f"lies more than {_DEEPEST} folders deep")
            return
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._leave_out(prefix.rstrip("/") or ".", f"the folder cannot be listed: {error.strerror}")
            return
        own = _OWN if Path(folder) == self.output else frozenset()
        for entry in listed:
            if entry.name in own or entry.name == MARKER_FILE:
                continue
            path = f"{prefix}{entry.name}"
            if entry.name.startswith(".") or is_clutter(entry.name):
                self._count_clutter(entry)
            elif entry.is_dir(follow_symlinks=False):
                if Path(entry.path) != self.output:
                    yield from self.images_below(entry.path, prefix=f"{path}/")
            elif entry.is_symlink() and os.path.isdir(entry.path):  # noqa: PTH112 - a Path raises for names too long
                if self._follows(entry, path):
                    yield from self.images_below(entry.path, prefix=f"{path}/")
            elif self._takes(entry, path):
                yield path

    def _count_clutter(self, entry: os.DirEntry[str]) -> None:
        name = "." if entry.name.startswith(".") else entry.name
        if Path(entry.path) == self.output:
            return
        inside = 1
        if entry.is_dir(follow_symlinks=False):
            inside = sum(len(names) for _, _, names in os.walk(entry.path, onerror=self._note_unlisted))
        self.listing.clutter[name] = self.listing.clutter.get(name, 0) + inside

    def _note_unlisted(self, error: OSError) -> None:
        path = os.path.relpath(str(error.filename), self.listing.root)
        self._leave_out(path, f"the folder cannot be listed: {error.strerror}")

    def _follows(self, entry: os.DirEntry[str], path: str) -> bool:
        target, root = Path(entry.path).resolve(), self.listing.root
        if not self.follow_links:
            self._leave_out(path, "is a link to a folder; links are not followed (follow_links)")
        elif target.is_relative_to(root) or root.is_relative_to(target):
            self._leave_out(path, "is a link to a folder of the source itself, or around it")
        elif target == self.output or target in self.linked:
            self._leave_out(path, "is a link to a folder that is listed already")
        else:
            self.linked.add(target)
            return True
        return False

    def _takes(self, entry: os.DirEntry[str], path: str) -> bool:
        suffix = _suffix(entry.name)
        named_otherwise = suffix in NO_PICTURE_SUFFIXES
        problem = None if named_otherwise and entry.is_file(follow_symlinks=False) else self._problem(entry, path)
        if problem is not None:
            self._leave_out(path, problem)
            return False
        if named_otherwise:
            self._note_other(path, suffix)
            return False
        if suffix in UNREAD_PICTURE_SUFFIXES or (suffix in HEIF_SUFFIXES and not reads_heif()):
            self.listing.pictures.add(suffix, path)
            return False
        if suffix in IMAGE_SUFFIXES or suffix in HEIF_SUFFIXES:
            return True
        return self._is_picture(entry, path, suffix)

    def _problem(self, entry: os.DirEntry[str], path: str) -> str | None:
        if entry.is_symlink():
            target = _target(Path(entry.path))
            if target is None or not target.is_file():
                told = Path(entry.path).readlink()
                return f"is a link to '{told}', which is not there; fetch it (dvc pull, git annex get)"
            if not self.follow_links and not target.is_relative_to(self.listing.root):
                return "is a link that leads out of the source folder; --set follow_links=true takes it"
        elif not entry.is_file(follow_symlinks=False):
            return "is a pipe, a socket or a device"
        if not path.isascii() and not _is_text(path):
            return "its name is not UTF-8 text"
        return None

    def _is_picture(self, entry: os.DirEntry[str], path: str, suffix: str) -> bool:
        """Whether a file whose name does not tell begins like a picture."""
        try:
            with Path(entry.path).open("rb") as file:
                kind = picture_suffix(file.read(HEAD_BYTES))
        except OSError as error:
            self._leave_out(path, f"cannot be opened: {error.strerror}")
            return False
        if kind is None:
            self._note_other(path, suffix)
        elif kind == ".heic" and not reads_heif():
            self.listing.pictures.add(kind, path)
        else:
            return True
        return False

    def _note_other(self, path: str, suffix: str) -> None:
        self.listing.others.add(suffix, _printable(path))
        if suffix in _TABLES and _is_text(path):
            self.listing.tables.append(path)
        elif suffix in _SIDECARS and _is_text(path):
            self.listing.sidecars.append(path)

    def _leave_out(self, path: str, reason: str) -> None:
        self.listing.findings.append({"kind": "left_out", "path": _printable(path), "reason": reason})


def _printable(path: str) -> str:
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _target(link: Path) -> Path | None:
    try:
        return link.resolve(strict=True)
    except (OSError, RuntimeError):  # a link to nowhere, or to itself
        return None

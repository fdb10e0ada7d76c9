"""Check whether a catalogue is up to date with its source and settings, by file stats alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simtrain.catalog.inspection.reading import facts_agree, list_files
from simtrain.catalog.picture_kinds import reads_heif
from simtrain.catalog.sources.generated import made_from_what
from simtrain.catalog.sources.opened import OpenedSource, expanded
from simtrain.catalog.sources.walk import list_folder
from simtrain.catalog.store.checking import damaged_shards
from simtrain.catalog.store.layout import Record, read_record
from simtrain.catalog.store.moving import size_of_stores
from simtrain.catalog.store.planning import better_kind_fits, free_disk
from simtrain.config import PrepareConfig
from simtrain.files import sha256_if_readable

RULES = 4
"""Raised where the same source and settings make another catalogue than before."""

_COLUMNS = ["path", "size", "mtime_ns", "shard", "offset", "length", "crc32"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A call of `prepare`: source, settings, output.

    Attributes:
        source: The source as the user named it.
        config: The settings of `prepare`.
        fix: Whether near duplicates are to be grouped.
        out: The catalogue's folder.
    """

    source: str
    config: PrepareConfig
    fix: bool
    out: Path

    def described(self) -> dict[str, Any]:
        """Everything that decides the catalogue besides the source's content, as plain values."""
        word, colon, rest = self.source.partition(":")
        place = self.source
        if word == "fashion-mnist" and rest:
            place = f"{word}{colon}{expanded(rest).resolve()}"
        elif expanded(self.source).exists():
            place = str(expanded(self.source).resolve())
        root = self.config.root
        return {
            "rules": RULES,
            "source": place,
            "reads_heif": reads_heif(),
            "settings": self.config.model_dump(mode="json", exclude={"workers", "root"}),
            "root_setting": str(expanded(root).resolve()) if root is not None else None,
            "fix": self.fix,
        }

    def origin(self, opened: OpenedSource, *, root: Path, results: Sequence[Path]) -> dict[str, Any]:
        """The origin that the record keeps, for comparison at the next call.

        Args:
            opened: The opened source.
            root: Folder that its images will be in.
            results: The finished files, except the record itself.
        """
        return {
            **self.described(),
            "root": _relative_to(self.out, root),
            "made_from": made_from_what(opened.source.root),
            "inputs": opened.inputs,
            "listing": opened.listing.described() if opened.listing is not None else None,
            "results": {path.name: sha256_if_readable(path) for path in results},
        }


def unchanged_record(request: Request) -> Record | None:
    """The record of the catalogue in place if everything that `prepare` would write is there already, else None."""
    record = read_record(request.out, columns=_COLUMNS)
    try:
        return record if record is not None and _is_unchanged(request, record) else None
    except (LookupError, TypeError, ValueError, AttributeError):
        return None  # a damaged record: all is made anew


def _is_unchanged(request: Request, record: Record) -> bool:
    out = request.out
    if request.source.startswith("python:"):
        return False  # what a function gives is known by calling it alone
    if any(record.origin.get(key) != value for key, value in request.described().items()):
        return False
    if not _inputs_agree(record):
        return False
    if any(sha256_if_readable(out / name) != sha256 for name, sha256 in record.origin["results"].items()):
        return False
    root = source_root(record, out)
    paths = record.table["path"].to_pylist()
    if record.origin["listing"] is not None and not _listing_agrees(record, request):
        return False
    if not facts_agree(record.table, list_files(root, paths)) or damaged_shards(out, record):
        return False
    return not _better_store_fits(record, request, [root / path for path in paths])


def is_of_root(record: Record, root: Path, *, out: Path) -> bool:
    """Whether a record tells of the files below this root, and of the same making where they were made here.

    Files that are made have equal times of change, so one of equal size may be another one.
    """
    return source_root(record, out) == root.resolve() and record.origin["made_from"] == made_from_what(root)


def source_root(record: Record, out: Path) -> Path:
    """Folder that the paths of a record start from."""
    return (out / str(record.origin["root"])).resolve()


def _better_store_fits(record: Record, request: Request, files: Sequence[Path]) -> bool:
    """Whether the disk has room now for a store that it had no room for."""
    store = request.config.store
    if store.kind != "auto":
        return False
    free = free_disk(request.out) + size_of_stores(request.out)
    return better_kind_fits(record.settings.kind, files, side=store.side, free_bytes=free)


def _listing_agrees(record: Record, request: Request) -> bool:
    folder = expanded(request.source)
    if not folder.is_dir():
        return False
    listing = list_folder(folder, output=request.out, follow_links=request.config.follow_links)
    return bool(listing.described() == record.origin["listing"])


def _inputs_agree(record: Record) -> bool:
    for path, size, mtime_ns in record.origin["inputs"]:
        try:
            found = Path(path).stat()
        except OSError:
            return False
        if (found.st_size, found.st_mtime_ns) != (size, mtime_ns):
            return False
    return True


def _relative_to(out: Path, root: Path) -> str:
    folder, resolved = out.resolve(), root.resolve()
    return resolved.relative_to(folder).as_posix() if resolved.is_relative_to(folder) else resolved.as_posix()

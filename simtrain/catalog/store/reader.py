"""Image readers: from the image store where it holds an image, else from the source's file."""

import mmap
import os
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from simtrain.catalog.images import read_image
from simtrain.catalog.store.layout import RECORD_FILE, Record, StoreKind, change_time, read_record
from simtrain.catalog.store.places import SourcePaths, StoredPlaces, noted, record_rows, stored_places
from simtrain.catalog.table import Catalog
from simtrain.errors import CatalogError
from simtrain.failures import damage_told
from simtrain.files import sha256_if_readable

_OPEN_SHARDS = 256  # each holds a file descriptor; a process usually has 1,024
_COLUMNS = [
    "path", "size", "mtime_ns", "sha256", "shard", "offset", "length", "stored_width", "stored_height", "crc32",
]  # fmt: skip


class ImageReader(Protocol):
    """Decoded pictures of catalogue rows."""

    def read(self, row: int, *, at_least: int | None) -> NDArray[np.uint8]:
        """(H, W, 3) RGB of a row, whole, or where it is cheaper with both sides of `at_least` pixels or more."""


@dataclass(frozen=True, kw_only=True)
class OpenedImages:
    """An image reader, and a description of it.

    Attributes:
        reader: Reads the image of any row of the catalogue.
        description: Where the images come from, as a phrase for messages.
    """

    reader: ImageReader
    description: str


@dataclass(frozen=True, kw_only=True)
class SourceImages:
    """Reads the source's own files.

    Attributes:
        paths: File of each catalogue row.
    """

    paths: Sequence[Path]

    def read(self, row: int, *, at_least: int | None) -> NDArray[np.uint8]:
        """Decode the file of a row."""
        return read_image(self.paths[row], at_least=at_least, largest_pixels=None)  # `prepare` has read it


class StoredImages:
    """Reads memory-mapped shards; a picture's checksum is verified when it is first read.

    Args:
        folder: Folder of the shards.
        kind: `raw` or `jpeg`.
        places: Where each catalogue row's image is stored.
        source: Reader of the rows that the store does not hold.
    """

    def __init__(self, *, folder: Path, kind: StoreKind, places: StoredPlaces, source: SourceImages) -> None:
        self._folder = folder
        self._kind = kind
        self._places = places
        self._source = source
        self._verified = np.zeros(len(places.shard), dtype=bool)
        self._maps: OrderedDict[int, mmap.mmap] = OrderedDict()

    @property
    def paths(self) -> Sequence[Path]:
        """The source's file of each catalogue row."""
        return self._source.paths

    def __getstate__(self) -> dict[str, Any]:
        """Without the open files: each loading process opens its own."""
        return {**self.__dict__, "_maps": OrderedDict()}

    def read(self, row: int, *, at_least: int | None) -> NDArray[np.uint8]:
        """The stored picture of a row, (h, w, 3) RGB.

        Raises:
            CatalogError: if the store is damaged.
        """
        places = self._places
        if places.shard[row] < 0:
            return self._source.read(row, at_least=at_least)
        start, length = int(places.offset[row]), int(places.length[row])
        mapped = self._map(int(places.shard[row]))
        if mapped.size() < start + length:  # of the file as it is now: reading beyond its end would end the process
            raise _damaged(self._folder / places.names[places.shard[row]])
        content = memoryview(mapped)[start : start + length]
        if not self._verified[row]:
            if len(content) != length or zlib.crc32(content) != places.crc32[row]:
                raise _damaged(self._folder / places.names[places.shard[row]])
            self._verified[row] = True
        if self._kind == "jpeg":
            try:
                return np.asarray(simplejpeg.decode_jpeg(content), dtype=np.uint8)
            except ValueError:
                raise _damaged(self._folder / places.names[places.shard[row]]) from None
        if length != int(places.height[row]) * int(places.width[row]) * 3:
            raise _damaged(self._folder / places.names[places.shard[row]])
        return np.frombuffer(content, np.uint8).reshape(int(places.height[row]), int(places.width[row]), 3).copy()

    def _map(self, shard: int) -> mmap.mmap:
        opened = self._maps.get(shard)
        if opened is None:
            path = self._folder / self._places.names[shard]
            try:
                with path.open("rb") as file:
                    opened = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError):  # gone, or empty
                raise _damaged(path) from None
            self._maps[shard] = opened
            if len(self._maps) > _OPEN_SHARDS:
                self._maps.popitem(last=False)  # closed when the last picture made of it has gone
        self._maps.move_to_end(shard)
        return opened


def open_images(catalog: Catalog, *, smallest: int) -> OpenedImages:
    """The reader for a catalogue: its store where that keeps enough pixels, else the source's files.

    Args:
        catalog: A catalogue that `prepare` wrote.
        smallest: Pixels that the shorter side must have, if the picture itself has them: the encoder's input.

    Raises:
        CatalogError: if a file is no longer what the catalogue says about it.
    """
    source = source_images(catalog)
    record = read_record(catalog.folder, columns=_COLUMNS)
    if record is None:
        why = "images.parquet cannot be read; run simtrain prepare again"
        if not (catalog.folder / RECORD_FILE).exists():
            why = "the catalogue has no image store"
        return OpenedImages(reader=source, description=f"images: from the source's files ({why})")
    with damage_told(catalog.folder / RECORD_FILE, error=CatalogError, advice="; run simtrain prepare again"):
        return _opened(catalog, record, source, smallest=smallest)


def _opened(catalog: Catalog, record: Record, source: SourceImages, *, smallest: int) -> OpenedImages:
    refuse_changed_files(catalog, record)
    settings = record.settings
    if settings.kind == "none":
        return OpenedImages(
            reader=source, description="images: from the source's files (prepared with store.kind none)"
        )
    if settings.side < smallest:
        return OpenedImages(
            reader=source,
            description=f"images: from the source's files, which is slower: the store keeps {settings.side} "
            f"pixels and the "
            f"encoder takes {smallest}; prepare with --set store.side={smallest} or more",
        )
    places = stored_places(catalog, record.table)
    lacking = int((places.shard < 0).sum())
    description = f"images: from the store ({settings.description()})"
    if lacking:
        description += f", but {lacking} of {len(places.shard)} from their files; run simtrain prepare again"
    folder = catalog.folder / settings.folder_name
    return OpenedImages(
        reader=StoredImages(folder=folder, kind=settings.kind, places=places, source=source), description=description
    )


def source_images(catalog: Catalog) -> SourceImages:
    """The reader of a catalogue's own files."""
    return SourceImages(paths=SourcePaths(catalog))


def refuse_changed_files(catalog: Catalog, record: Record) -> None:
    """Compare the stats of the source's files with the record; a file that is gone passes.

    Raises:
        CatalogError: for a file with other content than the catalogue says.
    """
    rows = record_rows(catalog, record.table)
    known = zip(*(noted(record.table, column, rows).tolist() for column in ("size", "mtime_ns")), strict=True)
    root, changed = str(catalog.root), []
    for row, (path, expected) in enumerate(zip(SourcePaths(catalog).names(), known, strict=True)):
        try:
            found = os.stat(f"{root}/{path}")  # noqa: PTH116 - a Path for each of 100,000 files takes a second
        except OSError:
            continue
        differs = expected != (found.st_size, change_time(found))
        if differs and sha256_if_readable(catalog.root / path) != catalog.rows["sha256"].iat[row]:
            changed.append(path)
    if changed:
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise CatalogError(
            f"{catalog.root / changed[0]}: changed since it was prepared{more}; run simtrain prepare again"
        )


def _damaged(path: Path) -> CatalogError:
    return CatalogError(f"{path}: the image store is damaged; run simtrain prepare again")

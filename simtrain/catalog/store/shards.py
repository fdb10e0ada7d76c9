"""Shard files: many encoded images concatenated in one file."""

import mmap
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from simtrain.catalog.store.layout import StoreSettings
from simtrain.catalog.store.reduction import reduced

SHARD_SUFFIX = ".bin"


@dataclass(frozen=True, kw_only=True)
class StoredEntry:
    """Where a picture lies in its shard.

    Attributes:
        offset: First byte in the shard.
        length: Number of bytes.
        width: Pixels across, as stored.
        height: Pixels down, as stored.
        crc32: CRC-32 of these bytes.
    """

    offset: int
    length: int
    width: int
    height: int
    crc32: int


class ShardWriter:
    """Appends pictures to an open file.

    Args:
        file: Binary file open for writing, at its beginning.
        settings: How the images are encoded; its kind is not `none`.
    """

    def __init__(self, *, file: IO[bytes], settings: StoreSettings) -> None:
        self._file = file
        self._settings = settings
        self._offset = 0

    def append(self, picture: NDArray[np.uint8]) -> StoredEntry:
        """Reduce (H, W, 3) RGB and write it behind the others."""
        small = np.ascontiguousarray(reduced(picture, side=self._settings.side))
        content = self._encoded(small)
        self._file.write(content)
        entry = StoredEntry(
            offset=self._offset,
            length=len(content),
            width=small.shape[1],
            height=small.shape[0],
            crc32=zlib.crc32(content),
        )
        self._offset += len(content)
        return entry

    def _encoded(self, picture: NDArray[np.uint8]) -> bytes | memoryview:
        if self._settings.kind == "raw":
            return picture.data.cast("B")
        return bytes(simplejpeg.encode_jpeg(picture, quality=self._settings.quality, colorsubsampling="444"))


def shard_is_whole(path: Path, entries: Sequence[tuple[int, int, int]]) -> bool:
    """Whether a shard holds its entries, given as (offset, length, crc32), to the last bit."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return all(zlib.crc32(content[start : start + length]) == crc32 for start, length, crc32 in entries)
    except (OSError, ValueError):  # gone, or empty
        return False

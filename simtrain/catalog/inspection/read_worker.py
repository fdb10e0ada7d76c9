"""Worker that reads, inspects and stores one chunk of image files, whole or not at all.

A chunk's results lie in two files: the shard with its pictures, and beside it the facts. The facts are renamed into
place last, so a chunk whose facts are there is done, whatever was killed afterwards.
"""

# This module is what the reading processes import: no pandas here, so that they start fast.

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simtrain.catalog.image_opening import TOO_MANY_PIXELS
from simtrain.catalog.images import LARGEST_FILE, decode_image
from simtrain.catalog.inspection.facts import ImageFacts
from simtrain.catalog.inspection.near_duplicates import fingerprint
from simtrain.catalog.picture_kinds import HEIC_HINT
from simtrain.catalog.store.layout import FACTS, FORMAT_VERSION, StoreSettings
from simtrain.catalog.store.reduction import reduced
from simtrain.catalog.store.shards import SHARD_SUFFIX, ShardWriter
from simtrain.errors import CatalogError
from simtrain.files import sha256_of_bytes, whole_file
from simtrain.parquet import write_table

FACTS_SUFFIX = ".facts"
NOT_THERE = -1
UNOPENED = -2
"""The size that is noted for a file that could not be opened: as it is never listed, the next run tries again."""
_UNOPENED_REASON = "cannot be opened: "


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file as the folder's listing shows it.

    Attributes:
        path: POSIX, relative to the source's root.
        size: Bytes; `NOT_THERE` if it is not there.
        mtime_ns: Time of its last change; 0 if it is not there.
    """

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Files that are read together.

    Attributes:
        root: Folder that the files' paths start from.
        origin: What the files belong to: their root, or a description of what they were generated from.
        files: The files, in the source's order.
        settings: How the image store keeps them.
        largest_pixels: An image of more pixels is not read.
        folder: Folder that the shard and the facts are written to.
    """

    root: Path
    origin: str
    files: Sequence[SourceFile]
    settings: StoreSettings
    largest_pixels: int
    folder: Path

    @property
    def name(self) -> str:
        """A hash of what goes in: the same for the same files and settings, so that finished work is found again."""
        digest = hashlib.blake2b(f"{FORMAT_VERSION}\0{self.settings}\0{self.origin}".encode(), digest_size=10)
        for file in self.files:
            digest.update(f"\0{file.path}\0{file.size}\0{file.mtime_ns}".encode())
        return digest.hexdigest()

    @property
    def facts_path(self) -> Path:
        """The file that says that the chunk is done."""
        return self.folder / f"{self.name}{FACTS_SUFFIX}"


def read_chunk(chunk: Chunk) -> Path:
    """Read all files of a chunk, write its shard and then its facts, and return the path of the facts."""
    cv2.setNumThreads(1)  # the processes share the cores already
    keeps = chunk.settings.kind != "none"
    shard = f"{chunk.name}{SHARD_SUFFIX}"
    if keeps:
        with whole_file(chunk.folder / shard) as temporary, temporary.open("wb") as out:
            rows = _rows(chunk, shard=shard, writer=ShardWriter(file=out, settings=chunk.settings))
    else:
        rows = _rows(chunk, shard=shard, writer=None)
    with whole_file(chunk.facts_path) as temporary:
        write_table(pa.Table.from_pylist(rows, schema=FACTS), temporary)
    return chunk.facts_path


def _rows(chunk: Chunk, *, shard: str, writer: ShardWriter | None) -> list[dict[str, Any]]:
    """Facts of every file of a chunk, whose pictures are written on the way."""
    rows = []
    for file in chunk.files:
        facts, small = inspect_file(
            chunk.root / file.path, side=chunk.settings.side, largest_pixels=chunk.largest_pixels
        )
        entry = writer.append(small) if writer is not None and small is not None else None
        rows.append(
            {
                "path": file.path,
                "size": UNOPENED if (facts.problem or "").startswith(_UNOPENED_REASON) else file.size,
                "mtime_ns": file.mtime_ns,
                **vars(facts),
                "shard": shard if entry is not None else None,
                "offset": entry.offset if entry is not None else None,
                "length": entry.length if entry is not None else None,
                "stored_width": entry.width if entry is not None else None,
                "stored_height": entry.height if entry is not None else None,
                "crc32": entry.crc32 if entry is not None else None,
            }
        )
    return rows


def inspect_file(path: Path, *, side: int, largest_pixels: int) -> tuple[ImageFacts, NDArray[np.uint8] | None]:
    """Decode one file completely; its facts, and the picture reduced to a shorter side of `side` (None: unreadable)."""
    try:
        data = _content(path)
    except CatalogError as error:
        return _unreadable(str(error), sha256=""), None
    sha256 = sha256_of_bytes(data)
    try:
        decoded = decode_image(data, at_least=None, largest_pixels=largest_pixels)
    except CatalogError as error:
        return _unreadable(_with_setting(str(error)), sha256=sha256), None
    height, width, _ = decoded.pixels.shape
    digest = hashlib.sha256(f"{height}x{width}:".encode())
    digest.update(np.ascontiguousarray(decoded.pixels).data)
    small = reduced(decoded.pixels, side=side)
    facts = ImageFacts(
        width=width,
        height=height,
        sha256=sha256,
        pixel_sha256=digest.hexdigest(),
        contrast=_contrast(small),
        fingerprint=fingerprint(small),
        note=decoded.note,
        problem=None,
    )
    return facts, small


def _with_setting(problem: str) -> str:
    if not problem.startswith(TOO_MANY_PIXELS):
        return problem
    pixels = int(re.findall(r"[0-9]+", problem)[0])
    return f"{problem}; if it is what it should be: --set inspection.largest_megapixels={-(-pixels // 1_000_000)}"


def depends_on_settings(problem: str | None) -> bool:
    """Whether a file that was not read may be read with other settings, or with a package that is installed now."""
    return problem is not None and (problem.startswith(TOO_MANY_PIXELS) or HEIC_HINT in problem)


def _content(path: Path) -> bytes:
    try:
        found = path.stat()
        if not S_ISREG(found.st_mode):
            raise CatalogError("is no file")
        if found.st_size > LARGEST_FILE:
            raise CatalogError(f"{found.st_size / 1e9:.1f} GB are no image; at most 1 GB is read")
        return path.read_bytes()
    except FileNotFoundError:
        raise CatalogError("no such image") from None
    except OSError as error:
        raise CatalogError(f"{_UNOPENED_REASON}{error.strerror}") from None


def _contrast(picture: NDArray[np.uint8]) -> int:
    tiny = cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.int64)
    return int((tiny.max(axis=0) - tiny.min(axis=0)).max())


def _unreadable(problem: str, *, sha256: str) -> ImageFacts:
    return ImageFacts(
        width=0, height=0, sha256=sha256, pixel_sha256="", contrast=0, fingerprint=b"", note=None, problem=problem
    )

"""Layout of the image store: settings, shards of concatenated images, and one record of all files.

`images.parquet` has a row for every file of the source, also for those that cannot be read; `images.raw/` or
`images.jpeg/` holds the shards. A shard never changes once it has its name, which is a hash of what it was made from.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa

from simtrain.parquet import read_schema, read_table, write_table

RECORD_FILE = "images.parquet"
FORMAT_VERSION = 1
StoreKind = Literal["raw", "jpeg", "none"]
_METADATA_KEY = b"simtrain"
_EARLIEST, _LATEST = -(2**63), 2**63 - 1

FACTS = pa.schema(
    [
        ("path", pa.string()),
        ("size", pa.int64()),  # of the file, as its modification time, to notice changes without reading
        ("mtime_ns", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),
        ("pixel_sha256", pa.string()),
        ("contrast", pa.int32()),
        ("fingerprint", pa.binary()),
        ("note", pa.string()),
        ("problem", pa.string()),
        ("shard", pa.string()),  # null: not in the store
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("stored_width", pa.int32()),
        ("stored_height", pa.int32()),
        ("crc32", pa.int64()),
    ]
)
"""Columns of the record, and of the facts that lie beside a shard until the record is written."""


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """How the store keeps images."""

    kind: StoreKind
    """`raw` uint8 RGB, `jpeg` (4:4:4), or `none`."""

    side: int
    """Shorter side in pixels that a larger picture is reduced to."""

    quality: int
    """JPEG quality of `jpeg`, 1 to 100."""

    @property
    def folder_name(self) -> str:
        """Name of the folder of the shards."""
        return f"images.{self.kind}"

    def description(self) -> str:
        """A description for people, such as `raw pixels, shorter side 256`."""
        how = {"raw": "raw pixels", "jpeg": f"JPEG of quality {self.quality}", "none": "no store"}[self.kind]
        return how if self.kind == "none" else f"{how}, shorter side up to {self.side}"


@dataclass(frozen=True, kw_only=True)
class Record:
    """Facts of every file of a source, as `images.parquet` keeps them.

    Attributes:
        table: Columns of `FACTS`, or those of them that were asked for.
        settings: How the store keeps images.
        origin: What the catalogue was made from, as `prepare` describes it.
    """

    table: pa.Table
    settings: StoreSettings
    origin: dict[str, Any]


def change_time(found: os.stat_result) -> int:
    """Nanoseconds of a file's last change, as a record's 64 bits hold them: those of after 2262 are 2262."""
    return max(_EARLIEST, min(_LATEST, found.st_mtime_ns))


def write_record(record: Record, path: Path) -> None:
    """Write `images.parquet` under any name; equal records give equal bytes."""
    note = {"format_version": FORMAT_VERSION, "store": asdict(record.settings), "origin": record.origin}
    metadata = {_METADATA_KEY: json.dumps(note, sort_keys=True).encode()}
    write_table(record.table.replace_schema_metadata(metadata), path)


def read_record(folder: Path, *, columns: list[str] | None) -> Record | None:
    """The record of a catalogue's folder; None where there is none, or none of this version.

    Args:
        folder: The catalogue's folder.
        columns: Columns of `FACTS` to read; None: all.
    """
    path = folder / RECORD_FILE
    try:
        note = json.loads((read_schema(path).metadata or {})[_METADATA_KEY])
        if note["format_version"] != FORMAT_VERSION:
            return None
        settings = StoreSettings(**note["store"])
        origin: dict[str, Any] = dict(note["origin"])
        if not isinstance(settings.side, int) or settings.kind not in get_args(StoreKind):
            return None
        table = read_table(path, columns=columns).replace_schema_metadata(None)
        if any(table.schema.field(name).type != FACTS.field(name).type for name in table.column_names):
            return None
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # unreadable, foreign or of another version: made anew from the source
    return Record(table=table, settings=settings, origin=origin)

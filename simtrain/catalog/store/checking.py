"""Integrity check of the image store by file stats and checksums."""

from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from simtrain.catalog.store.layout import RECORD_FILE, Record
from simtrain.catalog.store.shards import shard_is_whole

_LEAST_IN_USE = 0.5  # of a shard's bytes; below, what is still in use is read from the source again


def damaged_shards(folder: Path, record: Record) -> set[str]:
    """Names of the shards that are missing or damaged.

    A shard of the right size that is no younger than the record is taken as it is; any other is read and checked.

    Args:
        folder: The catalogue's folder.
        record: Record with the columns `shard`, `offset`, `length`, `crc32`.
    """
    written = (folder / RECORD_FILE).stat().st_mtime_ns
    damaged = set()
    for name, entries in _entries(record.table).items():
        path = folder / record.settings.folder_name / name
        try:
            found = path.stat()
        except OSError:
            damaged.add(name)
            continue
        whole = found.st_size >= max(offset + length for offset, length, _ in entries)
        if not whole or (found.st_mtime_ns > written and not shard_is_whole(path, entries)):
            damaged.add(name)
    return damaged


def usable_rows(folder: Path, record: Record, *, listed: set[str]) -> pa.Table:
    """The rows of a record that need not be read again.

    Args:
        folder: The catalogue's folder.
        record: Record with every column.
        listed: Paths that the source has now; a shard that holds mostly other paths is dropped.
    """
    given_up = damaged_shards(folder, record)
    for name, in_use in _bytes_in_use(record.table, listed).items():
        path = folder / record.settings.folder_name / name
        if name not in given_up and in_use < _LEAST_IN_USE * path.stat().st_size:
            given_up.add(name)
    if not given_up:
        return record.table
    lost = pc.is_in(record.table["shard"], value_set=pa.array(sorted(given_up), type=pa.string()))
    return record.table.filter(pc.invert(lost))


def _entries(table: pa.Table) -> dict[str, list[tuple[int, int, int]]]:
    entries = defaultdict(list)
    columns = (table[name].to_pylist() for name in ("shard", "offset", "length", "crc32"))
    for shard, offset, length, crc32 in zip(*columns, strict=True):
        if shard is not None:
            entries[shard].append((offset, length, crc32))
    return entries


def _bytes_in_use(table: pa.Table, listed: set[str]) -> dict[str, int]:
    in_use: dict[str, int] = defaultdict(int)
    columns = (table[name].to_pylist() for name in ("path", "shard", "length"))
    for path, shard, length in zip(*columns, strict=True):
        if shard is not None:
            in_use[shard] += length if path in listed else 0
    return in_use

"""Embeddings of a collection of images as Parquet shards, each written whole."""

# Shapes: N images of a shard, D dimensions of the embedding.

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simtrain.errors import SimtrainError
from simtrain.failures import damage_told
from simtrain.files import read_json, whole_file, write_json
from simtrain.parquet import read_schema, read_table, write_table

RECORD_FILE = "_embeddings.json"
"""What the shards of a folder are; it is there once all of them are. Readers of Parquet folders pass over names that
begin with an underscore."""

PRECISIONS = ("float16", "float32")
_FORMAT_VERSION = 1
_METADATA_KEY = b"simtrain"
_AGAIN = "; run simtrain embed again"


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """The images of one shard.

    Attributes:
        number: Number of the shard, from 0.
        ids: (N,) unique ids.
        paths: (N,) POSIX, relative to the root of the collection.
        digest: Of ids, paths, sizes and times of change of the files: a shard of the same digest needs no second look.
    """

    number: int
    ids: Sequence[str]
    paths: Sequence[str]
    digest: str

    @staticmethod
    def of(number: int, images: Sequence[tuple[str, str, int, int]]) -> ShardTask:
        """Task for images given as (id, path, size in bytes, time of change in ns)."""
        digest = hashlib.sha256(json.dumps(list(images)).encode()).hexdigest()
        ids, paths = [image[0] for image in images], [image[1] for image in images]
        return ShardTask(number=number, ids=ids, paths=paths, digest=digest)


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """An image that has no embedding."""

    id: str
    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Shard:
    """What a shard holds.

    Attributes:
        ids: (N,) ids of its images.
        paths: (N,) their files, relative to the root of the collection.
        sha256: (N,) SHA-256 of each file's content, 64 hexadecimal digits.
        embeddings: (N, D) float32 of unit length, or float16 of it.
        left_out: Images of the same task that have no embedding.
    """

    ids: Sequence[str]
    paths: Sequence[str]
    sha256: Sequence[str]
    embeddings: NDArray[np.float32] | NDArray[np.float16]
    left_out: Sequence[LeftOut]


@dataclass(frozen=True, kw_only=True)
class Space:
    """What all shards of a folder have in common.

    Attributes:
        fingerprint: Name of the embedding space: that of the bundle that embedded them.
        dimensions: D.
        precision: `float16` or `float32`: of the numbers that are kept.
    """

    fingerprint: str
    dimensions: int
    precision: str


def shard_path(folder: Path, number: int) -> Path:
    """Where a shard lies."""
    return folder / f"part-{number:05d}.parquet"


def shard_numbers(folder: Path) -> list[int]:
    """Numbers of the shards that lie in a folder, ascending."""
    named = [path.name.removeprefix("part-").removesuffix(".parquet") for path in folder.glob("part-*.parquet")]
    return sorted(int(number) for number in named if number.isdecimal())


def write_shard(folder: Path, task: ShardTask, shard: Shard, *, space: Space) -> None:
    """Write a shard whole or not at all.

    Raises:
        SimtrainError: if it cannot be written.
    """
    kind = pa.float16() if space.precision == "float16" else pa.float32()
    flat = pa.array(shard.embeddings.astype(space.precision).reshape(-1), type=kind)
    count = len(shard.ids)
    note = {
        "format": _FORMAT_VERSION,
        "fingerprint": space.fingerprint,
        "digest": task.digest,
        "left_out": [vars(each) for each in shard.left_out],
    }
    table = pa.table(
        {
            "id": pa.array(shard.ids, type=pa.string()),
            "path": pa.array(shard.paths, type=pa.string()),
            "embedding": pa.FixedSizeListArray.from_arrays(flat, space.dimensions),
            "sha256": pa.array(shard.sha256, type=pa.string()),
            "fingerprint": pa.array([space.fingerprint] * count, type=pa.string()).dictionary_encode(),
        }
    ).replace_schema_metadata({_METADATA_KEY: json.dumps(note)})
    with whole_file(shard_path(folder, task.number), error=SimtrainError) as temporary:
        write_table(table, temporary)


def is_done(folder: Path, task: ShardTask, *, space: Space) -> bool:
    """Whether a task's shard lies in a folder, of the same files and the same space."""
    try:
        schema = read_schema(shard_path(folder, task.number))
        note = _note(schema)
    except (OSError, ValueError, pa.ArrowException):
        return False
    return note["digest"] == task.digest and _space_of(schema, note) == space


def space_of_shards(folder: Path) -> Space | None:
    """The space of the first readable shard in a folder; None: there is none."""
    for number in shard_numbers(folder):
        try:
            schema = read_schema(shard_path(folder, number))
            return _space_of(schema, _note(schema))
        except (OSError, ValueError, pa.ArrowException):
            continue
    return None


def left_out_of_shard(folder: Path, number: int) -> list[LeftOut]:
    """Images of a shard's task that have no embedding."""
    path = shard_path(folder, number)
    with damage_told(path, error=SimtrainError, advice=_AGAIN):
        return [LeftOut(**each) for each in _note(read_schema(path))["left_out"]]


def has_shards(folder: Path) -> bool:
    """Whether a folder holds shards, finished or not."""
    return (folder / RECORD_FILE).is_file() or (folder.is_dir() and bool(shard_numbers(folder)))


def write_record(
    folder: Path, *, space: Space, images: int, left_out: int, shards: int, root: Path | None = None
) -> None:
    """Say that all shards are there.

    Args:
        folder: Folder of the shards.
        space: What they have in common.
        images: Number of embeddings.
        left_out: Number of images without one.
        shards: Number of shards.
        root: Folder that the paths start from; None: it does not last.
    """
    content = {
        "format": _FORMAT_VERSION,
        **vars(space),
        "images": images,
        "left_out": left_out,
        "shards": shards,
        **({} if root is None else {"root": str(root)}),
    }
    write_json(folder / RECORD_FILE, content, error=SimtrainError)


@dataclass(frozen=True, kw_only=True)
class ShardsRecord:
    """What a folder of shards holds.

    Attributes:
        space: What they have in common.
        images: Number of embeddings.
        shards: Number of shards.
        root: Folder that the paths start from; None: not known.
    """

    space: Space
    images: int
    shards: int
    root: Path | None


def read_record(folder: Path) -> ShardsRecord:
    """What a folder of shards holds.

    Raises:
        SimtrainError: if the folder holds no finished embeddings.
    """
    path = folder / RECORD_FILE
    if not path.is_file():
        begun = f"; {len(shard_numbers(folder))} shards of an unfinished one lie there" if folder.is_dir() else ""
        raise SimtrainError(f"{path}: no embeddings here{begun}; make them with: simtrain embed BUNDLE SOURCE --out …")
    record = read_json(path, error=SimtrainError)
    with damage_told(path, error=SimtrainError, advice=_AGAIN):
        space = Space(**{name: record[name] for name in ("fingerprint", "dimensions", "precision")})
        root = None if record.get("root") is None else Path(record["root"])
        return ShardsRecord(space=space, images=int(record["images"]), shards=int(record["shards"]), root=root)


def read_shards(folder: Path) -> Iterator[Shard]:
    """The shards of a folder in their order, one in memory at a time; embeddings as float32.

    Raises:
        SimtrainError: if the folder holds no finished embeddings, or a shard is missing, damaged or of another space.
    """
    record = read_record(folder)
    space = record.space
    for number in range(record.shards):
        path = shard_path(folder, number)
        try:
            table = read_table(path)
            note = _note(table.schema)
        except (OSError, ValueError, pa.ArrowException):
            raise SimtrainError(f"{path}: missing or damaged{_AGAIN}") from None
        if _space_of(table.schema, note) != space:
            raise SimtrainError(f"{path}: of another encoder than {RECORD_FILE} says{_AGAIN}")
        flat = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        yield Shard(
            ids=table["id"].to_pylist(),
            paths=table["path"].to_pylist(),
            sha256=table["sha256"].to_pylist(),
            embeddings=flat.astype(np.float32).reshape(-1, space.dimensions),
            left_out=[LeftOut(**each) for each in note["left_out"]],
        )


def _note(schema: pa.Schema) -> dict[str, Any]:
    """Raises: ValueError for a file that is not ours."""
    content = (schema.metadata or {}).get(_METADATA_KEY)
    note = json.loads(content) if content is not None else None
    if not isinstance(note, dict) or note.get("format") != _FORMAT_VERSION:
        raise ValueError("not a shard of simtrain embed")
    return note


def _space_of(schema: pa.Schema, note: dict[str, Any]) -> Space:
    kind = schema.field("embedding").type
    precision = "float16" if kind.value_type == pa.float16() else "float32"
    return Space(fingerprint=note["fingerprint"], dimensions=kind.list_size, precision=precision)

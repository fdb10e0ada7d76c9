"""Shards of embeddings: written whole, read as they were, refused where they are of something else."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from simtrain.errors import SimtrainError
from simtrain.serving.embedding_shards import (
    LeftOut,
    Shard,
    ShardTask,
    Space,
    is_done,
    left_out_of_shard,
    read_shards,
    space_of_shards,
    write_record,
    write_shard,
)

SPACE = Space(fingerprint="f" * 64, dimensions=3, precision="float32")
TASK = ShardTask.of(0, [("a", "a.png", 10, 1), ("b", "b.png", 20, 2), ("c", "c.png", 30, 3)])
VECTORS = np.array([[1, 0, 0], [0, 0.6, 0.8]], dtype=np.float32)
SHARD = Shard(
    ids=["a", "c"],
    paths=["a.png", "c.png"],
    sha256=["1" * 64, "2" * 64],
    embeddings=VECTORS,
    left_out=[LeftOut(id="b", path="b.png", reason="no such image")],
)


def written(folder: Path, *, space: Space = SPACE) -> Path:
    write_shard(folder, TASK, SHARD, space=space)
    write_record(folder, space=space, images=2, left_out=1, shards=1)
    return folder


def test_pyarrow_alone_reads_the_columns(tmp_path: Path) -> None:
    written(tmp_path)
    table = pq.read_table(tmp_path)
    assert table.num_rows == 2
    table = pq.read_table(tmp_path / "part-00000.parquet")
    assert {name: str(table.schema.field(name).type) for name in table.column_names} == {
        "id": "string",
        "path": "string",
        "embedding": "fixed_size_list<element: float>[3]",
        "sha256": "string",
        "fingerprint": "dictionary<values=string, indices=int32, ordered=0>",
    }
    assert table["embedding"].to_pylist() == VECTORS.tolist()
    assert table["fingerprint"].to_pylist() == ["f" * 64] * 2
    assert json.loads((tmp_path / "_embeddings.json").read_text()) == {
        "format": 1, "fingerprint": "f" * 64, "dimensions": 3, "precision": "float32", "images": 2, "left_out": 1,
        "shards": 1,
    }  # fmt: skip


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_what_is_written_is_read(precision: str, tmp_path: Path) -> None:
    (read,) = read_shards(written(tmp_path, space=replace(SPACE, precision=precision)))
    assert (read.ids, read.paths, read.sha256, read.left_out) == (SHARD.ids, SHARD.paths, SHARD.sha256, SHARD.left_out)
    assert read.embeddings.dtype == np.float32
    assert read.embeddings.tolist() == VECTORS.astype(precision).astype(np.float32).tolist()
    assert left_out_of_shard(tmp_path, 0) == [LeftOut(id="b", path="b.png", reason="no such image")]


def test_a_shard_is_done_for_the_same_files_and_space_only(tmp_path: Path) -> None:
    assert not is_done(tmp_path, TASK, space=SPACE)
    written(tmp_path)
    changed = ShardTask.of(0, [("a", "a.png", 10, 1), ("b", "b.png", 21, 2), ("c", "c.png", 30, 3)])
    assert is_done(tmp_path, TASK, space=SPACE)
    assert not is_done(tmp_path, changed, space=SPACE)
    assert not is_done(tmp_path, TASK, space=replace(SPACE, fingerprint="0" * 64))
    assert not is_done(tmp_path, TASK, space=replace(SPACE, precision="float16"))
    assert space_of_shards(tmp_path) == SPACE


def test_a_shard_cut_short_is_not_done(tmp_path: Path) -> None:
    path = written(tmp_path) / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-10])
    assert not is_done(tmp_path, TASK, space=SPACE)
    assert space_of_shards(tmp_path) is None


def test_an_unfinished_folder_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path, TASK, SHARD, space=SPACE)
    with pytest.raises(SimtrainError, match=r"no embeddings here; 1 shards of an unfinished one lie there; make them"):
        next(read_shards(tmp_path))


def test_a_shard_that_is_missing_or_of_another_encoder_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    write_shard(tmp_path, TASK, SHARD, space=replace(SPACE, fingerprint="0" * 64))
    with pytest.raises(SimtrainError, match=r"part-00000\.parquet: of another encoder than _embeddings\.json says"):
        list(read_shards(tmp_path))
    (tmp_path / "part-00000.parquet").unlink()
    with pytest.raises(SimtrainError, match=r"part-00000\.parquet: missing or damaged; run simtrain embed again"):
        list(read_shards(tmp_path))

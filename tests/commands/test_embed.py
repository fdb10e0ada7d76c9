"""Embedding a collection: every image once, what cannot be read told, an ended call gone on with."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simtrain.api.embed import embed
from simtrain.commands.search import open_bundle
from simtrain.console import SILENT
from simtrain.errors import SimtrainError
from simtrain.runs.run import Run
from simtrain.serving.embedding_shards import Shard, ShardTask, read_shards, write_shard


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(7):
        pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def shards_of(folder: Path) -> list[Shard]:
    return list(read_shards(folder))


def test_every_image_has_the_embedding_of_a_search(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    report = embed(bundle, pictures, tmp_path / "out", shard_size=3, processes=1, console=SILENT)
    shards = shards_of(tmp_path / "out")
    assert [list(shard.ids) for shard in shards] == [
        ["0.png", "1.png", "2.png"],
        ["3.png", "4.png", "5.png"],
        ["6.png"],
    ]
    expected = open_bundle(bundle).encode(sorted(pictures.iterdir()))
    found = np.concatenate([shard.embeddings for shard in shards])
    assert np.abs(found - expected).max() < 1e-6
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(pictures.iterdir())]
    assert [one for shard in shards for one in shard.sha256] == hashes
    assert (
        str(report) == f"embeddings: {tmp_path / 'out'} (7 images, {expected.shape[1]} dimensions, float32, 3 shards)"
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "_embeddings.json", "part-00000.parquet", "part-00001.parquet", "part-00002.parquet"
    ]  # fmt: skip


def test_what_cannot_be_read_is_told_and_the_rest_embedded(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    (pictures / "3.png").write_text("no picture")
    (pictures / "4.png").write_bytes((pictures / "5.png").read_bytes()[:200])
    report = embed(bundle, pictures, tmp_path / "out", processes=1, console=SILENT)
    assert [each.id for each in report.left_out] == ["3.png", "4.png"]
    assert str(report).splitlines()[1].startswith("left out: 2 images, such as '3.png': not an image")
    assert (tmp_path / "out" / "_left_out.csv").read_text().splitlines()[0] == "id,path,reason"
    assert [len(shard.ids) for shard in shards_of(tmp_path / "out")] == [5]


def test_only_shards_of_changed_files_are_made_again(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    embed(bundle, pictures, out, shard_size=3, processes=1, console=SILENT)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    shutil.copy(pictures / "0.png", pictures / "4.png")
    (pictures / "6.png").unlink()
    report = embed(bundle, pictures, out, shard_size=3, processes=1, console=SILENT)
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert report.fresh == 1
    assert after["part-00000.parquet"] == before["part-00000.parquet"]
    assert after["part-00001.parquet"] != before["part-00001.parquet"]
    assert "part-00002.parquet" not in after
    assert [list(shard.ids) for shard in shards_of(out)] == [["0.png", "1.png", "2.png"], ["3.png", "4.png", "5.png"]]


def test_an_interrupted_call_is_gone_on_with(
    bundle: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies_at_the_second(folder: Path, task: ShardTask, *further: object, **settings: object) -> None:
        if task.number == 1:
            raise KeyboardInterrupt
        write_shard(folder, task, *further, **settings)  # type: ignore[arg-type]

    out = tmp_path / "out"
    monkeypatch.setattr("simtrain.serving.shard_worker.write_shard", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        embed(bundle, pictures, out, shard_size=3, processes=1, console=SILENT)
    monkeypatch.undo()
    with pytest.raises(SimtrainError, match="1 shards of an unfinished one"):
        shards_of(out)
    assert embed(bundle, pictures, out, shard_size=3, processes=1, console=SILENT).fresh == 2
    assert sum(len(shard.ids) for shard in shards_of(out)) == 7


def test_a_catalogue_keeps_its_ids(bundle: Path, trained: Run, own_catalog: Path, tmp_path: Path) -> None:
    report = embed(bundle, own_catalog, tmp_path / "out", precision="float16", processes=1, console=SILENT)
    opened = open_bundle(bundle)
    (shard,) = shards_of(tmp_path / "out")
    assert set(opened.items["id"]) <= set(shard.ids)
    assert report.space.precision == "float16"
    assert np.allclose(np.linalg.norm(shard.embeddings, axis=1), 1, atol=1e-3)


def test_a_folder_of_other_embeddings_is_refused(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    embed(bundle, pictures, out, processes=1, console=SILENT)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(SimtrainError, match=r"out: holds embeddings of float32 numbers; take another folder for --out"):
        embed(bundle, pictures, out, precision="float16", processes=1, console=SILENT)
    (shard,) = shards_of(out)
    space = replace(embed(bundle, pictures, out, processes=1, console=SILENT).space, fingerprint="0" * 64)
    write_shard(out, ShardTask.of(0, []), shard, space=space)
    with pytest.raises(SimtrainError, match="holds embeddings of another encoder"):
        embed(bundle, pictures, out, processes=1, console=SILENT)
    assert {path.name for path in out.iterdir()} == set(before)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"precision": "int8"}, "precision is 'int8'; allowed: float16, float32"),
        ({"engine": "spark"}, "engine is 'spark'; allowed: local, ray"),
        ({"shard_size": 0}, "shard_size is 0; allowed: 1 to 1000000"),
        ({"processes": 0}, "processes is 0; allowed: 1 or more, or None"),
    ],
)
def test_settings_that_are_not_allowed(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        embed("bundle", "pictures", "out", **settings)  # type: ignore[arg-type]

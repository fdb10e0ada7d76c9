"""A bundle kept in step with its catalogue: what it finds afterwards, and what it is after a failure."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from small_commands import everything_below

from simtrain.api import index
from simtrain.api.embed import embed
from simtrain.api.export import export as export_any
from simtrain.api.prepare import prepare
from simtrain.commands.export import export
from simtrain.commands.search import open_bundle
from simtrain.console import SILENT
from simtrain.errors import BundleError, SimtrainError
from simtrain.locks import FileLock
from simtrain.runs.run import Run, open_run
from simtrain.serving import bundle_change, shard_worker
from simtrain.serving.opened_bundle import OpenedBundle


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "new"
    folder.mkdir()
    for number in range(3):
        draw(folder / f"n{number}.png", seed=number)
    return folder


def draw(path: Path, *, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((60, 60), Image.Resampling.BICUBIC).save(path)


def first(bundle: Path, image: Path) -> tuple[str, float]:
    hit = open_bundle(bundle).search(image, k=1).neighbours[0]
    return hit.id, hit.similarity


def test_new_items_are_found_and_the_others_stay(bundle: Path, pictures: Path) -> None:
    before = open_bundle(bundle)
    report = index.add(bundle, pictures, console=SILENT)
    count = len(before)
    assert str(report) == f"bundle: {bundle} ({count + 3} items): 3 added"
    after = open_bundle(bundle)
    assert set(after.items["id"]) == set(before.items["id"]) | {"n0.png", "n1.png", "n2.png"}
    assert after.items["id"].is_monotonic_increasing
    assert after.bundle.fingerprint == before.bundle.fingerprint
    for number in range(3):
        assert first(bundle, pictures / f"n{number}.png") == (f"n{number}.png", pytest.approx(1, abs=1e-5))
    old = before.bundle.image_path(0)
    assert before.search(old, k=1).neighbours[0].id == after.search(old, k=1).neighbours[0].id
    assert str(index.add(bundle, pictures, console=SILENT)).endswith("3 unchanged")


def test_pictures_from_elsewhere_are_named_by_their_folder_alone(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    index.add(bundle, pictures, console=SILENT)
    opened = open_bundle(bundle).bundle
    paths = dict(zip(opened.items["id"], opened.items["path"], strict=True))
    assert [paths[f"n{number}.png"] for number in range(3)] == ["new/n0.png", "new/n1.png", "new/n2.png"]
    assert str(tmp_path).encode() not in b"".join(everything_below(bundle).values())
    assert opened.pictures.within("new/n0.png") == pictures / "n0.png"
    index.remove(bundle, ["n0.png"])
    moved = bundle.rename(tmp_path / "given away")
    given = tmp_path / "all pictures"
    (given / "new").mkdir(parents=True)
    draw(given / "new" / "n1.png", seed=1)
    assert index.verify(moved, images=given, console=SILENT).changed == []
    draw(given / "new" / "n1.png", seed=2)
    assert index.verify(moved, images=given, console=SILENT).changed == ["n1.png"]


def test_only_a_changed_image_is_embedded_again(bundle: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add(bundle, pictures, console=SILENT)
    draw(pictures / "n1.png", seed=77)
    with pytest.raises(
        SimtrainError, match=r"has 1 item of the source with another image, such as 'n1.png'; to replace"
    ):
        index.add(bundle, pictures, console=SILENT)
    seen: list[list[str]] = []
    real = shard_worker.embedded

    def embedded(encoder: Any, task: Any, **rest: Any) -> Any:
        seen.append(list(task.ids))
        return real(encoder, task, **rest)

    monkeypatch.setattr("simtrain.serving.index_source.embedded", embedded)
    report = index.update(bundle, pictures, console=SILENT)
    assert (report.added, report.updated, report.unchanged) == (0, 1, 2)
    assert seen == [["n1.png"]]
    assert first(bundle, pictures / "n1.png")[0] == "n1.png"


def test_a_catalogue_brings_its_columns_and_an_update_changes_nothing_else(bundle: Path, own_catalog: Path) -> None:
    before = open_bundle(bundle).items
    report = index.update(bundle, own_catalog, console=SILENT)
    assert (report.added, report.updated, report.unchanged) == (0, 0, len(before))
    pd.testing.assert_frame_equal(open_bundle(bundle).items[before.columns], before)


def test_items_are_removed_and_an_unknown_id_removes_none(bundle: Path) -> None:
    items = open_bundle(bundle).items
    gone = items["id"].iloc[:2].tolist()
    whole = everything_below(bundle)
    with pytest.raises(SimtrainError, match=r"has no item 'nothing'"):
        index.remove(bundle, [*gone, "nothing"])
    with pytest.raises(SimtrainError, match="nothing would be left"):
        index.remove(bundle, items["id"].tolist())
    assert everything_below(bundle) == whole
    assert str(index.remove(bundle, gone)) == f"bundle: {bundle} ({len(items) - 2} items): 2 removed"
    assert set(open_bundle(bundle).items["id"]) == set(items["id"]) - set(gone)


def test_pictures_that_cannot_be_read_are_told(bundle: Path, pictures: Path) -> None:
    (pictures / "n1.png").write_text("no picture")
    report = index.add(bundle, pictures, console=SILENT)
    assert (report.added, [each.id for each in report.left_out]) == (2, ["n1.png"])
    assert "left out: 1 image, such as 'n1.png': not an image" in str(report)


def test_a_failure_half_way_leaves_the_bundle_and_nothing_else(
    bundle: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, beside = everything_below(bundle), sorted(path.name for path in tmp_path.iterdir())

    def ended(*_arguments: object, **_settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle_change, "put_bundle", ended)
    with pytest.raises(KeyboardInterrupt):
        index.add(bundle, pictures, console=SILENT)
    assert everything_below(bundle) == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == beside


def test_what_a_killed_writer_has_left_is_removed_though_nothing_is_to_do(
    bundle: Path, pictures: Path, tmp_path: Path
) -> None:
    index.add(bundle, pictures, console=SILENT)
    there, note = sorted(path.name for path in tmp_path.iterdir()), tmp_path / ".bundle.pictures.json"
    whole = note.read_bytes()
    told = json.loads(whole)
    note.write_text(json.dumps({**told, "bundles": [{"checksum": "0", "folders": {}}, *told["bundles"]]}))
    (tmp_path / ".bundle.4194305.tmp").mkdir()  # a number that no process has
    (tmp_path / ".bundle.lock").write_text("4194305\n")
    assert str(index.add(bundle, pictures, console=SILENT)).endswith("3 unchanged")
    assert sorted(path.name for path in tmp_path.iterdir()) == there
    assert note.read_bytes() == whole


def test_one_changes_it_at_a_time_and_searches_go_on(bundle: Path, pictures: Path) -> None:
    lock = FileLock(path=bundle.parent / ".bundle.change.lock")
    lock.acquire(without=lambda _: None)
    with pytest.raises(BundleError, match=r"is being changed by process \d+"):
        index.add(bundle, pictures, console=SILENT)
    assert len(open_bundle(bundle).search(pictures / "n0.png", k=2)) == 2
    lock.release()
    assert index.add(bundle, pictures, console=SILENT).added == 3


def test_verify_tells_images_that_have_changed_or_are_gone(bundle: Path, pictures: Path) -> None:
    index.add(bundle, pictures, console=SILENT)
    items = open_bundle(bundle).items
    index.remove(bundle, [name for name in items["id"] if name not in ("n0.png", "n1.png", "n2.png")])
    assert "and 3 images those of the index" in str(index.verify(bundle, console=SILENT))
    draw(pictures / "n1.png", seed=50)
    (pictures / "n2.png").unlink()
    report = index.verify(bundle, console=SILENT)
    assert (report.checked, report.missing, report.changed) == (1, 1, ["n1.png"])
    (bundle / "items.parquet").write_bytes(b"")
    with pytest.raises(BundleError, match=r"items\.parquet: altered"):
        index.verify(bundle, console=SILENT)


def test_verify_takes_items_that_were_embedded_from_a_smaller_copy(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (300, 300, 3), dtype=np.uint8)
        pixels[:, : 50 * number] //= 3
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    catalog = prepare(tmp_path / "photos", tmp_path / "shop", overrides={"store.side": 40}, console=SILENT)
    settings = {"encoder.image_size": 40, "export.onnx": False}
    opened = export_any("histogram_hsv", tmp_path / "bundle", catalog=catalog, overrides=settings, console=SILENT)
    report = index.verify(opened.folder, console=SILENT)
    assert report.checked == 6
    assert report.lowest is not None
    assert report.lowest < 0.999
    told = f"lowest similarity of a picture to its own item: {report.lowest:.4f}, as where items were embedded from "
    assert told in str(report)


def test_verify_refuses_an_item_that_its_own_picture_does_not_find(
    bundle: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(bundle, pictures, console=SILENT)
    encode = OpenedBundle.encode
    monkeypatch.setattr(OpenedBundle, "encode", lambda self, _images: encode(self, [pictures / "n0.png"]))
    with pytest.raises(SimtrainError, match=r"its image has another embedding than the index \(cosine -?0\.\d+\); "):
        index.verify(bundle, console=SILENT)


def test_shards_of_embed_are_added_without_embedding(
    bundle: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = tmp_path / "shards"
    embed(bundle, pictures, shards, processes=1, console=SILENT)
    expected = open_bundle(bundle).encode(sorted(pictures.iterdir()))
    monkeypatch.setattr("simtrain.commands.index.image_encoder", lambda *_: 1 / 0)
    report = index.add(bundle, shards, console=SILENT)
    assert str(report).splitlines()[1:] == ["re-used 3 of 3 embeddings of simtrain embed"]
    opened = open_bundle(bundle)
    rows = [opened.items["id"].tolist().index(f"n{number}.png") for number in range(3)]
    assert opened.bundle.index.vectors(np.array(rows)) == pytest.approx(expected, abs=1e-6)
    assert opened.bundle.image_path(rows[1]) == pictures / "n1.png"
    assert str(index.add(bundle, shards, console=SILENT)).endswith("3 unchanged")


def test_a_source_takes_embeddings_of_the_same_images(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    embed(bundle, pictures, shards, processes=1, console=SILENT)
    draw(pictures / "n1.png", seed=50)
    draw(pictures / "n3.png", seed=51)
    report = index.add(bundle, pictures, embeddings=shards, console=SILENT)
    assert (report.added, report.taken) == (4, 2)
    for number in range(4):
        assert first(bundle, pictures / f"n{number}.png") == (f"n{number}.png", pytest.approx(1, abs=1e-5))
    with pytest.raises(SimtrainError, match="comes with its own; leave one of the two out"):
        index.update(bundle, shards, embeddings=shards, console=SILENT)


def test_shards_that_do_not_fit_change_nothing(bundle: Path, trained: Run, pictures: Path, tmp_path: Path) -> None:
    whole = everything_below(bundle)
    embed(bundle, pictures, tmp_path / "halves", processes=1, precision="float16", console=SILENT)
    with pytest.raises(SimtrainError, match="holds float16 numbers, and the bundle keeps float32"):
        index.add(bundle, tmp_path / "halves", console=SILENT)
    embed(bundle, pictures, tmp_path / "shards", processes=1, console=SILENT)
    draw(pictures / "n2.png", seed=50)
    with pytest.raises(SimtrainError, match=r"'.*n2.png' has changed since it was embedded; run simtrain embed again"):
        index.add(bundle, tmp_path / "shards", console=SILENT)
    changed = open_run(str(trained.folder), checkpoints=trained.folder.parent, overrides=["encoder.image_size=40"])
    other = export(changed, out=tmp_path / "other", alpha=None, console=SILENT).folder
    embed(other, pictures, tmp_path / "of another", processes=1, console=SILENT)
    with pytest.raises(SimtrainError, match="embeddings of another encoder"):
        index.add(bundle, tmp_path / "of another", console=SILENT)
    assert everything_below(bundle) == whole

"""`prepare` again: after an interruption, a failure, growth, damage, or with other settings; splits and folds."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recording_console import RecordingConsole
from small_shops import class_folders, interrupting_console, product_rows, run, save_noise, snapshot, write_table

from simtrain.catalog.images import read_image
from simtrain.catalog.prepare_report import PrepareReport
from simtrain.catalog.store.moving import size_of_stores
from simtrain.catalog.store.reader import open_images
from simtrain.commands.prepare import prepare
from simtrain.config import load_prepare_config
from simtrain.errors import CatalogError


@pytest.mark.parametrize("source", ["folder", "synthetic:2"])
def test_an_interrupted_run_is_gone_on_with_to_the_same_bytes(tmp_path: Path, source: str) -> None:
    named = str(class_folders(tmp_path / "images")) if source == "folder" else source
    settings = ["workers=1", "synthetic.views=3", "synthetic.image_size=32"]
    config = load_prepare_config(None, settings)
    out = tmp_path / "new" / "out"
    with pytest.raises(KeyboardInterrupt):
        prepare(named, out=out, config=config, console=interrupting_console())
    assert [path.name for path in out.iterdir()] == [".prepare"]
    resumed = prepare(named, out=out, config=config)
    prepare(named, out=tmp_path / "other" / "out", config=config)
    assert resumed.fresh == 0
    assert snapshot(out) == snapshot(tmp_path / "other" / "out")


def test_interruption_before_anything_was_read_leaves_no_trace(tmp_path: Path) -> None:
    def at_once(_description: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(
            str(class_folders(tmp_path / "images")),
            out=tmp_path / "new" / "out",
            config=load_prepare_config(None, ["workers=1"]),
            console=RecordingConsole(on_bar=at_once),
        )
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("failing", ["interrupt", "error"])
def test_failure_leaves_the_old_catalogue_as_it_was(tmp_path: Path, failing: str) -> None:
    run(class_folders(tmp_path / "images"), tmp_path / "out")
    before = snapshot(tmp_path / "out")
    config = load_prepare_config(None, ["workers=1"])
    if failing == "interrupt":
        for number in range(4):
            save_noise(tmp_path / "images" / "new" / f"{number}.png", seed=77 + number)
        with pytest.raises(KeyboardInterrupt):
            prepare(str(tmp_path / "images"), out=tmp_path / "out", config=config, console=interrupting_console())
        shutil.rmtree(tmp_path / "out" / ".prepare")  # what was read so far, for the next run
    else:
        with pytest.raises(CatalogError):
            prepare(str(tmp_path / "gone"), out=tmp_path / "out", config=config)
    assert snapshot(tmp_path / "out") == before


@pytest.mark.parametrize("first", [True, False])
def test_failure_at_the_last_step_undoes_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    settings = ("synthetic.views=1", "synthetic.image_size=32")
    if not first:
        run("synthetic:2", tmp_path / "out", *settings)
    before = snapshot(tmp_path)

    def no_space(self: Path, target: Path) -> Path:
        if self.parent.name == ".prepare" and self.name == "catalog.parquet":
            raise OSError(28, "No space left on device")
        return self.rename(target)

    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(CatalogError, match=r"out: cannot be written to: No space left on device$"):
        run("synthetic:3", tmp_path / "out", *settings)
    shutil.rmtree(tmp_path / "out" / ".prepare")  # what was read, for the next try
    assert snapshot(tmp_path) == before


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object, **__: object) -> None:
        raise AssertionError("an image was read again")

    monkeypatch.setattr("simtrain.catalog.inspection.read_worker.decode_image", decode)
    monkeypatch.setattr("simtrain.catalog.images.decode_image", decode)


@pytest.mark.parametrize("source", ["folder", "table", "synthetic:5"])
def test_nothing_is_read_again_where_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    named: Path | str = source
    if source == "folder":
        named = class_folders(tmp_path / "images")
    elif source == "table":
        named = write_table(tmp_path, product_rows(tmp_path, ["train", "train", "train"]))
    settings = ("synthetic.views=2", "synthetic.image_size=32")
    first = run(named, tmp_path / "out", *settings)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    forbid_decoding(monkeypatch)
    second = run(named, tmp_path / "out", *settings)
    assert (first.fresh, second.fresh) == (first.files, None)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    assert second.lines()[0] == f"nothing has changed since the last time: {first.files} files, none of them read again"
    assert second.lines()[1:-3] == first.lines()[:-3]


def test_only_the_table_is_made_again_for_other_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(class_folders(tmp_path / "images", images=20), tmp_path / "out")
    forbid_decoding(monkeypatch)
    monkeypatch.setattr("simtrain.commands.prepare.Thumbnails", lambda **_: lambda _identifier: None)
    second = run(tmp_path / "images", tmp_path / "out", "split.test=0.5")
    assert second.fresh == 0
    assert second.counts["images_per_split"]["test"] > first.counts["images_per_split"]["test"]
    assert second.lines()[-3].endswith("(60 known already)")


def test_growth_reads_the_new_files_and_moves_no_image(tmp_path: Path) -> None:
    first = run(class_folders(tmp_path / "images", images=30), tmp_path / "out").catalog.rows.set_index("id")
    for number in range(20):
        save_noise(tmp_path / "images" / "label1" / f"x{number}.png", seed=500 + number)
    report = run(tmp_path / "images", tmp_path / "out")
    grown = report.catalog.rows.set_index("id")
    assert (report.fresh, len(grown)) == (20, 110)
    assert grown.loc[first.index, "split"].tolist() == first["split"].tolist()
    images = open_images(report.catalog, smallest=32).reader
    for row, path in enumerate(report.catalog.rows["path"]):
        np.testing.assert_array_equal(images.read(row, at_least=None), read_image(tmp_path / "images" / path))


def test_a_damaged_store_is_mended(tmp_path: Path) -> None:
    run(class_folders(tmp_path / "images"), tmp_path / "out")
    before = snapshot(tmp_path / "out")
    (shard,) = (tmp_path / "out" / "images.raw").iterdir()
    content = bytearray(shard.read_bytes())
    content[100] ^= 255
    shard.write_bytes(content)
    assert run(tmp_path / "images", tmp_path / "out").fresh == 15
    assert snapshot(tmp_path / "out") == before


def test_another_kind_of_store_replaces_the_first(tmp_path: Path) -> None:
    run(class_folders(tmp_path / "images"), tmp_path / "out")
    run(tmp_path / "images", tmp_path / "out", "store.kind=jpeg")
    assert not (tmp_path / "out" / "images.raw").exists()
    assert len(list((tmp_path / "out" / "images.jpeg").iterdir())) == 1
    run(tmp_path / "images", tmp_path / "out", "store.kind=none")
    assert not (tmp_path / "out" / "images.jpeg").exists()


def test_shards_of_removed_images_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simtrain.catalog.inspection.reading.CHUNK_FILES", 5)
    root = class_folders(tmp_path / "images")
    run(root, tmp_path / "out")
    shutil.rmtree(root / "label1")
    (root / "label0" / "0.png").unlink()
    assert run(root, tmp_path / "out").fresh == 0
    assert len(list((tmp_path / "out" / "images.raw").iterdir())) == 2
    for image in range(1, 4):
        (root / "label0" / f"{image}.png").unlink()
    assert run(root, tmp_path / "out").fresh == 1  # the rest of a shard that is mostly of images that are gone


def test_copies_in_a_less_strict_split_are_set_aside(tmp_path: Path) -> None:
    rows = product_rows(tmp_path, ["train", "train", "test", "test"])
    rows = [{**row, "split": "test" if row["product"] in ("p2", "p3") else "train"} for row in rows]
    with Image.open(tmp_path / "2_0.png") as image:
        image.save(tmp_path / "copy.bmp")
    rows.append({"path": "copy.bmp", "product": "p0", "split": "train"})
    report = run(write_table(tmp_path, rows), tmp_path / "out", "split.val=0")
    assert "copy.bmp" not in set(report.catalog.rows["id"])
    assert (report.counts["images"], report.counts["set_aside"]) == (8, 1)
    (finding,) = [finding for finding in report.findings if finding["kind"] == "set_aside"]
    assert (finding["ids"], finding["copies_of"], finding["splits"]) == (["copy.bmp"], ["2_0.png"], ["train"])


def test_training_that_is_all_copies_is_an_error(tmp_path: Path) -> None:
    save_noise(tmp_path / "a.png", seed=0)
    save_noise(tmp_path / "b.png", seed=0)
    table = write_table(tmp_path, [{"path": "a.png", "split": "train"}, {"path": "b.png", "split": "test"}])
    with pytest.raises(CatalogError, match="every image in train has the very pixels of one in val or test; name each"):
        run(table, tmp_path / "out")


def test_open_set_puts_classes_whole_on_one_side(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "images", labels=30, images=2)
    rows = run(root, tmp_path / "out", "split.protocol=open_set").catalog.rows
    assert rows.groupby("label")["split"].nunique().max() == 1
    assert set(rows["split"]) == {"train", "val", "test"}


def test_folds_number_the_groups(tmp_path: Path) -> None:
    table = write_table(tmp_path, product_rows(tmp_path, ["train"] * 30))
    catalog = run(table, tmp_path / "out", "split.folds=3").catalog
    assert catalog.rows.groupby("product")["fold"].nunique().max() == 1
    assert set(catalog.rows["fold"]) == {0, 1, 2}
    folded = catalog.with_fold(2).rows
    names = folded["fold"].map({2: "test", 0: "val", 1: "train"})
    assert folded["split"].tolist() == names.tolist()
    with pytest.raises(CatalogError, match=r"catalog\.parquet: fold 3; it has the folds 0 to 2$"):
        catalog.with_fold(3)


def test_folds_need_a_column_of_their_own(tmp_path: Path) -> None:
    rows = [{**row, "fold": "1"} for row in product_rows(tmp_path, ["train"] * 3)]
    with pytest.raises(CatalogError, match=r"^split\.folds: the source has a column 'fold' of its own"):
        run(write_table(tmp_path, rows), tmp_path / "out", "split.folds=3")


@pytest.mark.parametrize(("free", "first"), [(3_000, "no store"), (20_000, "JPEG")])
def test_a_store_that_a_full_disk_forbade_is_made_once_there_is_space(
    free: int, first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = class_folders(tmp_path / "images")  # 15 of 16 x 12: 8,640 bytes raw, 1,728 as JPEG

    def prepared(space: int) -> PrepareReport:
        for place in ("simtrain.commands.prepare.free_disk", "simtrain.catalog.unchanged.free_disk"):
            monkeypatch.setattr(place, lambda folder: space - size_of_stores(folder))
        return run(images, tmp_path / "out")

    assert prepared(free).store.startswith(first)
    assert prepared(free).fresh is None
    upgraded = prepared(10**9)
    assert upgraded.store.startswith("raw pixels")
    assert upgraded.fresh == 15
    assert prepared(10**9).fresh is None
    assert prepared(0).fresh is None

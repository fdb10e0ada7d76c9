"""The whole of `prepare` on real files: the table, the findings, the summary, and nothing half-written."""

import csv
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from simtrain.catalog.images import read_image
from simtrain.catalog.progress import Item
from simtrain.catalog.store.reader import open_images
from simtrain.catalog.table import COLUMNS, read_catalog
from simtrain.commands.prepare import PrepareReport, prepare
from simtrain.config import load_prepare_config
from simtrain.errors import CatalogError


def save_noise(path: Path, *, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(path)


def class_folders(root: Path, *, labels: int = 3, images: int = 5) -> Path:
    for label in range(labels):
        for image in range(images):
            save_noise(root / f"label{label}" / f"{image}.png", seed=label * images + image)
    return root


def write_table(root: Path, rows: list[dict[str, str]]) -> Path:
    with (root / "table.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root / "table.csv"


def run(source: Path | str, out: Path, *settings: str) -> PrepareReport:
    return prepare(str(source), out=out, config=load_prepare_config(None, ["workers=1", *settings]))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_folder_becomes_a_catalogue(tmp_path: Path) -> None:
    report = run(class_folders(tmp_path / "images"), tmp_path / "out")
    rows = report.catalog.rows
    assert list(rows.columns) == [*COLUMNS, "pixel_sha256"]
    assert rows["id"].tolist() == [f"label{label}/{image}.png" for label in range(3) for image in range(5)]
    assert set(rows["split"]) == {"train", "val", "test"}
    assert rows["product"].isna().all()
    assert (rows["width"].unique().tolist(), rows["height"].unique().tolist()) == ([16], [12])
    assert report.catalog.image_path(0) == tmp_path / "images" / "label0" / "0.png"
    pd.testing.assert_frame_equal(read_catalog(tmp_path / "out").rows, rows)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"catalog.parquet", "findings.json", "summary.html", "images.parquet", "images.raw"}


def test_file_has_the_types_of_the_contract_even_where_all_is_null(tmp_path: Path) -> None:
    run(class_folders(tmp_path / "images"), tmp_path / "out")
    schema = pq.read_schema(tmp_path / "out" / "catalog.parquet")
    types = {name: str(schema.field(name).type).removeprefix("large_") for name in COLUMNS}
    text = ("id", "path", "split", "product", "label", "caption", "sha256", "duplicate_group")
    assert types == dict.fromkeys(text, "string") | dict.fromkeys(("query", "gallery"), "bool") | dict.fromkeys(
        ("width", "height"), "int32"
    )


def test_table_keeps_its_order_and_columns(tmp_path: Path) -> None:
    save_noise(tmp_path / "کفش نو.PNG", seed=1)
    save_noise(tmp_path / "a.png", seed=2)
    rows = [
        {"path": "کفش نو.PNG", "sku": "00123", "price": "9.5"},
        {"path": "a.png", "sku": "7", "price": "10"},
    ]
    report = run(write_table(tmp_path, rows), tmp_path / "out", "columns.product=sku")
    assert report.catalog.rows["path"].tolist() == ["کفش نو.PNG", "a.png"]
    assert report.catalog.rows["product"].tolist() == report.catalog.rows["sku"].tolist() == ["00123", "7"]
    assert list(report.catalog.rows.columns) == [*COLUMNS, "pixel_sha256", "sku", "price"]
    assert report.catalog.rows["price"].tolist() == [9.5, 10.0]


def test_same_source_and_settings_give_the_same_bytes(tmp_path: Path) -> None:
    class_folders(tmp_path / "images", images=30)
    run(tmp_path / "images", tmp_path / "out")
    first = snapshot(tmp_path / "out")
    run(tmp_path / "images", tmp_path / "out", "workers=2")
    assert snapshot(tmp_path / "out") == first
    run(tmp_path / "images", tmp_path / "out", "seed=1")
    assert snapshot(tmp_path / "out") != first


def test_broken_files_are_left_out_and_told(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "images")
    whole = (root / "label0" / "0.png").read_bytes()
    (root / "label0" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "label1" / "empty.jpg").write_bytes(b"")
    (root / "label1" / "page.jpg").write_text("<html>404</html>")
    (root / "label2" / "void.jpg").write_bytes(b"")
    report = run(root, tmp_path / "out")
    assert len(report.catalog.rows) == 15
    assert (report.counts["found"], report.counts["images"], report.counts["unreadable"]) == (19, 15, 4)
    told = json.loads((tmp_path / "out" / "findings.json").read_text(encoding="utf-8"))
    assert list(told) == ["format_version", "source", "counts", "store", "fixes", "findings"]
    assert (told["format_version"], told["source"]) == (2, str(root))
    assert told["counts"] == report.counts
    assert told["findings"] == report.findings
    paths = [finding["path"] for finding in told["findings"] if finding["kind"] == "unreadable"]
    assert paths == ["label0/cut.png", "label1/empty.jpg", "label1/page.jpg", "label2/void.jpg"]
    (line,) = [line for line in report.lines() if "label0/cut.png" in line]
    assert line.startswith("cannot be read and left out: 4 files, such as label0/cut.png")


def test_missing_files_of_a_table_are_left_out(tmp_path: Path) -> None:
    save_noise(tmp_path / "a.png", seed=0)
    report = run(write_table(tmp_path, [{"path": "a.png", "id": "x"}, {"path": "b.png", "id": "y"}]), tmp_path / "out")
    assert report.catalog.rows["id"].tolist() == ["x"]
    (finding,) = [finding for finding in report.findings if finding["kind"] == "unreadable"]
    assert (finding["id"], finding["path"], finding["reason"]) == ("y", "b.png", "no such image")


def test_exact_duplicates_share_a_group_and_a_split(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "images", labels=1, images=40)
    with Image.open(root / "label0" / "0.png") as image:
        image.save(root / "label0" / "copy.bmp")
        image.save(root / "label0" / "another copy.tiff")
    rows = run(root, tmp_path / "out").catalog.rows.set_index("id")
    members = ["label0/0.png", "label0/another copy.tiff", "label0/copy.bmp"]
    assert rows.loc[members, "duplicate_group"].tolist() == ["label0/0.png"] * 3
    assert rows["duplicate_group"].notna().sum() == 3
    assert rows.loc[members, "split"].nunique() == 1


def test_duplicates_with_different_labels_are_findings(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "images")
    save_noise(root / "other" / "same.png", seed=0)
    report = run(root, tmp_path / "out")
    (finding,) = [finding for finding in report.findings if finding["kind"] == "duplicates_differ"]
    assert (finding["column"], finding["ids"]) == ("label", ["label0/0.png", "other/same.png"])
    assert finding["values"] == ["label0", "other"]


def product_rows(root: Path, splits: list[str]) -> list[dict[str, str]]:
    """Two images for each product; `splits` holds those of the products' second images, the first are for training."""
    rows = []
    for number, second in enumerate(splits):
        for view, split in enumerate(("train", second)):
            save_noise(root / f"{number}_{view}.png", seed=number * 2 + view)
            rows.append({"path": f"{number}_{view}.png", "product": f"p{number}", "split": split})
    return rows


def test_given_split_that_cuts_a_product_is_mended_and_told(tmp_path: Path) -> None:
    table = write_table(tmp_path, product_rows(tmp_path, ["train", "test", "val", "train"]))
    report = run(table, tmp_path / "out")
    assert report.catalog.rows["split"].tolist() == ["train"] * 2 + ["test"] * 2 + ["val"] * 2 + ["train"] * 2
    (finding,) = [finding for finding in report.findings if finding["kind"] == "groups_across_splits"]
    assert (finding["kind"], finding["groups"], finding["moved_images"]) == ("groups_across_splits", 2, 2)
    assert finding["examples"] == ["1_0.png", "2_0.png"]
    assert any(line.startswith("2 groups of one product or picture stood in several splits") for line in report.lines())


def test_product_column_that_is_too_coarse_is_an_error(tmp_path: Path) -> None:
    table = write_table(tmp_path, product_rows(tmp_path, ["test", "test"]))
    with pytest.raises(CatalogError, match="nothing is left to train on: all 2 products or classes in train"):
        run(table, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_summary_for_a_newcomer(tmp_path: Path) -> None:
    rows = [{**row, "label": "mug"} for row in product_rows(tmp_path, ["train", "test", "val", "train"])]
    out = tmp_path / "my out"
    settings = ("columns.split=split", "inspection.smallest_side=8")
    assert run(write_table(tmp_path, rows), out, *settings).lines() == [
        "8 images of 4 products, 1 label",
        "  train 4 images of 2 products",
        "  val   2 images of 1 product",
        "  test  2 images of 1 product",
        "2 groups of one product or picture stood in several splits, such as '1_0.png'; moved 2 images to the "
        "strictest (test, else val)",
        "images: raw pixels, shorter side up to 288 (about 0 MB of raw pixels)",
        f"catalogue: {out / 'catalog.parquet'}; what was found: {out / 'summary.html'}",
        f"next: simtrain fit CONFIG.yaml --set catalog='{out}'",
    ]


def test_output_inside_the_source_is_not_read(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "images")
    save_noise(root / "out" / "cache.png", seed=99)
    first = run(root, root / "out").catalog.rows
    pd.testing.assert_frame_equal(run(root, root / "out").catalog.rows, first)
    assert len(first) == 15


def test_folder_can_hold_its_own_catalogue(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "images")
    assert len(run(root, root).catalog.rows) == 15
    root.rename(tmp_path / "moved")
    assert read_catalog(tmp_path / "moved").image_path(0).is_file()


def test_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(CatalogError, match=r"out: is a file; --out takes a folder$"):
        run(class_folders(tmp_path / "images"), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"")
    with pytest.raises(CatalogError, match=r"images: none of its 1 images can be read; the first: a\.jpg: not an"):
        run(tmp_path / "images", tmp_path / "out")


def interrupt(items: Iterable[Item], total: int, description: str, /) -> Iterable[Item]:
    for number, item in enumerate(items):
        if number == 3:
            raise KeyboardInterrupt
        yield item


@pytest.mark.parametrize("source", ["folder", "synthetic:2"])
def test_an_interrupted_run_is_gone_on_with_to_the_same_bytes(tmp_path: Path, source: str) -> None:
    named = str(class_folders(tmp_path / "images")) if source == "folder" else source
    settings = ["workers=1", "synthetic.views=3", "synthetic.image_size=32"]
    config = load_prepare_config(None, settings)
    out = tmp_path / "new" / "out"
    with pytest.raises(KeyboardInterrupt):
        prepare(named, out=out, config=config, progress=interrupt)
    assert [path.name for path in out.iterdir()] == [".prepare"]
    resumed = prepare(named, out=out, config=config)
    prepare(named, out=tmp_path / "other" / "out", config=config)
    assert resumed.fresh == 0
    assert snapshot(out) == snapshot(tmp_path / "other" / "out")


def test_interruption_before_anything_was_read_leaves_no_trace(tmp_path: Path) -> None:
    def at_once(items: Iterable[Item], total: int, description: str, /) -> Iterable[Item]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(
            str(class_folders(tmp_path / "images")),
            out=tmp_path / "new" / "out",
            config=load_prepare_config(None, ["workers=1"]),
            progress=at_once,
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
            prepare(str(tmp_path / "images"), out=tmp_path / "out", config=config, progress=interrupt)
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


def test_synthetic_catalogue_lies_inside_and_moves_along(tmp_path: Path) -> None:
    settings = ("synthetic.views=2", "synthetic.image_size=32")
    report = run("synthetic:4", tmp_path / "out", *settings)
    assert (report.counts["images"], report.counts["products"]) == (8, 4)
    assert {"color", "pattern", "price"} <= set(report.catalog.rows.columns)
    assert report.catalog.root.resolve() == (tmp_path / "out" / "source").resolve()
    (tmp_path / "out").rename(tmp_path / "moved")
    assert read_catalog(tmp_path / "moved").image_path(7).is_file()
    assert run("synthetic:3", tmp_path / "moved", *settings).counts["products"] == 3
    assert len(list((tmp_path / "moved" / "source").rglob("*.jpg"))) == 6


def test_folder_named_source_that_is_not_ours_is_kept(tmp_path: Path) -> None:
    save_noise(tmp_path / "out" / "source" / "mine.png", seed=0)
    before = snapshot(tmp_path / "out")
    with pytest.raises(
        CatalogError, match=r"is not of simtrain's making and would be replaced; take another folder for --out$"
    ):
        run("synthetic:2", tmp_path / "out")
    assert snapshot(tmp_path / "out") == before


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object, **__: object) -> None:
        raise AssertionError("an image was read again")

    monkeypatch.setattr("simtrain.catalog.inspection.chunks.decode_image", decode)
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
    with pytest.raises(CatalogError, match="nothing is left to train on: all 1 images in train are copies of images"):
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

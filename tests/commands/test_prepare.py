"""The whole of `prepare` on real files: the table, the findings, the summary, and nothing half-written."""

import json
import shlex
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from small_shops import class_folders, product_rows, run, save_noise, snapshot, write_table

from simtrain.catalog.table import COLUMNS, NEAR_DUPLICATES, read_catalog
from simtrain.errors import CatalogError


def test_folder_becomes_a_catalogue(tmp_path: Path) -> None:
    report = run(class_folders(tmp_path / "images"), tmp_path / "out")
    rows = report.catalog.rows
    assert list(rows.columns) == [*COLUMNS, "pixel_sha256", NEAR_DUPLICATES]
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
    assert list(report.catalog.rows.columns) == [*COLUMNS, "pixel_sha256", NEAR_DUPLICATES, "sku", "price"]
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
    assert line.startswith("cannot be read and left out: 4 files, such as 'label0/cut.png'")


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
        "all 8 images with a label have the same one, 'mug'",
        "images: raw pixels, shorter side up to 288 (about 0 MB of raw pixels)",
        f"catalogue: {out / 'catalog.parquet'}; what was found: {out / 'summary.html'}",
        f"next: simtrain init '{out}'",
    ]


def test_the_next_command_takes_products_from_names(tmp_path: Path) -> None:
    for number in range(24):
        save_noise(tmp_path / "my src" / f"SKU{number // 3}_{number % 3 + 1}.png", seed=number)
    out = tmp_path / "out"
    report = run(tmp_path / "my src", out, "inspection.smallest_side=8")
    assert report.counts["products"] == 0  # nothing is taken unasked
    *_, command, why, without = report.lines()
    pattern = r"product_pattern=([^/]+)[-_]\d+\.\w+$"
    assert command == f"next: simtrain prepare '{tmp_path / 'my src'}' --out {out} --set '{pattern}'"
    assert why == "  which takes 8 products from the names of 24 files"
    assert without == f"or, without it: simtrain init {out}"
    words = shlex.split(command.removeprefix("next: "))
    taken = run(words[2], out, words[6], "inspection.smallest_side=8")
    assert (taken.counts["products"], taken.lines()[-1]) == (8, f"next: simtrain init {out}")


def test_the_next_command_takes_the_column_that_is_probably_the_product(tmp_path: Path) -> None:
    rows = product_rows(tmp_path, ["train", "test", "val", "train"])
    told = [
        {"path": row["path"], "Artikelnummer": row["product"], "Preis": str(place)} for place, row in enumerate(rows)
    ]
    report = run(write_table(tmp_path, told), tmp_path / "out", "inspection.smallest_side=8")
    *_, command, why, _ = report.lines()
    source = tmp_path / "table.csv"
    assert command == (f"next: simtrain prepare {source} --out {tmp_path / 'out'} --set columns.product=Artikelnummer")
    assert why == "  which takes 'Artikelnummer' as the product"


def test_a_column_that_is_different_in_each_row_is_no_next_step(tmp_path: Path) -> None:
    told = [{"path": row["path"], "sku": str(place)} for place, row in enumerate(product_rows(tmp_path, ["test"] * 4))]
    report = run(write_table(tmp_path, told), tmp_path / "out", "inspection.smallest_side=8")
    assert report.lines()[-1] == f"next: simtrain init {tmp_path / 'out'}"


def test_images_without_a_product_are_told(tmp_path: Path) -> None:
    rows = product_rows(tmp_path, ["train"] * 4)
    rows[3]["product"] = ""
    report = run(write_table(tmp_path, rows), tmp_path / "out", "inspection.smallest_side=8")
    (finding,) = [one for one in report.findings if one["kind"] == "images_without_product"]
    assert finding["ids"] == ["1_1.png"]
    assert finding["message"] in report.lines()
    assert "Images without a product" in (tmp_path / "out" / "summary.html").read_text()


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
    with pytest.raises(
        CatalogError, match=r"images: none of its 1 images can be read; the first: 'a\.jpg' in .*: not an"
    ):
        run(tmp_path / "images", tmp_path / "out")


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

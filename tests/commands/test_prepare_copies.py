"""Which pictures `prepare` takes for copies: what the source tells apart is not dropped because it looks alike."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from small_shops import product_rows, run, save_noise, write_table

from simtrain.errors import CatalogError

DOTS = ("crimson", "navy", "olive", "teal", "purple", "orange", "black", "sienna", "green", "gold")


def bottle(path: Path, *, dot: str, place: int) -> None:
    """One bottle on white; only the dot on its label differs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (320, 480), "white")
    pen = ImageDraw.Draw(picture)
    pen.rectangle((110, 120, 210, 450), fill=(70, 110, 80))
    pen.rectangle((140, 30, 180, 120), fill=(60, 90, 70))
    pen.rectangle((120, 220, 200, 360), fill=(235, 230, 220))
    pen.ellipse((150, 270 + place, 158, 278 + place), fill=dot)
    picture.save(path)


def bottles(root: Path, *, columns: tuple[str, ...] = ("product",)) -> Path:
    rows = []
    for number in range(20):
        bottle(root / f"{number}.png", dot=DOTS[number % 10], place=number)
        rows.append({"path": f"{number}.png"} | {column: f"{column}{number}" for column in columns})
    return write_table(root, rows)


def of_kind(findings: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [finding for finding in findings if finding["kind"] == kind]


def test_products_that_differ_in_a_dot_all_stay(tmp_path: Path) -> None:
    report = run(bottles(tmp_path), tmp_path / "out")
    assert (report.counts["images"], report.counts["products"], report.counts["set_aside"]) == (20, 20, 0)
    assert report.catalog.rows["duplicate_group"].isna().all()
    near = of_kind(report.findings, "near_duplicates")
    assert near
    assert all(finding["kept_apart"] for finding in near)
    (line,) = [line for line in report.lines() if "nearly the same" in line]
    kept = f"{len(near)} kept as different things: --set near_duplicates.across_products=set_aside makes them copies"
    assert kept in line


def test_the_setting_takes_them_for_copies(tmp_path: Path) -> None:
    settings = "near_duplicates.across_products=set_aside"
    with pytest.raises(CatalogError, match=r"nothing is left to train on: .*; --set near_duplicates\.find=false lets"):
        run(bottles(tmp_path), tmp_path / "out", settings, "split.test=0.5")


def test_labels_tell_apart_where_no_product_is_named(tmp_path: Path) -> None:
    assert run(bottles(tmp_path, columns=("label",)), tmp_path / "out").counts["images"] == 20


def test_grouping_and_folds_keep_products_apart_too(tmp_path: Path) -> None:
    report = run(bottles(tmp_path), tmp_path / "out", "split.folds=3")
    assert report.catalog.rows["duplicate_group"].isna().all()
    assert len(report.catalog.with_fold(0).rows) == 20


def test_products_whose_every_image_is_a_copy_are_counted(tmp_path: Path) -> None:
    rows = product_rows(tmp_path, ["train", "train", "test"])
    for number in (0, 2):  # product 0 shows the very pixels of product 2
        for view in range(2):
            save_noise(tmp_path / f"{number}_{view}.png", seed=900 + view)
    report = run(write_table(tmp_path, rows), tmp_path / "out")
    (finding,) = of_kind(report.findings, "set_aside")
    assert finding["products_gone"] == ["p0"]
    assert report.counts["products_set_aside"] == 1
    (line,) = [line for line in report.lines() if line.startswith("set aside")]
    assert "2 images (1 product loses all images)" in line
    assert "with them 1 products" in (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")

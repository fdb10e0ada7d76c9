"""Which pictures `prepare` takes for copies: what the source tells apart is not dropped because it looks alike."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from small_shops import product_rows, run, save_noise, write_table

from simtrain.errors import CatalogError
from simtrain.evaluation.protocol import retrieval_task
from simtrain.evaluation.relevance import same

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


def test_training_whose_every_picture_is_in_test_too_is_told_what_helps(tmp_path: Path) -> None:
    rows = []
    for number in range(4):
        for name, split in ((f"{number}.png", "train"), (f"copy_{number}.png", "test")):
            save_noise(tmp_path / name, seed=number)
            rows.append({"path": name, "product": name, "split": split})
    table = write_table(tmp_path, rows)
    for settings in ((), ("near_duplicates.find=false",)):
        with pytest.raises(CatalogError, match=r"the very pixels of one in val or test; name .*columns\.split=false$"):
            run(table, tmp_path / "out", *settings)
    counts = run(table, tmp_path / "out", "columns.split=false").counts
    assert counts["images_per_split"]["train"] > 0
    assert counts["images"] + counts["set_aside"] == 8


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


def shapes(path: Path, *, seed: int) -> Image.Image:
    """A picture of shapes of its own."""
    draw, picture = np.random.default_rng(seed), Image.new("RGB", (240, 200), "white")
    pen = ImageDraw.Draw(picture)
    for _ in range(12):
        left, top, width, height = (int(number) for number in draw.integers(10, 150, 4))
        pen.ellipse((left, top, left + width, top + height), fill=tuple(draw.integers(0, 256, 3).tolist()))
    picture.save(path)
    return picture


def test_a_saved_again_copy_of_a_query_is_no_find_though_nobody_asked_for_fix(tmp_path: Path) -> None:
    rows = []
    for number in range(12):
        for view in range(2):
            picture = shapes(tmp_path / f"{number}_{view}.png", seed=2 * number + view)
            picture.save(tmp_path / f"{number}_{view}.jpg", quality=80)
            own = {"product": f"p{number}", "split": "test"}
            rows += [{"path": f"{number}_{view}.{suffix}", **own} for suffix in ("png", "jpg")]
    catalog = run(write_table(tmp_path, rows), tmp_path / "out").catalog
    assert catalog.rows["duplicate_group"].isna().all()
    groups = catalog.rows.groupby("near_duplicate_group")["path"].apply(sorted).tolist()
    assert sorted(groups) == sorted([f"{n}_{view}.jpg", f"{n}_{view}.png"] for n in range(12) for view in range(2))
    task = retrieval_task(catalog, split="test", gallery_splits=None, relevance=same(["product"]))
    assert task.near_copied_queries == len(rows)
    assert task.answers().tolist() == [2] * len(rows)  # the other photo and its copy, never the query's own copy
    alike = torch.eye(24).repeat_interleave(2, dim=0)  # an encoder that knows copies and nothing else
    nearest, _ = task.nearest(alike, task.queries, k=len(rows))
    for query, found in enumerate(nearest.tolist()):
        assert query ^ 1 not in found
    assert float(task.score(alike).values["recall_at_1"].mean()) < 0.2

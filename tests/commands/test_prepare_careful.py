"""What `prepare` must not touch, must not take for unchanged, and must not stumble over."""

import json
import os
import shutil
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from small_shops import run, snapshot

from simtrain.errors import CatalogError


def save_noise(path: Path, *, seed: int, size: int = 12) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    Image.fromarray(generator.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(path)
    return path


def shop(root: Path, *, count: int = 6) -> Path:
    for number in range(count):
        save_noise(root / f"label{number % 2}" / f"{number}.png", seed=number)
    return root


@pytest.mark.parametrize("name", ["images.raw", "images.jpeg"])
def test_a_source_where_the_store_goes_is_refused(tmp_path: Path, name: str) -> None:
    shop(tmp_path / "shop" / name)
    before = snapshot(tmp_path)
    with pytest.raises(CatalogError, match=r"lies where results go \(.*\); take another folder for --out$"):
        run(tmp_path / "shop" / name, tmp_path / "shop")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["summary.html", "findings.json", "catalog.parquet", "images.parquet", "images.raw"])
def test_what_somebody_else_put_there_is_not_replaced(tmp_path: Path, name: str) -> None:
    source, out = shop(tmp_path / "images"), tmp_path / "out"
    out.mkdir()
    (out / name).mkdir() if name == "images.raw" else (out / name).write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(CatalogError) as caught:
        run(source, out)
    expected = "is not of simtrain's making and would be replaced; take another folder for --out"
    assert str(caught.value) == f"{out / name}: {expected}"
    assert snapshot(tmp_path) == before


def test_other_files_beside_the_results_stay(tmp_path: Path) -> None:
    source, out = shop(tmp_path / "images"), tmp_path / "out"
    run(source, out)
    (out / "images.raw" / "keep.txt").write_text("mine")
    (out / "images.jpeg").mkdir()
    (out / "images.jpeg" / "keep.txt").write_text("mine")
    run(source, out, "store.kind=none")
    assert (out / "images.raw" / "keep.txt").read_text() == (out / "images.jpeg" / "keep.txt").read_text() == "mine"
    assert len(list((out / "images.raw").iterdir())) == 1


def test_a_table_that_would_be_replaced_is_refused(tmp_path: Path) -> None:
    save_noise(tmp_path / "a.png", seed=0)
    table = tmp_path / "catalog.parquet"
    pd.DataFrame({"path": ["a.png"], "price": [1.5]}).to_parquet(table)
    before = table.read_bytes()
    with pytest.raises(CatalogError, match="lies where results go"):
        run(table, tmp_path)
    assert table.read_bytes() == before


@pytest.mark.parametrize("part", ["source", "source/hat", "."])
def test_a_catalogue_of_its_own_made_images_keeps_them(tmp_path: Path, part: str) -> None:
    out = tmp_path / "out"
    run("synthetic:14", out, "synthetic.views=1", "synthetic.image_size=32")
    inside = out / part if (out / part).is_dir() else next(path for path in (out / "source").iterdir() if path.is_dir())
    report = run(inside, out)
    assert all(report.catalog.image_path(row).is_file() for row in range(len(report.catalog.rows)))


def test_a_moved_source_whose_second_catalogue_fails_leaves_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(shop(tmp_path / "one"), out)
    before = snapshot(out)
    (tmp_path / "one").rename(tmp_path / "two")

    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("simtrain.commands.prepare.publish", no_space)
    with pytest.raises(CatalogError, match="No space left on device"):
        run(tmp_path / "two", out)
    shutil.rmtree(out / ".prepare")
    assert snapshot(out) == before


def test_the_same_words_in_another_folder_are_another_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "table.csv").write_text("path\na.png\n")
    for number, folder in enumerate("AB"):
        save_noise(tmp_path / folder / "img" / "a.png", seed=number)
        monkeypatch.chdir(tmp_path / folder)
        root = run(tmp_path / "table.csv", tmp_path / "out", "root=img").catalog.root
        assert root.resolve() == (tmp_path / folder / "img").resolve()


def test_results_that_were_damaged_are_made_again(tmp_path: Path) -> None:
    source, out = shop(tmp_path / "images"), tmp_path / "out"
    run(source, out)
    before = snapshot(out)
    (out / "findings.json").write_text("{}")
    run(source, out)
    assert snapshot(out) == before
    (out / "images.parquet").write_bytes(b"PAR1")
    run(source, out)
    assert snapshot(out) == before


def test_leftovers_of_a_run_killed_at_its_very_end_go(tmp_path: Path) -> None:
    source, out = shop(tmp_path / "images"), tmp_path / "out"
    run(source, out, "store.kind=jpeg")
    (out / "images.raw").mkdir()
    (out / "images.raw" / f"{'0' * 20}.bin").write_bytes(b"old")
    assert run(source, out, "store.kind=jpeg").fresh is None
    assert not (out / "images.raw").exists()


def test_groups_name_images_that_are_in_the_catalogue(tmp_path: Path) -> None:
    """A size chart in every product: it stays in one split, and the groups are those that stay."""
    rows = []
    for number in range(30):
        save_noise(tmp_path / f"{number:02}.png", seed=number)
        save_noise(tmp_path / f"{number:02} chart.png", seed=999)
        rows += [{"path": f"{number:02}{name}.png", "product": f"p{number}"} for name in ("", " chart")]
    pd.DataFrame(rows).to_csv(tmp_path / "table.csv", index=False)
    report = run(tmp_path / "table.csv", tmp_path / "out", "split.folds=3")
    table = report.catalog.rows
    charts = table[table["duplicate_group"].notna()]
    assert set(charts["split"]) == {"test"}
    assert set(charts["duplicate_group"]) <= set(table["id"])
    assert report.counts["duplicate_images"] == len(charts) == 60 - 30 - report.counts["set_aside"]
    for fold in range(3):
        folded = report.catalog.with_fold(fold).rows
        assert set(folded["split"]) == {"train", "val", "test"}
        assert folded.groupby("duplicate_group")["split"].nunique().max() == 1


def test_few_groups_do_not_fill_many_folds(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"^split\.folds: nothing falls into fold \d+ of 50; take fewer folds$"):
        run(shop(tmp_path / "images"), tmp_path / "out", "split.folds=50")


@pytest.mark.parametrize("odd", ["folder", "pipe"])
def test_rows_that_name_no_file_are_left_out_once_and_for_all(tmp_path: Path, odd: str) -> None:
    save_noise(tmp_path / "a.png", seed=0)
    (tmp_path / "b.png").mkdir() if odd == "folder" else os.mkfifo(tmp_path / "b.png")
    (tmp_path / "table.csv").write_text("path\na.png\nb.png\n")
    report = run(tmp_path / "table.csv", tmp_path / "out")
    (finding,) = [finding for finding in report.findings if finding["kind"] == "unreadable"]
    assert finding["reason"] == "is no file"
    assert run(tmp_path / "table.csv", tmp_path / "out").fresh is None


def test_half_a_facts_file_is_a_chunk_that_is_not_done(tmp_path: Path) -> None:
    source, out = shop(tmp_path / "images"), tmp_path / "out"
    (out / ".prepare" / "shards").mkdir(parents=True)
    (out / ".prepare" / "shards" / "0.facts").write_bytes(b"")
    assert run(source, out).fresh == 6


def test_home_is_where_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shop(tmp_path / "images")
    assert run("~/images", Path("~/out")).catalog.folder == tmp_path / "out"
    with pytest.raises(CatalogError, match=r"^~nobody-of-that-name/x: "):
        run("~nobody-of-that-name/x", tmp_path / "out")


def test_an_empty_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"^SOURCE is empty; give a folder, a table, or synthetic$"):
        run("", tmp_path / "out")


def test_a_folder_whose_name_is_not_text_is_refused(tmp_path: Path) -> None:
    name = os.fsdecode(b"sh\xffop")
    shop(tmp_path / name)
    with pytest.raises(CatalogError, match="the name is not UTF-8 text; rename the folder"):
        run(tmp_path / name, tmp_path / "out")


def test_a_record_of_older_rules_is_not_taken_for_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = shop(tmp_path / "images"), tmp_path / "out"
    run(source, out)
    monkeypatch.setattr("simtrain.catalog.unchanged.RULES", 99)
    assert run(source, out).fresh == 0
    assert json.loads((out / "findings.json").read_text())["counts"]["images"] == 6


def test_pictures_that_an_interrupted_run_made_do_not_replace_those_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, made = tmp_path / "out", "synthetic:4"
    settings = ("synthetic.views=1", "synthetic.image_size=40")
    run(made, out, *settings)
    before = snapshot(out / "source")
    with monkeypatch.context() as patched:
        patched.setattr("simtrain.commands.prepare.near_duplicates", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(made, out, "synthetic.views=1", "synthetic.image_size=48")
    assert (out / ".prepare" / "source").is_dir()
    run(made, out, *settings, "store.kind=jpeg")
    assert snapshot(out / "source") == before


def test_a_store_that_a_full_disk_interrupted_is_planned_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = shop(tmp_path / "images"), tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("simtrain.commands.prepare.free_disk", lambda folder: 0)
        patched.setattr("simtrain.commands.prepare.publish", Mock(side_effect=OSError(28, "No space left on device")))
        with pytest.raises(CatalogError, match="No space left on device"):
            run(source, out)
    run(source, out)
    assert sorted(path.name for path in out.glob("images.*")) == ["images.parquet", "images.raw"]

"""`simtrain prepare` on the command line."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from small_commands import Command, everything_below, last_line, write_shop


@pytest.fixture
def nearly_twice(tmp_path: Path) -> Path:
    """A folder of two pictures, one the smaller copy of the other, and others of noise."""
    folder = tmp_path / "photos" / "one"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    coarse = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    picture = coarse.resize((240, 240), Image.Resampling.BICUBIC)
    picture.save(folder / "a.png")
    picture.resize((200, 200), Image.Resampling.BICUBIC).save(folder / "b.png")
    return folder.parent


def test_a_missing_folder_is_named(simtrain: Command, tmp_path: Path) -> None:
    status, _, error = simtrain("prepare", "no/such/shop", "--out", "catalog")
    assert status == 2
    assert error.startswith("error: no/such/shop: ")
    assert error.count("\n") <= 2
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_named(simtrain: Command, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    status, _, error = simtrain("prepare", "shop", "--out", "catalog")
    assert status == 2
    assert error.startswith("error: shop: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop"]


def test_a_truncated_picture_is_left_out_and_told(simtrain: Command, tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", classes={"mug": 6, "vase": 6})
    broken = shop / "mug" / "0.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    status, shown, _ = simtrain("prepare", "shop", "--out", "catalog")
    assert status == 0
    assert "mug/0.jpg" in shown
    assert "mug/0.jpg" not in set(pd.read_parquet(tmp_path / "catalog/catalog.parquet")["path"])
    findings = json.loads((tmp_path / "catalog/findings.json").read_text())["findings"]
    assert [finding["path"] for finding in findings if finding["kind"] == "unreadable"] == ["mug/0.jpg"]


def test_a_table_without_the_path_column_leaves_the_old_catalogue(simtrain: Command, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", classes={"mug": 6, "vase": 6})
    assert simtrain("prepare", "shop", "--out", "catalog")[0] == 0
    before = everything_below(tmp_path / "catalog")
    (tmp_path / "shop.csv").write_text("picture,label\nshop/mug/0.jpg,mug\n")
    status, _, error = simtrain("prepare", "shop.csv", "--out", "catalog")
    assert status == 2
    assert error.startswith("error: shop.csv: no column 'path'")
    assert "columns.path=picture" in error
    assert everything_below(tmp_path / "catalog") == before


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret.jpg", "shop/../../secret.jpg"])
def test_a_path_outside_the_root_is_refused(simtrain: Command, tmp_path: Path, path: str) -> None:
    (tmp_path / "shop.csv").write_text(f"path,label\n{path},mug\n")
    status, _, error = simtrain("prepare", "shop.csv", "--out", "catalog")
    assert status == 2
    assert path in error
    assert "row 1" in error
    assert not (tmp_path / "catalog").exists()


def test_prepare_names_the_encoder_of_near_duplicates(simtrain: Command, nearly_twice: Path):
    status, _, told = simtrain(
        "prepare", str(nearly_twice), "--out", "catalog", "--set",
        "near_duplicates.encoder={kind: resnet, model: resnet51}",
    )  # fmt: skip
    assert status == 2
    assert last_line(told).startswith(
        "error: near_duplicates.encoder.model: torchvision has no 'resnet51'; allowed: resnet101, "
    )

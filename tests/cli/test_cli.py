"""The command line as a person meets it: every verb once, and the mistakes that are worth a sentence."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from simtrain import cli

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def simtrain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the command in an empty folder and returns exit status, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["simtrain", *arguments])
        status = 0
        try:
            cli.main()
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return run


def write_config(path: Path, **sections: object) -> Path:
    tree = {
        "catalog": "catalog",
        "encoder": {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32},
        "objective": {"kind": "triplet", "positive": "product"},
        "data": {"batch_size": 16, "workers": 0},
        "trainer": {"epochs": 1, "accelerator": "cpu"},
        "evaluation": {"bootstrap_draws": 100},
        "export": {"onnx": False},
    }
    path.write_text(yaml.safe_dump({**tree, **sections}))
    return path


def write_shop(folder: Path, *, classes: dict[str, int]) -> Path:
    """A folder of class folders with so many pictures each."""
    generator = np.random.default_rng(0)
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.jpg")
    return folder


def everything_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_the_whole_job(simtrain: Run, tmp_path: Path) -> None:
    write_config(tmp_path / "shop.yaml")
    small = ("--set", "synthetic.views=4", "--set", "synthetic.image_size=48", "--set", "workers=1")
    assert simtrain("prepare", "synthetic:30", "--out", "catalog", *small)[0] == 0
    assert simtrain("evaluate", "shop.yaml", "--split", "val", "--json", "before.json")[0] == 0
    status, shown, _ = simtrain("fit", "shop.yaml")
    assert status == 0
    assert shown.splitlines()[-2:] == ["run: checkpoints/shop", "next: simtrain evaluate shop"]
    status, shown, _ = simtrain("evaluate", "shop")
    assert status == 0
    assert "recall_at_1" in shown
    assert "95 % interval" in shown
    figures = json.loads((tmp_path / "checkpoints/shop/evaluation.json").read_text())
    assert set(figures["metrics"]) == {"recall_at_1", "recall_at_5", "recall_at_10", "map_at_r", "r_precision", "mrr"}
    assert all(found["low"] <= found["mean"] <= found["high"] for found in figures["metrics"].values())
    assert simtrain("export", "shop", "--out", "bundle")[0] == 0
    query = sorted((tmp_path / "catalog/source").rglob("*.jpg"))[0]
    status, shown, _ = simtrain("search", "bundle", "--image", str(query), "-k", "3", "--plot", "found.png", "--json")
    answer = json.loads(shown)
    assert status == 0
    assert len(answer["neighbours"]) == 3
    assert (tmp_path / "catalog/source" / answer["neighbours"][0]["path"]) == query
    assert answer["neighbours"][0]["similarity"] == pytest.approx(1, abs=1e-5)
    assert Image.open(tmp_path / "found.png").size[0] > 400
    status, shown, _ = simtrain("search", "bundle", "--image", str(query), "-k", "2")
    assert status == 0
    assert query.relative_to(tmp_path / "catalog/source").as_posix() in shown
    status, _, error = simtrain("search", "bundle", "--text", "a red mug")
    assert (status, error) == (2, "error: bundle: this bundle's encoder has no text tower; search it by image\n")


def test_a_misspelt_key_is_named_with_the_right_one(simtrain: Run, tmp_path: Path) -> None:
    write_config(tmp_path / "shop.yaml", trainer={"epoch": 3})
    expected = "error: shop.yaml: trainer.epoch: unknown key; did you mean 'epochs'?\n"
    assert simtrain("fit", "shop.yaml") == (2, "", expected)


def test_a_missing_folder_is_named(simtrain: Run, tmp_path: Path) -> None:
    status, _, error = simtrain("prepare", "no/such/shop", "--out", "catalog")
    assert status == 2
    assert error.startswith("error: no/such/shop: ")
    assert error.count("\n") <= 2
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_named(simtrain: Run, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    status, _, error = simtrain("prepare", "shop", "--out", "catalog")
    assert status == 2
    assert error.startswith("error: shop: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop"]


def test_a_class_with_one_image_under_triplet_is_named(simtrain: Run, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", classes={f"class{number}": 12 for number in range(8)} | {"mug": 1})
    assert simtrain("prepare", "shop", "--out", "catalog", "--set", "split.val=0.3", "--set", "split.test=0")[0] == 0
    objective = {"kind": "triplet", "positive": "label"}
    write_config(tmp_path / "shop.yaml", objective=objective, relevance="label")
    status, _, error = simtrain("fit", "shop.yaml")
    assert status == 2
    assert error == (
        "error: catalog: class 'mug' has 1 image; triplet needs 2: "
        "add images, or set objective.single_image_groups=drop\n"
    )
    assert not (tmp_path / "checkpoints").exists()


def test_a_truncated_picture_is_left_out_and_told(simtrain: Run, tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", classes={"mug": 6, "vase": 6})
    broken = shop / "mug" / "0.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    status, shown, _ = simtrain("prepare", "shop", "--out", "catalog")
    assert status == 0
    assert "mug/0.jpg" in shown
    assert "mug/0.jpg" not in set(pd.read_parquet(tmp_path / "catalog/catalog.parquet")["path"])
    findings = json.loads((tmp_path / "catalog/findings.json").read_text())["findings"]
    assert [finding["path"] for finding in findings if finding["kind"] == "unreadable"] == ["mug/0.jpg"]


def test_a_table_without_the_path_column_leaves_the_old_catalogue(simtrain: Run, tmp_path: Path) -> None:
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
def test_a_path_outside_the_root_is_refused(simtrain: Run, tmp_path: Path, path: str) -> None:
    (tmp_path / "shop.csv").write_text(f"path,label\n{path},mug\n")
    status, _, error = simtrain("prepare", "shop.csv", "--out", "catalog")
    assert status == 2
    assert path in error
    assert "row 1" in error
    assert not (tmp_path / "catalog").exists()


def test_weights_that_are_not_a_checkpoint_are_refused(simtrain: Run, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", classes={f"class{number}": 12 for number in range(8)})
    assert simtrain("prepare", "shop", "--out", "catalog")[0] == 0
    (tmp_path / "weights.pt").write_text("<html>not found</html>")
    encoder = {"kind": "resnet", "model": "resnet18", "weights": "weights.pt"}
    write_config(tmp_path / "shop.yaml", encoder=encoder, objective={"kind": "simclr"}, relevance="label")
    status, _, error = simtrain("fit", "shop.yaml")
    assert status == 2
    assert error.startswith("error: weights.pt: not a checkpoint")
    assert error.count("\n") == 1
    assert not (tmp_path / "checkpoints").exists()


def test_a_run_whose_checkpoint_is_broken_is_refused(simtrain: Run, tmp_path: Path) -> None:
    write_config(tmp_path / "shop.yaml")
    small = ("--set", "synthetic.views=4", "--set", "synthetic.image_size=48", "--set", "workers=1")
    assert simtrain("prepare", "synthetic:30", "--out", "catalog", *small)[0] == 0
    assert simtrain("fit", "shop.yaml")[0] == 0
    best = tmp_path / "checkpoints/shop/best.ckpt"
    best.write_bytes(best.read_bytes()[:1000])
    status, _, error = simtrain("export", "shop", "--out", "bundle")
    assert status == 2
    assert error.startswith("error: checkpoints/shop/best.ckpt: not a checkpoint of simtrain fit")
    assert not (tmp_path / "bundle").exists()


def test_a_misspelt_run_is_named_with_the_right_one(simtrain: Run) -> None:
    Path("checkpoints/mugs").mkdir(parents=True)
    Path("checkpoints/mugs/config.yaml").write_text("x: 1\n")
    expected = "error: mgs: no such run in checkpoints; did you mean 'mugs'?\n"
    assert simtrain("evaluate", "mgs") == (2, "", expected)


def test_a_folder_that_is_no_bundle_is_refused(simtrain: Run, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", classes={"mug": 1})
    status, _, error = simtrain("search", "shop", "--image", "shop/mug/0.jpg")
    assert status == 2
    assert error.startswith("error: shop")


def test_search_wants_an_image_or_a_text(simtrain: Run) -> None:
    assert simtrain("search", "bundle") == (2, "", 'error: search: give either --image PATH or --text "..."\n')


def test_fit_without_a_catalogue_says_how_to_make_one(simtrain: Run, tmp_path: Path) -> None:
    write_config(tmp_path / "shop.yaml")
    status, _, error = simtrain("fit", "shop.yaml")
    expected = (
        "error: catalog/catalog.parquet: no catalogue here; make one with: simtrain prepare SOURCE --out catalog\n"
    )
    assert (status, error) == (2, expected)


def test_relevance_by_an_empty_column_names_the_filled_one(simtrain: Run, tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", classes={f"class{number}": 12 for number in range(8)})
    assert simtrain("prepare", "shop", "--out", "catalog")[0] == 0
    write_config(tmp_path / "shop.yaml")
    status, _, error = simtrain("evaluate", "shop.yaml", "--split", "train")
    assert (status, error) == (
        2,
        "error: catalog: relevance column 'product' is empty; filled: label (set relevance=label)\n",
    )

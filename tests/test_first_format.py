"""Catalogue, runs and bundle that an earlier version wrote still open, resume, evaluate and search alike."""

import csv
import json
import random
import shutil
from pathlib import Path
from typing import Any

import albumentations as A
import numpy as np
import pytest
from first_format_transforms import first_format

from simtrain.builders.data import build_transform
from simtrain.cli import app
from simtrain.runs.run import open_run
from simtrain.training.saved_weights import read_module_state

WRITTEN = Path(__file__).parent / "fixtures" / "first_format"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the artifacts, as the working folder."""
    shutil.copytree(WRITTEN, tmp_path / "shop")
    monkeypatch.chdir(tmp_path / "shop")
    return tmp_path / "shop"


def command(*arguments: str) -> None:
    assert app(list(arguments), standalone_mode=False) in (None, 0)


def leaves(tree: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(tree, dict):
        return {k: v for name, value in tree.items() for k, v in leaves(value, f"{prefix}/{name}").items()}
    return {prefix: tree}


@pytest.mark.parametrize(("run", "split", "told"), [("finished", "test", "finished_test"), ("clip", "val", "clip_val")])
def test_a_run_is_evaluated_with_the_same_figures(shop: Path, run: str, split: str, told: str) -> None:
    command("evaluate", run, "--split", split, "--json", "now.json")
    before, now = (leaves(json.loads(Path(name).read_text())) for name in (f"{told}.json", "now.json"))
    compared = [name for name in before if name.startswith(("/metrics/", "/text/", "/kept/", "/queries", "/gallery"))]
    assert len(compared) >= 18
    for name in compared:
        expected = before[name]
        assert now[name] == (pytest.approx(expected, abs=1e-5) if isinstance(expected, float) else expected), name


@pytest.mark.parametrize("run", ["finished", "interrupted", "clip"])
def test_a_run_goes_on_with_the_views_that_it_began_with(run: str) -> None:
    augmentation = open_run(run, checkpoints=WRITTEN / "checkpoints").config.augmentation
    now = build_transform(augmentation, image_size=24)
    before = A.Compose(first_format("color_sensitive", 24))
    image = np.random.default_rng(0).integers(0, 256, size=(48, 48, 3), dtype=np.uint8)
    for seed in range(100):
        before.set_random_state(np.random.default_rng(seed), random.Random(seed))
        np.testing.assert_array_equal(now(image, seed=seed), before(image=image)["image"])


def test_an_interrupted_run_goes_on_to_the_same_end(shop: Path) -> None:
    command("fit", "--resume", "interrupted")
    before, now = (
        list(csv.DictReader(Path(name).read_text(encoding="utf-8").splitlines()))
        for name in ("resumed_metrics.csv", "checkpoints/interrupted/metrics.csv")
    )
    timed = {"images_per_second", "seconds"}
    assert len(now) == len(before) == 5
    for old, new in zip(before, now, strict=True):
        for name in old.keys() - timed:
            assert bool(new[name]) == bool(old[name])
            assert not old[name] or float(new[name]) == pytest.approx(float(old[name]), rel=1e-4), name


def test_a_bundle_answers_as_before(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("search", "bundle", "--image", "catalog/source/clock/clock-0000_0.jpg", "--json")
    now, before = json.loads(capsys.readouterr().out), json.loads(Path("search.json").read_text())
    assert [found["id"] for found in now["neighbours"]] == [found["id"] for found in before["neighbours"]]
    assert [found["similarity"] for found in now["neighbours"]] == pytest.approx(
        [found["similarity"] for found in before["neighbours"]], abs=1e-5
    )
    assert now["fingerprint"] == before["fingerprint"]


def test_a_run_is_exported_and_its_bundle_has_the_same_items(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("export", "finished", "--out", "again")
    capsys.readouterr()
    command("search", "again", "--image", "catalog/source/clock/clock-0000_0.jpg", "--json")
    now, before = json.loads(capsys.readouterr().out), json.loads(Path("search.json").read_text())
    assert [found["id"] for found in now["neighbours"]] == [found["id"] for found in before["neighbours"]]


def test_the_names_of_weights_in_checkpoints_stay(shop: Path) -> None:
    names = read_module_state(shop / "checkpoints" / "finished" / "best.ckpt").keys()
    tensors = {"encoder.network.conv_stem.weight", "averaged.encoder.network.conv_stem.weight", "head.0.weight"}
    assert tensors | {"mined_loss.memory.embeddings", "mined_loss.memory.rows"} <= names

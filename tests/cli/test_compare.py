"""`simtrain compare` on the command line."""

import json
import shlex
from pathlib import Path

import pytest
import torch
from small_commands import Command, last_line
from small_runs import train

from simtrain.catalog.table import Catalog

QUICK = (
    "--set", "draws=1000", "--set", "workers=0", "--set", "robustness_images=4", "--set", "pictures.queries=2",
    "--set", "pictures.map_method=pca", "--set", "whitening=null",
)  # fmt: skip


def test_command_shows_figures_and_writes_them_with_a_page(catalog: Catalog, simtrain: Command, tmp_path: Path):
    status, shown, aside = simtrain(
        "compare", str(catalog.folder), "--encoders", "pixels,histogram_lab,simclr_resnet50", *QUICK
    )
    assert status == 0
    found = json.loads((tmp_path / "comparison.json").read_text())
    lines = [line.split() for line in shown.splitlines()]
    for one in found["encoders"]:
        figures = one["relevances"]["product"]["metrics"]
        row = next(line for line in lines if line[:1] == [one["name"]])
        assert row[1] == f"{100 * figures['map_at_r']['mean']:.1f}"
    assert " baseline" in shown
    assert aside.splitlines()[-1] == (
        "unavailable: simclr_resnet50: checkpoints/simclr_imagenet.ckpt: no such weights file"
    )
    assert shown.splitlines()[-2:] == ["written: comparison.json", "page: comparison.html"]
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "histogram_lab" in page
    assert "no such weights file" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["comparison.html", "comparison.json"]


def test_the_recommended_command_makes_a_bundle_of_that_encoder(catalog: Catalog, simtrain: Command, tmp_path: Path):
    status, shown, _ = simtrain(
        "compare", str(catalog.folder), "--encoders", "histogram_hsv,histogram_lab", *QUICK[:-2], "--set",
        "whitening.power=0.5",
    )  # fmt: skip
    assert status == 0
    found = json.loads((tmp_path / "comparison.json").read_text())
    recommended, lines = found["recommendation"], shown.splitlines()
    place = lines.index(f"next: {recommended['command']}")
    assert lines[place - 1] == recommended["sentence"]
    assert recommended["encoder"] == found["baseline"]
    program, *arguments = shlex.split(recommended["command"])
    assert program == "simtrain"
    assert simtrain(*arguments, "--set", "export.onnx=false")[0] == 0
    manifest = json.loads((tmp_path / "bundles" / recommended["encoder"] / "manifest.json").read_text())
    assert manifest["run"]["name"] == recommended["encoder"]
    assert manifest["run"]["untouched"] is True


def test_a_plan_comes_first_and_each_encoder_has_its_number(catalog: Catalog, simtrain: Command):
    status, _, aside = simtrain("compare", str(catalog.folder), "--encoders", "pixels,histogram_lab", *QUICK)
    assert status == 0
    told = [line for line in aside.splitlines() if "embedding images" not in line]
    assert told == [
        f"2 encoders, {catalog.rows['split'].isin(['val', 'test']).sum()} images",
        "encoder 1 of 2: pixels",
        "encoder 2 of 2: histogram_lab",
        "verdicts on 2 encoders, 1,000 draws each, and pictures",
        "writing comparison.json and comparison.html",
    ]


def test_quick_compares_the_few_that_decide(
    catalog: Catalog, simtrain: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    encoder = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}
    monkeypatch.chdir(tmp_path)
    train(catalog, Path("checkpoints"), encoder={**encoder, "evaluation_image_size": 48})
    status, _, _ = simtrain("compare", str(catalog.folder), "--quick", "--run", "small", *QUICK[:-2])
    assert status == 0
    found = json.loads((tmp_path / "comparison.json").read_text())
    assert [one["name"] for one in found["encoders"]] == [
        "chance",
        "histogram_hsv",
        "start_of_small",
        "start_of_small_at_training_size",
        "histogram_hsv_whitened",
        "start_of_small_whitened",
        "start_of_small_at_training_size_whitened",
        "small",
    ]
    titles = [one["title"] for one in found["encoders"] if one["name"].startswith("start_of")]
    assert titles[:2] == [
        "untouched test_efficientnet with random weights, 48 px",
        "untouched test_efficientnet with random weights, 32 px",
    ]
    exports = {one["name"]: one["export"] for one in found["encoders"]}
    assert exports["start_of_small_at_training_size_whitened"] == [
        "start_of_small_whitened", "--set", "encoder.evaluation_image_size=null",
    ]  # fmt: skip


def test_an_interrupted_comparison_says_what_is_kept(
    catalog: Catalog, simtrain: Command, monkeypatch: pytest.MonkeyPatch
):
    def interrupt(*_arguments: object, **_settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("simtrain.api.compare.compare", interrupt)
    (catalog.folder / "embeddings").mkdir(exist_ok=True)
    status, _, aside = simtrain("compare", str(catalog.folder))
    kept = f"the embeddings in {catalog.folder / 'embeddings'} are kept: the same command goes on from there"
    assert (status, aside) == (130, f"interrupted; {kept}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--encoders", "pixel"), "encoders: no encoder 'pixel'; did you mean 'pixels'?; allowed: pixels, "),
        (("--encoders", "pixels,pixels"), "--set: encoders names pixels twice"),
        (("--encoders", "none"), "compare: nothing to compare; name encoders with --encoders or runs with --run"),
        (("--encoders", "simclr_resnet50"), "encoders: none of simclr_resnet50 is available here"),
        (("--run", "nothing"), "nothing: no such run in checkpoints"),
        (("--set", "metric=map"), "--set: metric: got 'map'"),
        (("--set", "relevance=[colour]"), "catalog.parquet: no column 'colour'"),
        (("--set", "category=kind"), "catalog.parquet: no column 'kind'"),
        (("--set", "levels=[id,path]"), "levels: none of 24 queries is alike to an item in the gallery of 24"),
        (
            ("--set", "relevance=[id]"),
            "every 'id' has one image, so there is nothing to find by it; set relevance=product",
        ),
        (("--baseline", "clip", "--encoders", "clip"), "baseline: 'clip' is unavailable: model: 'clip-"),
        (("--set", "folds=true"), "no column 'fold'; prepare with --set split.folds=5"),
        (("--set", "draw=3"), "--set: draw: unknown key; did you mean 'draws'?"),
    ],
)
def test_mistakes_are_told_in_a_line_and_leave_nothing(
    catalog: Catalog, simtrain: Command, tmp_path: Path, arguments: tuple[str, ...], message: str
):
    status, shown, aside = simtrain("compare", str(catalog.folder), *arguments, "--out", "new/comparison")
    assert status == 2
    error = aside.splitlines()[-1]
    assert message in error
    assert error.startswith("error: ")
    assert "Traceback" not in shown + aside
    assert list(tmp_path.iterdir()) == []


def test_the_split_of_settings_holds_unless_the_option_is_given(catalog: Catalog, simtrain: Command):
    chosen = ("compare", str(catalog.folder), "--encoders", "pixels", *QUICK, "--set", "split=val")
    assert "split val: " in simtrain(*chosen)[1]
    assert "split test: " in simtrain(*chosen, "--split", "test")[1]


def test_a_folder_without_a_catalogue_is_told(simtrain: Command, tmp_path: Path):
    status, _, aside = simtrain("compare", str(tmp_path))
    assert status == 2
    assert aside.startswith(f"error: {tmp_path}/catalog.parquet: no catalogue here; make one with: simtrain prepare")


def test_compare_names_the_encoder_as_typed(simtrain: Command, catalog: Catalog):
    status, _, told = simtrain("compare", str(catalog.folder), "--encoders", "pixels,resnet:resnet51")
    assert status == 2
    assert last_line(told).startswith(
        "error: resnet:resnet51: model: torchvision has no 'resnet51'; allowed: resnet101, "
    )


def test_compare_names_file_and_key_of_a_configuration(simtrain: Command, catalog: Catalog, run_yaml: Path):
    status, _, told = simtrain("compare", str(catalog.folder), "--encoders", f"pixels,{run_yaml}")
    assert status == 2
    assert last_line(told).startswith(
        f"error: {run_yaml}: encoder.model: torchvision has no 'resnet51'; allowed: resnet101, "
    )


def test_compare_names_its_own_key_of_the_accelerator(
    simtrain: Command, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    status, _, told = simtrain("compare", str(catalog.folder), "--encoders", "pixels", "--set", "accelerator=gpu")
    assert status == 2
    assert last_line(told) == "error: accelerator: got 'gpu', but torch sees none here; allowed: auto, cpu"

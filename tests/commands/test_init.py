"""`init`: what is written loads, trains and says why; nothing is replaced unasked."""

import os
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from small_shops import class_folders, run, save_noise, write_table

import simtrain
from simtrain.catalog.prepare_report import PrepareReport
from simtrain.commands import init as command
from simtrain.commands.fit import fit
from simtrain.config import load_run_config
from simtrain.config.proposal_facts import MachineFacts
from simtrain.console import SILENT
from simtrain.errors import CatalogError, ConfigError

MACHINE_FACTS = command.machine_facts
LAPTOP = MachineFacts(gpus=0, gpu="", cores=2, packaged_network=True, packaged_texts=True)
TINY = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}
FAST = {"trainer.max_steps": 1, "trainer.accelerator": "cpu", "data.workers": 0, "data.batch_size": 8}


@pytest.fixture(autouse=True)
def laptop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "machine_facts", lambda: LAPTOP)
    monkeypatch.chdir(tmp_path)


def products(root: Path) -> PrepareReport:
    """16 products of four pictures, two labels, and one product with a single picture in train."""
    rows: list[dict[str, str]] = []
    for number in range(65):
        save_noise(root / f"{number}.png", seed=number)
        side = ("train", "train", "val", "test")[number // 4 % 4] if number < 64 else "train"
        rows.append(
            {"path": f"{number}.png", "product": f"p{number // 4}", "label": f"kind {number // 4 % 2}", "split": side}
        )
    return run(write_table(root, rows), Path("shop"), "inspection.smallest_side=8", "near_duplicates.find=false")


def captions(root: Path) -> PrepareReport:
    rows = []
    for number in range(40):
        save_noise(root / f"{number}.png", seed=number)
        rows.append({"path": f"{number}.png", "caption": f"a mug of shape {number}"})
    return run(write_table(root, rows), Path("shop"), "inspection.smallest_side=8", "near_duplicates.find=false")


def labels(root: Path) -> PrepareReport:
    return run(class_folders(root, labels=4, images=15), Path("shop"), "near_duplicates.find=false")


def pictures(root: Path) -> PrepareReport:
    return run(class_folders(root, labels=1, images=40), Path("shop"), "near_duplicates.find=false")


ROUTES = {"products": products, "labels": labels, "captions": captions, "pictures": pictures}


@pytest.mark.parametrize("route", ROUTES)
def test_what_is_written_loads_with_a_reason_for_each_choice(route: str, tmp_path: Path) -> None:
    ROUTES[route](tmp_path / "images")
    written = simtrain.init("shop")
    assert (written.route, written.path) == (route, Path("shop.yaml"))
    config = load_run_config(written.path, [])
    assert config == written.config
    assert (config.catalog, config.run) == ("shop", "shop")
    text = written.path.read_text()
    assert text.startswith("# By simtrain init, for shop: ")
    assert text.count(" # ") >= 6
    assert str(written).splitlines()[0] == f"route: {route}"
    assert str(written).splitlines()[-1] == "next: simtrain fit shop.yaml"


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
def test_what_is_written_trains(route: str, tmp_path: Path) -> None:
    ROUTES[route](tmp_path / "images")
    section: dict[str, Any] = {"encoder": TINY}
    if route == "captions":
        section = {"encoder.image": {**TINY, "embedding_size": 384}}
    written = simtrain.init("shop", overrides={**section, **FAST})
    result = fit(written.config, resume=False, console=SILENT)
    assert result.zero_shot is not None
    assert simtrain.evaluate("shop", split="val", console=SILENT).evaluation.queries > 0


def test_numbers_and_single_images_are_told(tmp_path: Path) -> None:
    products(tmp_path / "images")
    lines = str(simtrain.init("shop")).splitlines()
    assert lines[1] == (
        "  8 products in train have two pictures or more (4 as a rule), so pictures of one product are drawn together"
    )
    assert lines[2] == "  also possible: --route labels, --route pictures"
    assert lines[3] == (
        "  tf_efficientnet_lite0 at 96 pixels, batches of 16, 30 epochs (about 60 steps), on this machine with "
        "2 cores, no GPU"
    )
    assert lines[4] == "  1 product with one training picture left out of training"


def test_settings_of_ones_own_are_marked(tmp_path: Path) -> None:
    labels(tmp_path / "images")
    simtrain.init("shop", "mine/run 1.yaml", overrides={"trainer.epochs": 3, "seed": 7})
    lines = Path("mine/run 1.yaml").read_text().splitlines()
    assert "  epochs: 3 # as you have set it" in lines
    assert "seed: 7 # as you have set it" in lines
    assert yaml.safe_load("\n".join(lines))["catalog"] == "shop"


def test_a_file_that_is_there_stays_unless_force_is_given(tmp_path: Path) -> None:
    labels(tmp_path / "images")
    Path("shop.yaml").write_text("mine")
    with pytest.raises(ConfigError) as refused:
        simtrain.init("shop")
    again = "simtrain init shop --out shop.yaml --force"
    assert str(refused.value) == f"shop.yaml: is there already; name another file with --out, or replace it: {again}"
    assert Path("shop.yaml").read_text() == "mine"
    simtrain.init("shop", force=True)
    assert load_run_config(Path("shop.yaml"), []).catalog == "shop"


@pytest.mark.parametrize(
    ("out", "overrides", "expected"),
    [
        ("shop", {}, "shop: expected the name of a YAML file, such as shop.yaml"),
        ("a.yaml", {"trainer.epoch": 3}, "a.yaml: trainer.epoch: unknown key; did you mean 'epochs'?"),
    ],
)
def test_mistakes_write_nothing(tmp_path: Path, out: str, overrides: dict[str, Any], expected: str) -> None:
    labels(tmp_path / "images")
    with pytest.raises(ConfigError) as refused:
        simtrain.init("shop", out, overrides=overrides)
    assert str(refused.value) == expected
    assert not Path("a.yaml").exists()


def test_without_a_catalogue_the_command_that_makes_one_is_told() -> None:
    with pytest.raises(CatalogError, match=r"no catalogue here; make one with: simtrain prepare SOURCE --out shop$"):
        simtrain.init("shop")


def test_a_val_without_pairs_is_told_with_what_to_do(tmp_path: Path) -> None:
    rows = []
    for number in range(24):
        save_noise(tmp_path / "images" / f"{number}.png", seed=number)
        split = "train" if number < 20 else ("val", "test")[number % 2]
        product = f"p{number // 2}" if number < 20 else f"alone {number}"
        rows.append({"path": f"{number}.png", "product": product, "split": split})
    run(write_table(tmp_path / "images", rows), Path("my shop"), "near_duplicates.find=false")
    told = str(simtrain.init("my shop")).splitlines()
    assert told[-3] == (
        "  warning: val has no two pictures of one 'product' to judge by; prepare it with a larger share: simtrain "
        "prepare SOURCE --out 'my shop' --set split.val=0.3"
    )
    assert told[-1] == f"next: simtrain fit {shlex.quote('my shop.yaml')}"


def test_facts_of_a_machine_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = MACHINE_FACTS()
    assert (found.gpus, found.gpu) == (0, "")
    assert 1 <= found.cores <= (os.cpu_count() or 1)

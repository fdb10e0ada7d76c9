"""An error names what the user typed, whichever command met it."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from simtrain import cli
from simtrain.catalog.table import Catalog

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def simtrain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs the command in an empty folder and returns exit status and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["simtrain", *arguments])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        return int(leaving.value.code or 0), capsys.readouterr().err.splitlines()[-1]

    return run


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


@pytest.fixture
def run_yaml(catalog: Catalog, tmp_path: Path) -> Path:
    tree = {"catalog": str(catalog.folder), "encoder": {"kind": "resnet", "model": "resnet51"}}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**tree, "objective": {"kind": "triplet"}, "trainer": {"accelerator": "cpu"}}))
    return path


def test_prepare_names_the_encoder_of_near_duplicates(simtrain: Command, nearly_twice: Path):
    status, told = simtrain(
        "prepare", str(nearly_twice), "--out", "catalog", "--set",
        "near_duplicates.encoder={kind: resnet, model: resnet51}",
    )  # fmt: skip
    assert status == 2
    assert told.startswith("error: near_duplicates.encoder.model: torchvision has no 'resnet51'; allowed: resnet101, ")


def test_compare_names_the_encoder_as_typed(simtrain: Command, catalog: Catalog):
    status, told = simtrain("compare", str(catalog.folder), "--encoders", "pixels,resnet:resnet51")
    assert status == 2
    assert told.startswith("error: resnet:resnet51: model: torchvision has no 'resnet51'; allowed: resnet101, ")


def test_compare_names_file_and_key_of_a_configuration(simtrain: Command, catalog: Catalog, run_yaml: Path):
    status, told = simtrain("compare", str(catalog.folder), "--encoders", f"pixels,{run_yaml}")
    assert status == 2
    assert told.startswith(f"error: {run_yaml}: encoder.model: torchvision has no 'resnet51'; allowed: resnet101, ")


@pytest.mark.parametrize("verb", ["fit", "evaluate"])
def test_a_run_names_the_key_of_its_encoder(simtrain: Command, run_yaml: Path, verb: str):
    status, told = simtrain(verb, str(run_yaml))
    assert status == 2
    assert told.startswith("error: encoder.model: torchvision has no 'resnet51'; allowed: resnet101, ")


def test_doctor_names_its_option(simtrain: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert simtrain("doctor", "--accelerator", "gpu") == (
        2,
        "error: --accelerator: got 'gpu', but torch sees none here; allowed: auto, cpu",
    )


@pytest.mark.parametrize("devices", [3, 8])
def test_doctor_names_its_option_for_too_many_gpus(simtrain: Command, monkeypatch: pytest.MonkeyPatch, devices: int):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert simtrain("doctor", "--devices", str(devices)) == (
        2,
        f"error: --devices: got {devices}, but there are 2 GPUs; allowed: 1 to 2, auto",
    )


def test_fit_names_the_key_of_its_accelerator(simtrain: Command, run_yaml: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert simtrain("fit", str(run_yaml), "--set", "trainer.accelerator=gpu") == (
        2,
        "error: trainer.accelerator: got 'gpu', but torch sees none here; allowed: auto, cpu",
    )


def test_compare_names_its_own_key_of_the_accelerator(
    simtrain: Command, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert simtrain("compare", str(catalog.folder), "--encoders", "pixels", "--set", "accelerator=gpu") == (
        2,
        "error: accelerator: got 'gpu', but torch sees none here; allowed: auto, cpu",
    )

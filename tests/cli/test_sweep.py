"""`simtrain sweep` on the command line."""

import json
from pathlib import Path

import pytest
from small_commands import Command, write_config

import simtrain as package
from simtrain.catalog.table import Catalog


def test_a_sweep_needs_a_configuration(simtrain: Command):
    assert simtrain("sweep") == (2, "", "error: sweep: give a CONFIG.yaml, or --recipe NAME\n")


def test_a_wrong_space_is_told_before_anything_is_read(simtrain: Command, small_config: Path):
    small_config.write_text("catalog: nowhere\nencoder: {kind: resnet}\nobjective: {kind: simclr}\n")
    status, _, told = simtrain("sweep", str(small_config), "--over", "learning_rate=1e-5..1e-3")
    assert status == 2
    assert told == "error: --over learning_rate: unknown key; did you mean optimizer.learning_rate?\n"


def test_no_trials_are_refused() -> None:
    with pytest.raises(package.SimtrainError, match=r"^trials: got 0; allowed: 1 or more$"):
        package.sweep("a.yaml", trials=0)


@pytest.mark.slow
def test_a_sweep_as_json(simtrain: Command, catalog: Catalog, tmp_path: Path):
    encoder = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}
    config = write_config(
        tmp_path / "shop.yaml",
        catalog=str(catalog.folder),
        encoder=encoder,
        objective={"kind": "triplet"},
        data={"batch_size": 16, "workers": 0},
        trainer={"epochs": 1, "accelerator": "cpu"},
        evaluation={"bootstrap_draws": 100},
    )
    status, shown, _ = simtrain("sweep", str(config), "--trials", "2", "--json")
    assert status == 0
    found = json.loads(shown[shown.index("{") :])
    assert (found["wanted"], found["test_readings"], len(found["trials"])) == (2, 0, 2)

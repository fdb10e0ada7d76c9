"""Evaluating a run: on its own catalogue, with its own seed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import change_splits

from simtrain.catalog.table import Catalog
from simtrain.commands.evaluate import evaluate
from simtrain.commands.fit import fit
from simtrain.config import RunConfig
from simtrain.console import SILENT
from simtrain.errors import CheckpointError
from simtrain.runs.run import Run, open_run

MakeConfig = Callable[..., RunConfig]


def test_a_run_is_not_judged_on_a_catalogue_that_changed(trained: Run, own_catalog: Path) -> None:
    change_splits(own_catalog)
    with pytest.raises(CheckpointError, match="has changed since this run was trained"):
        evaluate(trained.config, run=trained, split="test", alpha=None, console=SILENT)


def test_another_catalogue_by_name_is_a_choice(trained: Run, catalog: Catalog) -> None:
    run = open_run(str(trained.folder), checkpoints=Path(), overrides=[f"catalog={catalog.folder}"])
    assert evaluate(run.config, run=run, split="test", alpha=None, console=SILENT).evaluation.queries > 0


def test_zero_shot_figures_of_new_layers_are_the_same_each_time_and_in_fit(make_config: MakeConfig) -> None:
    encoder = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32, "embedding_size": 8}
    config = make_config(encoder=encoder, trainer={"epochs": 1, "accelerator": "cpu"})
    first, second = (evaluate(config, run=None, split="val", alpha=None, console=SILENT).to_dict() for _ in range(2))
    folder = fit(config, resume=False, console=SILENT).folder
    record = open_run(str(folder), checkpoints=folder.parent).record
    assert first == second
    assert record["zero_shot"]["metrics"] == first["metrics"]

"""Runs of one short training, for the tests of what is done with a run afterwards."""

import json
import shutil
from pathlib import Path
from typing import Any

from simtrain.catalog.table import Catalog, read_catalog, write_catalog
from simtrain.commands.fit import fit
from simtrain.commands.interpolate import interpolate
from simtrain.config import parse_run_config
from simtrain.console import SILENT
from simtrain.interpolation.result import Interpolation
from simtrain.runs.run import Run, open_run


def train(catalog: Catalog, checkpoints: Path, **sections: Any) -> Run:
    """One epoch, whose end counts as the best whether it is or not; keyword arguments replace sections."""
    tree = {
        "catalog": str(catalog.folder),
        "run": "small",
        "checkpoints": str(checkpoints),
        "objective": {"kind": "simclr", "positive": "product"},
        "data": {"batch_size": 16, "workers": 0},
        "optimizer": {"learning_rate": 1e-3},
        "trainer": {"epochs": 1, "accelerator": "cpu"},
        "evaluation": {"bootstrap_draws": 100},
        "export": {"onnx": False},
    }
    config = parse_run_config({**tree, **sections}, where="test")
    folder = fit(config, resume=False, console=SILENT).folder
    shutil.copy(folder / "last.ckpt", folder / "best.ckpt")
    return open_run(str(folder), checkpoints=checkpoints)


def copied(run: Run, checkpoints: Path) -> Run:
    """A run of its own that a test may change."""
    shutil.copytree(run.folder, checkpoints / run.folder.name)
    return open_run(run.folder.name, checkpoints=checkpoints)


def again(run: Run, *overrides: str) -> Run:
    """The run with other settings."""
    return open_run(str(run.folder), checkpoints=Path(), overrides=overrides)


def sweep(run: Run, **settings: Any) -> Interpolation:
    """Three mixes; keyword arguments replace settings."""
    usual = {"bound": 1.0, "steps": 3, "metric": None, "text_metric": None, "console": SILENT}
    return interpolate(run, **{**usual, **settings})


def choose(run: Run, alpha: float) -> None:
    """Have the choice of the run's sweep be another."""
    path = run.folder / "interpolation.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "alpha": alpha}))


def change_splits(folder: Path) -> None:
    """Have training and test images of a catalogue change places."""
    catalog = read_catalog(folder)
    swapped = catalog.rows["split"].map({"train": "test", "test": "train", "val": "val"})
    write_catalog(Catalog(rows=catalog.rows.assign(split=swapped), root=catalog.root, folder=folder))

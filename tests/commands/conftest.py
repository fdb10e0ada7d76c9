"""A catalogue and a run on it that a test may change."""

from collections.abc import Callable
from pathlib import Path

import pytest

from simtrain.catalog.table import Catalog, write_catalog
from simtrain.commands.fit import fit
from simtrain.config import RunConfig
from simtrain.console import SILENT
from simtrain.runs.run import Run, open_run


@pytest.fixture
def own_catalog(catalog: Catalog, tmp_path: Path) -> Path:
    """A copy of the catalogue that a test may change."""
    folder = tmp_path / "shop"
    folder.mkdir()
    write_catalog(Catalog(rows=catalog.rows, root=catalog.root, folder=folder))
    return folder


@pytest.fixture
def trained(make_config: Callable[..., RunConfig], own_catalog: Path) -> Run:
    config = make_config(catalog=str(own_catalog), trainer={"epochs": 1, "accelerator": "cpu"}, export={"onnx": False})
    folder = fit(config, resume=False, console=SILENT).folder
    return open_run(str(folder), checkpoints=folder.parent)

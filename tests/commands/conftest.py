"""A catalogue and a run on it that a test may change."""

import shutil
from pathlib import Path

import pytest
from small_configs import run_config

from simtrain.catalog.table import Catalog, write_catalog
from simtrain.commands.export import export
from simtrain.commands.fit import fit
from simtrain.console import SILENT
from simtrain.runs.run import Run, open_run


@pytest.fixture(scope="session")
def first_catalog(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The catalogue's table alone, in a folder of its own."""
    alone = Catalog(rows=catalog.rows, root=catalog.root, folder=tmp_path_factory.mktemp("table"))
    write_catalog(alone)
    return alone


@pytest.fixture
def own_catalog(first_catalog: Catalog, tmp_path: Path) -> Path:
    """A copy of the catalogue that a test may change."""
    return Path(shutil.copytree(first_catalog.folder, tmp_path / "shop"))


@pytest.fixture(scope="session")
def first_trained(first_catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = run_config(
        first_catalog,
        tmp_path_factory.mktemp("trained"),
        trainer={"epochs": 1, "accelerator": "cpu"},
        export={"onnx": False},
    )
    return fit(config, resume=False, console=SILENT).folder


@pytest.fixture
def trained(first_trained: Path, first_catalog: Catalog, own_catalog: Path, tmp_path: Path) -> Run:
    """A run of one epoch on `own_catalog`."""
    folder = Path(shutil.copytree(first_trained, tmp_path / "checkpoints" / "small"))
    for name in ("config.yaml", "run.json"):
        text = (folder / name).read_text()
        assert str(first_catalog.folder) in text
        (folder / name).write_text(text.replace(str(first_catalog.folder), str(own_catalog)))
    return open_run(str(folder), checkpoints=folder.parent)


@pytest.fixture
def bundle(trained: Run, tmp_path: Path) -> Path:
    """A bundle of that run."""
    return export(trained, out=tmp_path / "bundle", alpha=None, console=SILENT).folder

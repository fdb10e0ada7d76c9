"""Judging and exporting a run: its own catalogue, its own seed, and an old bundle that outlives a bad one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from simtrain.catalog.table import Catalog, read_catalog, write_catalog
from simtrain.commands import export as export_module
from simtrain.commands.evaluate import evaluate
from simtrain.commands.export import export
from simtrain.commands.fit import fit
from simtrain.config import RunConfig
from simtrain.console import SILENT
from simtrain.errors import BundleError, CheckpointError
from simtrain.runs.run import Run, open_run

MakeConfig = Callable[..., RunConfig]


@pytest.fixture
def own_catalog(catalog: Catalog, tmp_path: Path) -> Path:
    """A copy of the catalogue that a test may change."""
    folder = tmp_path / "shop"
    folder.mkdir()
    write_catalog(Catalog(rows=catalog.rows, root=catalog.root, folder=folder))
    return folder


@pytest.fixture
def trained(make_config: MakeConfig, own_catalog: Path) -> Run:
    config = make_config(catalog=str(own_catalog), trainer={"epochs": 1, "accelerator": "cpu"}, export={"onnx": False})
    folder = fit(config, resume=False, console=SILENT).folder
    return open_run(str(folder), checkpoints=folder.parent)


def change_splits(folder: Path) -> None:
    catalog = read_catalog(folder)
    swapped = catalog.rows["split"].map({"train": "test", "test": "train", "val": "val"})
    write_catalog(Catalog(rows=catalog.rows.assign(split=swapped), root=catalog.root, folder=folder))


def test_a_run_is_not_judged_on_a_catalogue_that_changed(trained: Run, own_catalog: Path) -> None:
    change_splits(own_catalog)
    with pytest.raises(CheckpointError, match="has changed since this run was trained"):
        evaluate(trained.config, run=trained, split="test", alpha=None, console=SILENT)


def test_another_catalogue_by_name_is_a_choice(trained: Run, catalog: Catalog) -> None:
    run = open_run(str(trained.folder), checkpoints=Path(), overrides=[f"catalog={catalog.folder}"])
    assert evaluate(run.config, run=run, split="test", alpha=None, console=SILENT).evaluation.queries > 0


def test_a_run_is_not_exported_with_a_catalogue_that_changed(trained: Run, own_catalog: Path, tmp_path: Path) -> None:
    change_splits(own_catalog)
    with pytest.raises(CheckpointError, match="has changed since this run was trained"):
        export(trained, out=tmp_path / "bundle", alpha=None, console=SILENT)
    assert not (tmp_path / "bundle").exists()


def test_zero_shot_figures_of_new_layers_are_the_same_each_time_and_in_fit(make_config: MakeConfig) -> None:
    encoder = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32, "embedding_size": 8}
    config = make_config(encoder=encoder, trainer={"epochs": 1, "accelerator": "cpu"})
    first, second = (evaluate(config, run=None, split="val", alpha=None, console=SILENT).to_dict() for _ in range(2))
    folder = fit(config, resume=False, console=SILENT).folder
    record = open_run(str(folder), checkpoints=folder.parent).record
    assert first == second
    assert record["zero_shot"]["metrics"] == first["metrics"]


def test_a_bundle_that_fails_its_check_leaves_the_old_one(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bundle"
    export(trained, out=out, alpha=None, console=SILENT)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}

    def fails(*_arguments: object, **_settings: object) -> None:
        raise BundleError("the check failed")

    monkeypatch.setattr(export_module, "verify_bundle", fails)
    with pytest.raises(BundleError, match=r"^the check failed$"):
        export(trained, out=out, alpha=None, console=SILENT)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "checkpoints", "shop"]

"""Exporting a run: its own catalogue, and an old bundle that outlives a bad one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import change_splits

from simtrain.commands import export as export_module
from simtrain.commands.export import export
from simtrain.config import RunConfig
from simtrain.console import SILENT
from simtrain.errors import BundleError, CheckpointError
from simtrain.runs.run import Run

MakeConfig = Callable[..., RunConfig]


def test_a_run_is_not_exported_with_a_catalogue_that_changed(trained: Run, own_catalog: Path, tmp_path: Path) -> None:
    change_splits(own_catalog)
    with pytest.raises(CheckpointError, match="has changed since this run was trained"):
        export(trained, out=tmp_path / "bundle", alpha=None, console=SILENT)
    assert not (tmp_path / "bundle").exists()


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

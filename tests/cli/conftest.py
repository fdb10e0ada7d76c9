"""The command line, run in this process."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from simtrain import cli
from simtrain.catalog.table import Catalog


@pytest.fixture
def simtrain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in an empty folder and returns exit status, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["simtrain", *arguments])
        status = 0
        try:
            cli.main()
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return run


@pytest.fixture
def run_yaml(catalog: Catalog, tmp_path: Path) -> Path:
    """A run whose encoder does not exist."""
    tree = {"catalog": str(catalog.folder), "encoder": {"kind": "resnet", "model": "resnet51"}}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**tree, "objective": {"kind": "triplet"}, "trainer": {"accelerator": "cpu"}}))
    return path


@pytest.fixture
def small_config(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text("catalog: data/shop\nencoder: {kind: pixels}\nobjective: {kind: simclr}\n", encoding="utf-8")
    return path

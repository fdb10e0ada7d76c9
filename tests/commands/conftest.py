"""One small rendered catalogue and a tiny network for the tests of whole commands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simtrain.catalog.table import Catalog
from simtrain.commands.prepare import prepare
from simtrain.config import PrepareConfig, RunConfig, parse_run_config


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """30 products with 4 pictures each."""
    config = PrepareConfig.model_validate(
        {"synthetic": {"views": 4, "image_size": 48}, "split": {"val": 0.2, "test": 0.2}, "workers": 1}
    )
    return prepare("synthetic:30", out=tmp_path_factory.mktemp("shop") / "catalog", config=config).catalog


@pytest.fixture
def make_config(catalog: Catalog, tmp_path: Path) -> Callable[..., RunConfig]:
    """A run of three epochs of four batches on a network of 100,000 weights; keyword arguments replace sections."""

    def make(**sections: Any) -> RunConfig:
        tree = {
            "catalog": str(catalog.folder),
            "run": "small",
            "checkpoints": str(tmp_path / "checkpoints"),
            "encoder": {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32},
            "objective": {"kind": "triplet"},
            "data": {"batch_size": 16, "workers": 0},
            "trainer": {"epochs": 3, "accelerator": "cpu"},
            "evaluation": {"bootstrap_draws": 100},
        }
        return parse_run_config({**tree, **sections}, where="test")

    return make

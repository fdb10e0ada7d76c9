"""Configurations of each objective, as small as they come."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig, parse_run_config

FOLDER = Path("shop")
TRIPLET = {"kind": "triplet"}
SIMCLR = {"kind": "simclr"}
PAIRS = {"kind": "simclr", "positive": "product"}
NAMED = {"kind": "metric_learning", "loss": {"name": "MultiSimilarityLoss"}}


def config_of(objective: Mapping[str, Any], *, batch_size: int = 4, **sections: Any) -> RunConfig:
    data = {"batch_size": batch_size, "workers": 0, **sections.pop("data", {})}
    tree = {"catalog": "shop", "encoder": {"kind": "resnet"}, "objective": dict(objective), "data": data, **sections}
    return parse_run_config(tree, where="test")


def run_config(catalog: Catalog, checkpoints: Path, /, **sections: Any) -> RunConfig:
    """A run of three epochs of four batches on a network of 100,000 weights; keyword arguments replace sections."""
    tree = {
        "catalog": str(catalog.folder),
        "run": "small",
        "checkpoints": str(checkpoints),
        "encoder": {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32},
        "objective": {"kind": "triplet"},
        "data": {"batch_size": 16, "workers": 0},
        "trainer": {"epochs": 3, "accelerator": "cpu"},
        "evaluation": {"bootstrap_draws": 100},
    }
    return parse_run_config({**tree, **sections}, where="test")


ALIGNED = {"kind": "clip", "model": "nowhere"}
CAPTIONS = ["a red mug", "a  Red mug", None, "a blue mug", " ", "a red mug"]


def texts_config(**objective: Any) -> RunConfig:
    return config_of({"kind": "image_text", **objective}, encoder=ALIGNED)

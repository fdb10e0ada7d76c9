"""The encoder's section."""

from typing import Any

import pytest

from simtrain.config import parse_run_config

ENCODERS = {
    "resnet": {"kind": "resnet"},
    "timm": {"kind": "timm", "model": "resnet18"},
    "clip": {"kind": "clip"},
    "two_towers": {"kind": "two_towers", "image": {"kind": "timm", "model": "resnet18"}},
    "pixels": {"kind": "pixels"},
    "histogram": {"kind": "histogram"},
}


def run_tree(**changes: Any) -> dict[str, Any]:
    return {"catalog": "x", "encoder": {"kind": "pixels"}, "objective": {"kind": "simclr"}, **changes}


@pytest.mark.parametrize(
    ("encoder", "trains"), [("resnet", True), ("timm", True), ("pixels", False), ("histogram", False)]
)
def test_only_networks_train(encoder: str, trains: bool):
    assert parse_run_config(run_tree(encoder=ENCODERS[encoder]), where="test").trains is trains

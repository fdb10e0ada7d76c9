"""ResNet architectures, told by tensors and by names."""

from pathlib import Path

import pytest
import torch
import torchvision
from resnet_states import (
    State,
    source_state,
)

from simtrain.encoders.resnet_architecture import architecture_of, named_architecture


@pytest.fixture(scope="module")
def resnet18() -> State:
    return source_state("resnet18")


@pytest.fixture(scope="module")
def resnet50() -> State:
    return source_state("resnet50")


@pytest.mark.parametrize(
    "model",
    [
        *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2"),
        *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
    ],
)
def test_every_architecture_of_torchvision_is_told_by_its_tensors(model: str):
    with torch.device("meta"):
        network = torchvision.models.get_model(model, weights=None)
    found = architecture_of(network.state_dict(), path=Path("x"))
    assert found.name == model
    assert found.feature_size() == network.fc.in_features


@pytest.mark.parametrize(("name", "size"), [("resnet50x4", 8192), ("resnet152x3", 6144), ("resnet101x2", 4096)])
def test_every_widened_network_is_told_by_its_tensors_and_its_name(name: str, size: int):
    architecture = named_architecture(name)
    assert architecture is not None
    with torch.device("meta"):
        assert architecture_of(architecture.network().state_dict(), path=Path("x")) == architecture
    assert (architecture.name, architecture.feature_size()) == (name, size)


@pytest.mark.parametrize("name", ["resnet50", "resnet18x2", "resnet50x1", "resnet50x9", "resnext50_32x4d", "x"])
def test_names_of_no_widened_network(name: str):
    assert named_architecture(name) is None

"""Checkpoints of every known origin, rebuilt by their own key lists, give their source network's embeddings."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from resnet_states import (
    BLOCKS,
    FORMATS,
    State,
    bolts,
    features_by_hand,
    hollow,
    images,
    shortcuts_first,
    simclr_v2_name,
    source_state,
    without_fc,
)
from safetensors.torch import save_file
from torch import Tensor

from simtrain.encoders.resnet_architecture import Architecture
from simtrain.encoders.simclr_checkpoint import SimCLRCheckpoint, fill_resnet, read_simclr_checkpoint

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
UNIT_RANGE = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def resnet18() -> State:
    return source_state("resnet18")


@pytest.fixture(scope="module")
def resnet50() -> State:
    return source_state("resnet50")


@torch.no_grad()
def features(checkpoint: SimCLRCheckpoint) -> Tensor:
    network = checkpoint.architecture.network()
    fill_resnet(network, checkpoint, model=checkpoint.architecture.name, path=Path("x"))
    return network.eval()(images())


def read(tmp_path: Path, content: Any, *, name: str = "a.ckpt") -> SimCLRCheckpoint:
    torch.save(content, tmp_path / name)
    return read_simclr_checkpoint(tmp_path / name)


@pytest.mark.parametrize("source", FORMATS)
def test_embeddings_are_the_source_network_s(tmp_path: Path, resnet50: State, source: str):
    found = read(tmp_path, FORMATS[source](resnet50))
    assert found.source == source
    assert found.architecture == Architecture(model="resnet50", width=1)
    assert (found.mean, found.std) == (UNIT_RANGE if source.startswith("google") else IMAGENET)
    assert found.normalisation_is_assumed is (source in ("torchvision", "simtrain"))
    assert found.tensors.keys() == without_fc(resnet50).keys()
    assert not any("fc" in name or "proj" in name for name in found.tensors)
    torch.testing.assert_close(
        features(found), features_by_hand(resnet50, blocks=BLOCKS["resnet50"]), atol=1e-6, rtol=1e-5
    )


def test_safetensors(tmp_path: Path, resnet18: State):
    save_file(without_fc(resnet18), tmp_path / "a.safetensors")
    found = read_simclr_checkpoint(tmp_path / "a.safetensors")
    assert (found.source, found.dropped) == ("torchvision", {})
    assert torch.equal(found.tensors["bn1.weight"], resnet18["bn1.weight"])


def test_lightning_1_objects_do_not_stand_in_the_way(tmp_path: Path, resnet18: State):
    settings = Namespace(arch="resnet18", first_conv=True, maxpool1=True)
    found = read(tmp_path, {"state_dict": bolts(resnet18), "hyper_parameters": settings, Namespace: 1})
    assert (found.source, found.not_built) == ("lightning-bolts", ("argparse.Namespace",))


def test_counters_of_batches_may_be_missing_and_half_precision_becomes_single(tmp_path: Path, resnet18: State):
    old = {name: value.half() for name, value in resnet18.items() if not name.endswith("num_batches_tracked")}
    found = read(tmp_path, old)
    assert found.tensors["bn1.num_batches_tracked"].item() == 0
    assert torch.equal(found.tensors["conv1.weight"], resnet18["conv1.weight"].half().float())


def test_description_is_plain(tmp_path: Path, resnet18: State):
    assert read(tmp_path, {"state_dict": bolts(resnet18)}).describe() == {
        "source": "lightning-bolts",
        "architecture": "resnet18",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "normalisation_is_assumed": False,
        "projection_head": 8,
        "dropped": {"classifier that was never used": 2, "classifier that watched the training": 2},
        "not_built": [],
    }


@pytest.mark.slow
def test_wide_networks_of_google(tmp_path: Path):
    architecture = Architecture(model="resnet50", width=2)
    first = read(tmp_path, {"state_dict": shortcuts_first(hollow(architecture))})
    second = read(tmp_path, {"resnet": {simclr_v2_name(key): value for key, value in hollow(architecture).items()}})
    assert [found.source for found in (first, second)] == ["google-simclr-v1", "google-simclr-v2"]
    assert first.architecture == second.architecture == architecture
    assert first.tensors["layer4.0.conv3.weight"].shape[0] == 4096 == architecture.feature_size()


@pytest.mark.slow
def test_embeddings_of_twice_the_width(tmp_path: Path):
    state = {}
    generator = torch.Generator().manual_seed(5)
    for name, value in hollow(Architecture(model="resnet50", width=2)).items():
        if value.ndim == 4:
            fan = value[0].numel()
            state[name] = torch.randn(value.shape, generator=generator) * (2 / fan) ** 0.5
        elif value.is_floating_point():
            state[name] = torch.rand(value.shape, generator=generator) * 0.5 + 0.5
        else:
            state[name] = torch.tensor(0)
    found = read(tmp_path, {"state_dict": shortcuts_first(state)})
    expected = features_by_hand(state, blocks=BLOCKS["resnet50"])
    torch.testing.assert_close(features(found), expected, atol=1e-6, rtol=1e-5)

"""Checkpoints of every known origin, rebuilt by their own key lists, give their source network's embeddings."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from resnet_states import (
    BLOCKS,
    FORMATS,
    State,
    bolts,
    features_by_hand,
    hollow,
    images,
    linear,
    numbered,
    renamed,
    shortcuts_first,
    simclr_v2_name,
    source_state,
    without_fc,
)
from safetensors.torch import save_file
from torch import Tensor

from simtrain.encoders.resnet_architecture import Architecture, architecture_of, named_architecture
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


def test_every_tensor_of_bolts_is_accounted_for(tmp_path: Path, resnet18: State):
    content = FORMATS["lightning-bolts"](resnet18)
    found = read(tmp_path, content)
    assert found.architecture.name == "resnet18"
    assert found.dropped == {
        "classifier that was never used": ("encoder.fc.weight", "encoder.fc.bias"),
        "classifier that watched the training": tuple(linear("non_linear_evaluator.block_forward.2.")),
        "beside the weights": ("epoch", "optimizer_states"),
    }
    assert len(found.projection_head) == 2 + 5 + 1
    named = len(found.tensors) + len(found.projection_head) + sum(len(names) for names in found.dropped.values()) - 2
    assert named == len(content["state_dict"])


def test_projection_head_keeps_its_values(tmp_path: Path, resnet18: State):
    state = bolts(resnet18)
    found = read(tmp_path, {"state_dict": state})
    assert torch.equal(found.projection_head["projection.model.3.weight"], state["projection.model.3.weight"])


def test_google_simclr_v2_head_is_the_projection(tmp_path: Path, resnet50: State):
    found = read(tmp_path, FORMATS["google-simclr-v2"](resnet50))
    assert next(iter(found.projection_head)) == "head.layers.0.weight"
    assert found.dropped == {"classifier": ("resnet.fc.weight", "resnet.fc.bias")}


def test_moco_s_copy_and_queue_are_dropped_by_name(tmp_path: Path, resnet18: State):
    found = read(tmp_path, FORMATS["moco"](resnet18))
    assert list(found.projection_head) == ["encoder_q.fc.0.weight", "encoder_q.fc.0.bias"]
    assert found.dropped["the loss's memory"] == ("queue", "queue_ptr")
    assert len(found.dropped["slow copy of the encoder"]) == len(without_fc(resnet18)) + 2


def test_averaged_weights_of_simtrain_come_first(tmp_path: Path, resnet18: State):
    learning = {name: torch.zeros_like(value) for name, value in without_fc(resnet18).items()}
    state = renamed(learning, "encoder.network.") | renamed(without_fc(resnet18), "averaged.encoder.network.")
    found = read(tmp_path, {"state_dict": state | {"encoder.reduction.weight": torch.ones(4, 512)}})
    assert torch.equal(found.tensors["conv1.weight"], resnet18["conv1.weight"])
    assert len(found.dropped["weights before they were averaged"]) == len(learning)
    assert found.dropped["layer to another embedding size"] == ("encoder.reduction.weight",)


@pytest.mark.parametrize("averaged", ["", "averaged."])
def test_image_side_of_simtrain_s_two_towers(tmp_path: Path, resnet18: State, averaged: str):
    state = renamed(without_fc(resnet18), f"{averaged}encoder.image.network.")
    beside = {
        f"{averaged}encoder.logit_scale": torch.ones(()),
        f"{averaged}encoder.image.reduction.weight": torch.ones(2),
    }
    found = read(tmp_path, {"state_dict": state | beside})
    assert found.source == "simtrain"
    assert torch.equal(found.tensors["conv1.weight"], resnet18["conv1.weight"])
    assert found.dropped == {
        "the loss's parameters": (f"{averaged}encoder.logit_scale",),
        "layer to another embedding size": (f"{averaged}encoder.image.reduction.weight",),
    }


def test_what_simtrain_s_losses_learn_is_dropped_by_name(tmp_path: Path, resnet18: State):
    names = ("mined_loss.criterion.loss.proxies", "mined_loss.memory.embeddings")
    state = renamed(without_fc(resnet18), "encoder.network.") | {name: torch.ones(3) for name in names}
    assert read(tmp_path, {"state_dict": state}).dropped == {"the loss's parameters": names}


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "module"])
def test_usual_wrappers_are_opened(tmp_path: Path, resnet18: State, wrapper: str):
    found = read(tmp_path, {wrapper: resnet18, "epoch": 3})
    assert found.dropped["beside the weights"] == ("epoch",)
    assert torch.equal(found.tensors["bn1.weight"], resnet18["bn1.weight"])


def test_lightly_s_numbers(tmp_path: Path, resnet18: State):
    found = read(tmp_path, {"state_dict": renamed(numbered(resnet18), "backbone.") | linear("projection_head.0.")})
    assert found.source == "lightly"
    assert torch.equal(found.tensors["layer4.1.bn2.running_var"], resnet18["layer4.1.bn2.running_var"])
    expected = features_by_hand(resnet18, blocks=BLOCKS["resnet18"])
    torch.testing.assert_close(features(found), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "model.", "encoder.module."])
def test_torchvision_names_under_a_usual_prefix(tmp_path: Path, resnet18: State, prefix: str):
    found = read(tmp_path, {"model": renamed(resnet18, prefix)})
    assert found.source == "torchvision"
    assert found.dropped == {
        "classifier": tuple(f"{prefix.removeprefix('module.')}fc.{key}" for key in ("weight", "bias"))
    }


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

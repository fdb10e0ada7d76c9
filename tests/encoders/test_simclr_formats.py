"""Formats of SimCLR checkpoints: which tensors belong to the network, the head, or neither."""

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
    images,
    linear,
    numbered,
    renamed,
    source_state,
    without_fc,
)
from torch import Tensor

from simtrain.encoders.simclr_checkpoint import SimCLRCheckpoint, fill_resnet, read_simclr_checkpoint


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

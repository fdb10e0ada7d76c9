"""Checkpoints that are not all of an ImageNet ResNet: each is refused in one line, and none is loaded in part."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from resnet_states import State, bolts, hollow, linear, numbered, renamed, simclr_v2_name, without_fc
from torch import nn

from simtrain.encoders.resnet_architecture import Architecture
from simtrain.encoders.simclr_checkpoint import fill_resnet, read_simclr_checkpoint
from simtrain.errors import CheckpointError

RESNET18, RESNET50 = Architecture(model="resnet18", width=1), Architecture(model="resnet50", width=1)


def refusal(tmp_path: Path, content: Any) -> str:
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError) as caught:
        read_simclr_checkpoint(tmp_path / "a.ckpt")
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path / 'a.ckpt'}: ")


def changed(**tensors: torch.Tensor | None) -> State:
    """A ResNet-18 with other tensors, or without those that are None; `__` stands for a dot."""
    state = hollow(RESNET18) | {name.replace("__", "."): value for name, value in tensors.items()}
    return {name: value for name, value in state.items() if value is not None}


@pytest.mark.parametrize("wrap", [dict, bolts, lambda state: renamed(numbered(state), "backbone.")])
def test_stem_of_cifar(tmp_path: Path, wrap: Callable[[State], State]):
    state = wrap(changed(conv1__weight=torch.ones(64, 3, 3, 3)))
    assert refusal(tmp_path, {"state_dict": state}) == (
        "its first convolution is 3 by 3, for the 32 pixels of CIFAR; allowed: 7 by 7, as for ImageNet"
    )


@pytest.mark.parametrize("settings", [{"maxpool1": False}, Namespace(maxpool1=False)])
@pytest.mark.parametrize("key", ["hyper_parameters", "hparams"])
def test_network_without_max_pooling(tmp_path: Path, settings: Any, key: str):
    state = {name: value.clone() for name, value in hollow(RESNET18).items()}
    assert refusal(tmp_path, {"state_dict": bolts(state), key: settings}) == (
        "trained without the first max pooling (maxpool1: false), for the small images of CIFAR; "
        "allowed: with it, as for ImageNet"
    )


def test_grey_images(tmp_path: Path):
    assert refusal(tmp_path, changed(conv1__weight=torch.ones(64, 1, 7, 7))) == (
        "its first convolution has shape (64, 1, 7, 7); allowed: (64, 3, 7, 7), or a multiple of the 64"
    )


def test_tensor_that_is_missing(tmp_path: Path):
    assert refusal(tmp_path, changed(layer3__0__bn2__bias=None, layer4__1__conv2__weight=None)) == (
        "2 of the 120 tensors of a resnet18 are not in it, such as 'layer3.0.bn2.bias', 'layer4.1.conv2.weight'"
    )


def test_tensor_that_torchvision_has_no_place_for(tmp_path: Path):
    assert refusal(tmp_path, changed(layer1__0__se__weight=torch.ones(1), attention=torch.ones(2))) == (
        "a resnet18 has no place for 2 tensors, such as 'layer1.0.se.weight', 'attention'"
    )


def test_tensor_of_unknown_purpose_beside_the_network(tmp_path: Path):
    state = renamed(hollow(RESNET18), "backbone.") | linear("decoder.") | linear("projection_head.0.")
    assert refusal(tmp_path, {"state_dict": state}) == (
        "2 of its tensors have no known purpose, such as 'decoder.weight', 'decoder.bias'; allowed beside 'backbone.': "
        "projection., projection_head., projector., heads., head., neck. and the usual names of classifiers, "
        "predictors, copies and memories"
    )


def test_shape_of_another_network(tmp_path: Path):
    assert refusal(tmp_path, changed(layer2__0__conv2__weight=torch.ones(128, 128, 1, 1))) == (
        "'layer2.0.conv2.weight' has shape (128, 128, 1, 1); a resnet18 needs (128, 128, 3, 3)"
    )


def test_numbers_that_are_not_finite(tmp_path: Path):
    broken = torch.ones(64)
    broken[3] = torch.nan
    assert refusal(tmp_path, changed(bn1__running_var=broken)) == "'bn1.running_var' holds numbers that are not finite"


def test_numbers_of_the_wrong_type(tmp_path: Path):
    message = refusal(tmp_path, changed(bn1__weight=torch.ones(64, dtype=torch.int64)))
    assert message == "'bn1.weight' is of torch.int64; allowed: as in a resnet18"


def test_depth_that_torchvision_does_not_have(tmp_path: Path):
    state = hollow(RESNET50)
    further = {
        name.replace("layer3.5", f"layer3.{block}"): value for block in range(6, 36) for name, value in state.items()
    }
    assert refusal(tmp_path, further | state) == (
        "a ResNet of 3, 4, 36, 3 blocks, 64 channels at first; allowed: resnet18, resnet34, resnet50, resnet101, "
        "resnet152, resnext50_32x4d, resnext101_32x8d, resnext101_64x4d, wide_resnet50_2, wide_resnet101_2, "
        "resnet50x2 to resnet50x8, resnet101x2 to resnet101x8, resnet152x2 to resnet152x8"
    )


def test_selective_kernels(tmp_path: Path):
    state = {simclr_v2_name(name): value for name, value in hollow(RESNET50).items()}
    state |= {"net.1.blocks.0.net.2.mixing_conv.0.weight": torch.ones(1)}
    assert refusal(tmp_path, {"resnet": state, "head": linear("layers.0.")}) == (
        "a SimCLRv2 network with selective kernels (sk1), which torchvision does not have; allowed: sk0"
    )


def test_network_that_is_no_resnet(tmp_path: Path):
    message = refusal(tmp_path, {"state_dict": {"patch_embed.weight": torch.ones(1), "cls_token": torch.ones(1)}})
    assert message.startswith("no ResNet among its 2 tensors, such as 'patch_embed.weight', 'cls_token'; allowed: a ")
    message = refusal(tmp_path, {"epoch": 3})
    assert message.startswith("no ResNet among its 0 tensors, which is none; allowed: a ")


def test_pickled_model(tmp_path: Path):
    assert refusal(tmp_path, nn.Sequential(nn.Linear(1, 1))) == (
        "a pickled model, which only its own code can open; allowed: its state_dict"
    )


def test_network_by_name_and_by_number(tmp_path: Path):
    state = hollow(RESNET18)
    assert refusal(tmp_path, {"state_dict": renamed(state | numbered(state), "backbone.")}) == (
        "has the network's tensors twice, by name and by number; allowed: once"
    )


def test_tensor_that_claims_more_than_the_file_holds(tmp_path: Path):
    content = {"state_dict": hollow(RESNET18), "settings": Namespace()}
    assert refusal(tmp_path, content) == "a tensor of size (64, 3, 7, 7) is made of 1 numbers"


def test_another_architecture_than_the_configuration_s(tmp_path: Path):
    path = tmp_path / "a.pth"
    torch.save(without_fc(hollow(RESNET18)), path)
    network = RESNET50.network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        fill_resnet(network, read_simclr_checkpoint(path), model="resnet50", path=path)
    assert str(caught.value) == (f"weights: {path} holds a resnet18, and model is resnet50; set model: resnet18")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())

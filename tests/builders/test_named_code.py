"""Encoders of the user's own code: what is imported and when, preparation of images, each mistake."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from own_modules import OwnModule
from torch import nn

from simtrain.builders.encoder import build_encoder
from simtrain.config import PythonEncoderConfig
from simtrain.encoders.base import Encoder
from simtrain.encoders.module_encoder import ModuleEncoder
from simtrain.errors import ConfigError, error_path
from simtrain.own_code import CodeNotAllowedError, code_allowed, whose_code

CONTENT = """
import torch
from torch import nn
from tiny_training import TinyEncoder

class Net(nn.Module):
    def __init__(self, size=3, **preprocessing):
        super().__init__()
        self.layer = nn.Linear(3, size)
        if preprocessing:
            self.preprocessing = preprocessing
    def forward(self, images):
        return self.layer(images.mean(dim=(2, 3)))

class Fixed(nn.Module):
    preprocessing = {"image_size": 24}
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3 * 24 * 24, 4)
    def forward(self, images):
        if images.shape[2] != 24:
            raise ValueError("24 pixels alone")
        return self.layer(images.flatten(1))

class Growing(nn.Module):
    def forward(self, images):
        return images.mean(dim=(1, 2))

class Maps(nn.Module):
    def forward(self, images):
        return images

class Empty(nn.Module):
    pass

class Endless(nn.Module):
    def forward(self, images):
        return images.mean(dim=(2, 3)) / 0

class Misspelt(nn.Module):
    def forward(self, images):
        return image.mean(dim=(2, 3))

def factory(size):
    return Net(size)

def nothing():
    return None

def failing():
    raise KeyError("weights")

ready = Net()
number = 3
tiny = TinyEncoder
"""


@pytest.fixture
def module(tmp_path: Path):
    with OwnModule(tmp_path, CONTENT).importable() as made:
        yield made


def build(module: OwnModule, name: str, **settings: Any) -> Encoder:
    with code_allowed(True), error_path("encoder"):
        return build_encoder(own(module, name, **settings), load=True)


def own(module: OwnModule, name: str, **settings: Any) -> PythonEncoderConfig:
    return PythonEncoderConfig.model_validate({"kind": "python", "target": module.target(name), **settings})


def refused(module: OwnModule, name: str, **settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        build(module, name, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(module.name, "m")


def test_nothing_is_imported_without_permission(tmp_path: Path):
    with OwnModule(tmp_path).importable() as made:
        with pytest.raises(CodeNotAllowedError):
            build_encoder(own(made, "MyEncoder"), load=True)
        assert not made.was_imported
        build(made, "MyEncoder")
        assert made.was_imported


def test_a_class_and_a_factory_give_a_network(module: OwnModule):
    assert build(module, "Net", parameters={"size": 5}).embedding_size == 5
    assert build(module, "factory", parameters={"size": 6}).embedding_size == 6


def test_the_usual_preparation_is_that_of_imagenet(module: OwnModule):
    found = build(module, "Net").preprocessing
    assert (found.image_size, found.resize, found.interpolation) == (224, "pad", "bicubic")
    assert found.mean == (0.485, 0.456, 0.406)
    assert found.std == (0.229, 0.224, 0.225)


def test_the_modules_own_preparation_goes_before_and_the_configuration_before_that(module: OwnModule):
    own_preparation = {"image_size": 40, "mean": [0.1, 0.2, 0.3], "resize": "crop"}
    found = build(module, "Net", parameters=own_preparation, image_size=48, std=[1, 1, 1]).preprocessing
    assert (found.image_size, found.resize, found.interpolation) == (48, "crop", "bicubic")
    assert found.mean == (0.1, 0.2, 0.3)
    assert found.std == (1, 1, 1)


def test_training_and_evaluation_may_differ_in_size(module: OwnModule):
    encoder = build(module, "Net", image_size=32, evaluation_image_size=64)
    assert (encoder.training_image_size, encoder.preprocessing.image_size) == (32, 64)


def test_a_last_layer_is_added(module: OwnModule):
    encoder = build(module, "Net", embedding_size=2)
    assert encoder(torch.zeros(1, 3, 8, 8)).shape == (1, 2)


def test_an_encoder_of_simtrain_keeps_its_own_preparation(module: OwnModule):
    assert type(build(module, "tiny")).__name__ == "TinyEncoder"
    assert refused(module, "tiny", image_size=64) == (
        "encoder.image_size: m:tiny is a simtrain Encoder, which has its own; leave it out"
    )


def test_an_object_in_memory_is_copied_for_each_use(module: OwnModule):
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    config = own(module, "gone", instance=True, image_size=16).holding(network)
    one, other = build_encoder(config, load=True), build_encoder(config, load=False)
    assert isinstance(one, ModuleEncoder)
    assert isinstance(other, ModuleEncoder)
    torch.testing.assert_close(one.state_dict(), other.state_dict())
    assert len({id(one.network), id(other.network), id(network)}) == 3


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("Nett", {}, "encoder.target: m:Nett: 'm' has no 'Nett'; did you mean 'Net'?"),
    ("number", {}, "encoder.target: m:number is an object of int; allowed: a class or function that gives a "
     "torch.nn.Module"),
    ("ready", {}, "encoder.target: m:ready is an object of Net; allowed: a class or function that gives a "
     "torch.nn.Module"),
    ("nothing", {}, "encoder.target: m:nothing gave an object of NoneType; allowed: a torch.nn.Module"),
    ("factory", {}, "encoder.parameters: m:factory(size): missing a required argument: 'size'"),
    ("factory", {"parameters": {"size": 3, "depth": 2}}, "encoder.parameters: m:factory(size): got an unexpected "
     "keyword argument 'depth'"),
    ("Maps", {"image_size": 16}, "encoder.target: (2, 3, 16, 16) images gave (2, 3, 16, 16); allowed: (2, D), a vector "
     "for each"),
    ("Empty", {}, "encoder.target: has no forward: Module [Empty] is missing the required \"forward\" function"),
    ("Endless", {}, "encoder.target: two images gave numbers that are not finite"),
    ("Fixed", {"image_size": 32}, "encoder.image_size: the network fails on images of 32 px: ValueError: 24 pixels "
     "alone (m.py, line 22)"),
    ("Fixed", {"evaluation_image_size": 32}, "encoder.evaluation_image_size: the network fails on images of 32 px: "
     "ValueError: 24 pixels alone (m.py, line 22)"),
    ("Growing", {"image_size": 16, "evaluation_image_size": 32}, "encoder.evaluation_image_size: 32 px give vectors of "
     "32 dimensions, 16 px of 16"),
    ("Net", {"parameters": {"side": 32}}, "encoder.target: m:Net: its attribute preprocessing: got side; allowed: a "
     "mapping with image_size, resize, interpolation, mean, std"),
    ("Net", {"parameters": {"image_size": 1}}, "encoder.target: m:Net: its attribute preprocessing: image_size: Input "
     "should be greater than or equal to 4"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings", "message"), MISTAKES)
def test_mistakes_are_one_line_with_the_key(module: OwnModule, name: str, settings: dict[str, Any], message: str):
    assert refused(module, name, **settings) == message


@pytest.mark.parametrize(("name", "kind"), [("failing", KeyError), ("Misspelt", NameError)])
def test_what_the_code_raises_itself_is_left_as_it_is(module: OwnModule, name: str, kind: type[Exception]):
    with pytest.raises(kind) as caught:
        build(module, name)
    assert whose_code(caught.value) is not None


def test_a_module_that_does_not_exist_is_told_with_the_key():
    config = PythonEncoderConfig.model_validate({"kind": "python", "target": "nowhere:Net"})
    with pytest.raises(ConfigError) as caught, code_allowed(True), error_path("encoder"):
        build_encoder(config, load=True)
    assert str(caught.value).startswith("encoder.target: nowhere:Net: there is no module 'nowhere'")
    assert json.dumps(config.model_dump(mode="json"))

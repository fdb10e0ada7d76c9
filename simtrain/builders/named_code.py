"""Objects of the user's own code that a configuration names."""

import copy
from typing import Any

import torch
from torch import nn

from simtrain.config import NamedCode, PythonEncoderConfig
from simtrain.encoders.base import Encoder
from simtrain.encoders.module_encoder import ModuleEncoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.errors import ConfigError, error_path
from simtrain.own_code import called, import_target

_USUAL: dict[str, Any] = {
    "image_size": 224,
    "resize": "pad",
    "interpolation": "bicubic",
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}
"""Preparation of images for a module that says nothing of it."""


def named_object(code: NamedCode) -> Any:
    """What a section's `target` stands for; a copy of the object instead, where one was handed over.

    Raises:
        CodeNotAllowedError: if the user has not said that it may be imported; nothing is imported then.
        ConfigError: if it cannot be imported, or was an object that is no longer in memory.
    """
    if code.handed_over is not None:
        return copy.deepcopy(code.handed_over)
    code.check_allowed()
    return import_target(code.target)


def build_own_encoder(config: PythonEncoderConfig) -> Encoder:
    """The encoder around a network of the user's own; an `Encoder` of the user's own as it is.

    Raises:
        ConfigError: if the code may not or cannot be imported, gives no network, or one that is not from images to
            vectors; it names the key within `config`.
    """
    network = named_object(config)
    if config.handed_over is None:
        if isinstance(network, nn.Module) or not callable(network):
            raise ConfigError(
                f"{config.target} is {_a(network)}; allowed: a class or function that gives a torch.nn.Module",
                argument="target",
            )
        network = called(network, config.parameters, target=config.target)
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{config.target} gave {_a(network)}; allowed: a torch.nn.Module", argument="target")
    if isinstance(network, Encoder):
        _refuse_preparation(config)
        return network
    with error_path("", names={"network": "target"}):
        encoder = ModuleEncoder(
            network=network, preprocessing=_preprocessing(config, network), embedding_size=config.embedding_size
        )
    if config.evaluation_image_size is not None:
        with error_path("", names={"image_size": "evaluation_image_size", "network": "evaluation_image_size"}):
            encoder.check_size(config.evaluation_image_size)
    return encoder


def _preprocessing(config: PythonEncoderConfig, network: nn.Module) -> Preprocessing:
    """What the configuration sets, else what the module's attribute says, else the usual."""
    own = getattr(network, "preprocessing", {})
    if not isinstance(own, dict) or set(own) - set(_USUAL):
        found = ", ".join(map(str, own)) if isinstance(own, dict) else _a(own)
        raise ConfigError(
            f"{config.target}: its attribute preprocessing: got {found}; allowed: a mapping with {', '.join(_USUAL)}",
            argument="target",
        )
    chosen = {name: getattr(config, name) for name in _USUAL if getattr(config, name) is not None}
    values = {**_USUAL, **_checked(config, own), **chosen}
    return Preprocessing(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])}, flip_averaging=False)


def _checked(config: PythonEncoderConfig, own: dict[str, Any]) -> dict[str, Any]:
    """The module's own preparation, held to the bounds of the configuration's keys."""
    from pydantic import ValidationError

    tree = {"kind": "python", "target": config.target}
    plain = {name: value.tolist() if isinstance(value, torch.Tensor) else value for name, value in own.items()}
    try:
        PythonEncoderConfig.model_validate({**tree, **plain})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(
            f"{config.target}: its attribute preprocessing: {first['loc'][0]}: {first['msg']}", argument="target"
        ) from None
    return plain


def _refuse_preparation(config: PythonEncoderConfig) -> None:
    for name in (*_USUAL, "embedding_size"):
        if getattr(config, name) is not None:
            raise ConfigError(f"{config.target} is a simtrain Encoder, which has its own; leave it out", argument=name)


def _a(thing: object) -> str:
    return f"an object of {type(thing).__name__}" if not isinstance(thing, type) else f"the class {thing.__name__}"

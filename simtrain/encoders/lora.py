"""LoRA: low-rank factors beside linear layers (https://arxiv.org/abs/2106.09685); the one place that imports peft."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from simtrain.errors import ConfigError, SimtrainError, nearest

_OF_ATTENTION = ("qkv", "q_proj", "k_proj", "v_proj")
_FACTOR = ".lora_"
_BASE = ".base_layer."
_TOLD_NAMES = 3


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Settings of low-rank factors.

    Attributes:
        rank: Inner size of the factors, 1 or more.
        alpha: The factors' product is multiplied by `alpha` / `rank`; above 0.
        dropout: Share of their inputs dropped in training, 0 to below 1.
        targets: Patterns of names of linear layers; empty: those of the attention.
    """

    rank: int
    alpha: float
    dropout: float
    targets: Sequence[str]


def add_factors(network: nn.Module, *, settings: LoraSettings, model: str) -> None:
    """Freeze a network and put factors that learn beside its linear layers; they change nothing at first.

    Args:
        network: Network to change in place; its own weights are then called `….base_layer.weight`.
        settings: Size of the factors, and the layers they go beside.
        model: Name of the network, for messages.

    Raises:
        SimtrainError: without the extra.
        ConfigError: if there are no such layers.
    """
    try:
        import peft
    except ModuleNotFoundError as error:
        if error.name != "peft":
            raise
        raise SimtrainError("needs the extra: pip install 'simtrain[lora]'", argument="") from None

    chosen = _chosen(network, targets=settings.targets, model=model)
    adapter = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # annotated as int, divided by the rank all the same
        lora_dropout=settings.dropout,
        target_modules="|".join(re.escape(name) for name in chosen),  # a list would be one of endings of names
        bias="none",
    )
    peft.inject_adapter_in_model(adapter, network)


def check_factors(network: nn.Module, *, image_size: int, model: str) -> None:
    """See that an image passes through every factor: a network may read a layer's weights past the layer.

    Args:
        network: Network with factors.
        image_size: Side of the image in pixels.
        model: Name of the network, for messages.

    Raises:
        ConfigError: naming the first layer whose factors would never learn.
    """
    passed: set[str] = set()
    places = {name.rpartition(".lora_A.")[0]: part for name, part in network.named_modules() if ".lora_A." in name}
    watches = [
        part.register_forward_pre_hook(lambda _, __, name=name: passed.add(name)) for name, part in places.items()
    ]
    learning = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, image_size, image_size, device=next(network.parameters()).device))
    finally:
        network.train(learning)
        for watch in watches:
            watch.remove()
    if missed := [name for name in places if name not in passed]:
        raise ConfigError(
            f"{model} uses the weights of {len(missed)} layers without passing through them, such as '{missed[0]}'; "
            "their factors would learn nothing, name other layers",
            argument="targets",
        )


def has_factors(network: nn.Module) -> bool:
    """Whether a network has factors of `add_factors`."""
    return any(is_factor(name) for name, _ in network.named_parameters())


def is_factor(name: str) -> bool:
    """Whether a weight of this name is a factor."""
    return _FACTOR in name


def plain_name(name: str) -> str:
    """What a weight that is no factor was called before there were any."""
    return name.replace(_BASE, ".")


def fold_factors(network: nn.Module) -> None:
    """Add the product of the factors to the weights beside them, in place: a network of the names it once had."""
    from peft.tuners.lora import LoraLayer

    for path, layer in list(network.named_modules()):
        if isinstance(layer, LoraLayer):
            adapted: Any = layer
            adapted.merge()
            parent, _, name = path.rpartition(".")
            setattr(network.get_submodule(parent), name, adapted.get_base_layer())
    for part in network.modules():
        vars(part).pop("peft_config", None)
    network.requires_grad_(True)


def _chosen(network: nn.Module, *, targets: Sequence[str], model: str) -> list[str]:
    linear = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)]
    if not targets:
        found = [name for name in linear if name.rpartition(".")[2] in _OF_ATTENTION]
        if not found:
            raise ConfigError(
                f"none named, and {model} has no linear layers of an attention ({', '.join(_OF_ATTENTION)}); "
                + (f"name some{_some(linear)}" if linear else "low-rank factors are for vision transformers"),
                argument="targets",
            )
        return found
    for target in targets:
        if not any(fnmatchcase(name, target) for name in linear):
            hint = nearest(target, linear) or _some(linear)
            raise ConfigError(f"no linear layer of {model} matches '{target}'{hint}", argument="targets")
    return [name for name in linear if any(fnmatchcase(name, target) for target in targets)]


def _some(linear: Sequence[str]) -> str:
    if not linear:
        return "; it has none"
    return f"; it has {', '.join(linear[:_TOLD_NAMES])}{', …' if len(linear) > _TOLD_NAMES else ''}"

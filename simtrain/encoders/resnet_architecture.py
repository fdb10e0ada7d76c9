"""ResNet architectures recognised from a state dict, and networks wider than torchvision's."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from simtrain.errors import CheckpointError

_BASIC: dict[tuple[int, ...], str] = {(2, 2, 2, 2): "resnet18", (3, 4, 6, 3): "resnet34"}
_FIFTY, _HUNDRED = (3, 4, 6, 3), (3, 4, 23, 3)
# Blocks of each stage; channels out of, and into each group of, the second convolution of the first block.
_BOTTLENECK: dict[tuple[tuple[int, ...], int, int], str] = {
    (_FIFTY, 64, 64): "resnet50",
    (_HUNDRED, 64, 64): "resnet101",
    ((3, 8, 36, 3), 64, 64): "resnet152",
    (_FIFTY, 128, 4): "resnext50_32x4d",
    (_HUNDRED, 256, 8): "resnext101_32x8d",
    (_HUNDRED, 256, 4): "resnext101_64x4d",
    (_FIFTY, 128, 128): "wide_resnet50_2",
    (_HUNDRED, 128, 128): "wide_resnet101_2",
}
_WIDENED = ("resnet50", "resnet101", "resnet152")
_WIDEST = 8
WIDENED = ", ".join(f"{model}x2 to {model}x{_WIDEST}" for model in _WIDENED)
"""The names of networks of more than torchvision's width, for a message."""

_STEM_CHANNELS = 64
_BLOCK = re.compile(r"layer([1-4])\.(\d{1,3})\.")


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A ResNet.

    Attributes:
        model: Torchvision's name of it at width 1.
        width: Factor of the channels of every layer, 1 to 8; above 1 for `resnet50`, `resnet101` and `resnet152` only.
            Torchvision's `wide_resnet50_2` is another thing: it widens the inside of each block.
    """

    model: str
    width: int

    @property
    def name(self) -> str:
        """`resnet50`, or `resnet50x4` for the fourfold width."""
        return self.model if self.width == 1 else f"{self.model}x{self.width}"

    def network(self) -> nn.Module:
        """Such a network with random weights; its `fc` is an identity."""
        network: nn.Module = torchvision.models.get_model(self.model, weights=None)
        if self.width > 1:
            _widen(network, width=self.width)
        network.fc = nn.Identity()
        return network

    def feature_size(self) -> int:
        """Length of the pooled features."""
        return (512 if self.model in _BASIC.values() else 2048) * self.width


def named_architecture(name: str) -> Architecture | None:
    """The inverse of `Architecture.name` for widened networks, such as `resnet50x4`; None for any other name."""
    model, _, width = name.partition("x")
    if model not in _WIDENED or width not in {str(number) for number in range(2, _WIDEST + 1)}:
        return None
    return Architecture(model=model, width=int(width))


def architecture_of(tensors: Mapping[str, Tensor], *, path: Path) -> Architecture:
    """The architecture whose layers and widths a state dict in torchvision's names has.

    Args:
        tensors: State dict with `conv1.weight`; other layers may be missing or wrong: `check_whole` checks them.
        path: The checkpoint's file, for messages.

    Raises:
        CheckpointError: for a stem that is not ImageNet's, or layers of no known network.
    """
    stem = tuple(tensors["conv1.weight"].shape)
    if stem[2:] == (3, 3):
        raise CheckpointError(
            f"{path}: its first convolution is 3 by 3, for the 32 pixels of CIFAR; allowed: 7 by 7, as for ImageNet"
        )
    if len(stem) != 4 or stem[1:] != (3, 7, 7) or stem[0] % _STEM_CHANNELS or not stem[0]:
        raise CheckpointError(
            f"{path}: its first convolution has shape {stem}; allowed: (64, 3, 7, 7), or a multiple of the 64"
        )
    places = [(int(found[1]), int(found[2])) for found in map(_BLOCK.match, tensors) if found]
    blocks = tuple(1 + max((block for at, block in places if at == stage), default=-1) for stage in (1, 2, 3, 4))
    width = stem[0] // _STEM_CHANNELS
    model = _model(tensors, blocks=blocks, width=width)
    if model is None:
        counts = ", ".join(str(count) for count in blocks)
        known = ", ".join([*_BASIC.values(), *_BOTTLENECK.values(), WIDENED])
        raise CheckpointError(f"{path}: a ResNet of {counts} blocks, {stem[0]} channels at first; allowed: {known}")
    return Architecture(model=model, width=width)


def check_whole(tensors: Mapping[str, Tensor], architecture: Architecture, *, path: Path) -> None:
    """That a state dict holds every tensor of a network, none more, in its shape and with finite numbers.

    Only the counters of batches may be missing, which nothing but training reads.

    Raises:
        CheckpointError: naming the first tensors that do not fit.
    """
    with torch.device("meta"):
        wanted = architecture.network().state_dict()
    missing = [name for name in wanted if name not in tensors and not name.endswith("num_batches_tracked")]
    if missing:
        raise CheckpointError(
            f"{path}: {len(missing)} of the {len(wanted)} tensors of a {architecture.name} are not in it, "
            f"{some_names(missing)}"
        )
    further = [name for name in tensors if name not in wanted]
    if further:
        raise CheckpointError(
            f"{path}: a {architecture.name} has no place for {len(further)} tensors, {some_names(further)}"
        )
    for name, value in tensors.items():
        shape = tuple(wanted[name].shape)
        if value.shape != shape:
            raise CheckpointError(
                f"{path}: '{name}' has shape {tuple(value.shape)}; a {architecture.name} needs {shape}"
            )
        if value.is_floating_point() != wanted[name].is_floating_point() or value.layout is not torch.strided:
            raise CheckpointError(f"{path}: '{name}' is of {value.dtype}; allowed: as in a {architecture.name}")
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"{path}: '{name}' holds numbers that are not finite")


def some_names(names: Iterable[str]) -> str:
    """The first three, for a message."""
    listed = list(names)
    return f"such as {', '.join(repr(name) for name in listed[:3])}" if listed else "which is none"


def _model(tensors: Mapping[str, Tensor], *, blocks: tuple[int, ...], width: int) -> str | None:
    if "layer1.0.conv3.weight" not in tensors:
        return _BASIC.get(blocks) if width == 1 else None
    inner = tensors.get("layer1.0.conv2.weight", torch.empty(0))
    channels, per_group = inner.shape[:2] if inner.ndim == 4 else (0, 0)
    model = _BOTTLENECK.get((blocks, channels // width, per_group // width))
    return model if width == 1 or (model in _WIDENED and width <= _WIDEST) else None


def _widen(network: Any, *, width: int) -> None:
    """Every layer anew, as wide; strides as in any ResNet."""
    channels = _STEM_CHANNELS * width
    network.inplanes = channels
    network.conv1 = nn.Conv2d(3, channels, kernel_size=7, stride=2, padding=3, bias=False)
    network.bn1 = nn.BatchNorm2d(channels)
    for stage, name in enumerate(("layer1", "layer2", "layer3", "layer4")):
        count, stride = len(getattr(network, name)), 1 if stage == 0 else 2
        setattr(network, name, network._make_layer(Bottleneck, channels * 2**stage, count, stride=stride))

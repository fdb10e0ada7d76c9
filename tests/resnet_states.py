"""State dicts of ResNets, as those who have published some wrote them."""

# Shapes: N images, F features.

import re
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from simtrain.encoders.resnet_architecture import Architecture

State = dict[str, Tensor]
BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
STATE_KEYS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def source_state(model: str) -> State:
    """Torchvision's state dict with its fc, random down to the statistics of its norms."""
    torch.manual_seed(3)
    network = torchvision.models.get_model(model, weights=None)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.uniform_(module.bias, -0.2, 0.2)
            module.num_batches_tracked.fill_(9)
    return dict(network.state_dict())


def without_fc(state: State) -> State:
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def renamed(state: State, prefix: str) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}


def linear(prefix: str, *, size: int = 8, bias: bool = True) -> State:
    return {f"{prefix}weight": torch.randn(size, size), **({f"{prefix}bias": torch.randn(size)} if bias else {})}


def norm(prefix: str, *, size: int = 8) -> State:
    values = (torch.ones(size), torch.zeros(size), torch.zeros(size), torch.ones(size), torch.tensor(1))
    return {f"{prefix}{key}": value for key, value in zip(STATE_KEYS, values, strict=True)}


def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def features_by_hand(state: State, *, blocks: tuple[int, ...]) -> Tensor:
    """(N, F) of a ResNet of any width, written from figure 5 and table 1 of https://arxiv.org/abs/1512.03385.

    The stride is in the 3 by 3 convolution, as torchvision and Google have it.
    """

    def normed(values: Tensor, name: str) -> Tensor:
        weight, bias, mean, var = (state[f"{name}.{key}"] for key in STATE_KEYS[:4])
        return F.batch_norm(values, mean, var, weight, bias, eps=1e-5)

    def convolved(values: Tensor, name: str, *, stride: int) -> Tensor:
        weight = state[f"{name}.weight"]
        return F.conv2d(values, weight, stride=stride, padding=weight.shape[-1] // 2)

    values = F.relu(normed(convolved(images(), "conv1", stride=2), "bn1"))
    values = F.max_pool2d(values, 3, stride=2, padding=1)
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            name, stride = f"layer{stage}.{block}", 2 if block == 0 and stage > 1 else 1
            depth = 3 if f"{name}.conv3.weight" in state else 2
            strided = 2 if depth == 3 else 1
            inner = values
            for step in range(1, depth + 1):
                inner = convolved(inner, f"{name}.conv{step}", stride=stride if step == strided else 1)
                inner = normed(inner, f"{name}.bn{step}")
                inner = F.relu(inner) if step < depth else inner
            if f"{name}.downsample.0.weight" in state:
                values = normed(convolved(values, f"{name}.downsample.0", stride=stride), f"{name}.downsample.1")
            values = F.relu(values + inner)
    return values.mean(dim=(2, 3))


def bolts(state: State) -> State:
    """The keys of lightning-bolts 0.7's SimCLR: its encoder keeps a classifier, its projection has one bias."""
    head = linear("projection.model.0.") | norm("projection.model.1.") | linear("projection.model.3.", bias=False)
    return renamed(state, "encoder.") | head | linear("non_linear_evaluator.block_forward.2.")


def simclr_v2_name(name: str) -> str:
    """Torchvision's name -> that of Separius' SimCLRv2-Pytorch, by the order in which its modules stand."""
    if name.startswith("fc."):
        return name
    if name == "conv1.weight":
        return "net.0.0.weight"
    if name.startswith("bn1."):
        return f"net.0.1.0.{name.removeprefix('bn1.')}"
    stage, block, layer, *rest = name.removeprefix("layer").split(".")
    at = f"net.{stage}.blocks.{block}"
    if layer == "downsample":
        return f"{at}.projection.{'shortcut' if rest[0] == '0' else 'bn.0'}.{rest[1]}"
    place = {"conv1": "0", "bn1": "1.0", "conv2": "2", "bn2": "3.0", "conv3": "4", "bn3": "5.0"}[layer]
    return f"{at}.net.{place}.{rest[0]}"


def shortcuts_first(state: State) -> State:
    """In the order of tonylins' converter, whose blocks define their shortcut before anything else."""

    def place(name: str) -> tuple[Any, ...]:
        stage = re.match(r"layer(\d)\.(\d+)\.", name)
        return (
            (2 if name.startswith("fc") else 1, int(stage[1]), int(stage[2]), "downsample" not in name)
            if stage
            else (0,)
        )

    return dict(sorted(state.items(), key=lambda entry: place(entry[0]) if not entry[0].startswith("fc") else (2,)))


def numbered(state: State) -> State:
    """As `nn.Sequential(*resnet.children())` without its last child names them."""
    children = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool"]
    parts = {name: name.split(".", 1) for name in without_fc(state)}
    return {f"{children.index(child)}.{rest}": state[name] for name, (child, rest) in parts.items()}


FORMATS: dict[str, Callable[[State], dict[str, Any]]] = {
    "lightning-bolts": lambda state: {"epoch": 799, "state_dict": bolts(state), "optimizer_states": [{}]},
    "google-simclr-v1": lambda state: {"state_dict": shortcuts_first(state)},
    "google-simclr-v2": lambda state: {
        "resnet": {simclr_v2_name(name): value for name, value in state.items()},
        "head": linear("layers.0.", bias=False) | norm("layers.1.") | linear("layers.3.", bias=False),
    },
    "vissl": lambda state: {
        "classy_state_dict": {
            "base_model": {
                "model": {
                    "trunk": renamed(without_fc(state), "_feature_blocks."),
                    "heads": linear("0.clf.0.") | linear("1.clf.0."),
                }
            }
        }
    },
    "lightly": lambda state: {
        "state_dict": renamed(without_fc(state), "backbone.")
        | linear("projection_head.layers.0.", bias=False)
        | norm("projection_head.layers.1.")
        | linear("online_classifier.linear.")
    },
    "moco": lambda state: {
        "state_dict": renamed(
            renamed(without_fc(state), "encoder_q.")
            | linear("encoder_q.fc.0.")
            | renamed(without_fc(state), "encoder_k.")
            | linear("encoder_k.fc.0.")
            | {"queue": torch.randn(8, 16), "queue_ptr": torch.tensor([3])},
            "module.",
        )
    },
    "simsiam": lambda state: {
        "state_dict": renamed(
            renamed(without_fc(state), "encoder.")
            | linear("encoder.fc.0.", bias=False)
            | norm("encoder.fc.1.")
            | linear("predictor.0.", bias=False),
            "module.",
        )
    },
    "simtrain": lambda state: {
        "state_dict": renamed(without_fc(state), "encoder.network.") | linear("head.0.") | linear("head.2.")
    },
    "torchvision": lambda state: dict(state),
}


def hollow(architecture: Architecture) -> State:
    """A state dict of the right shapes that takes no room in a file."""
    with torch.device("meta"):
        state = architecture.network().state_dict()
    return {name: torch.zeros((), dtype=value.dtype).expand(value.shape) for name, value in state.items()}

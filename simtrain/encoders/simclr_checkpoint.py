"""Pretrained ResNets read from SimCLR checkpoints of several projects, and from others that hold a ResNet."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from simtrain.encoders.foreign_checkpoint import open_foreign_checkpoint
from simtrain.encoders.preprocessing import Normalisation
from simtrain.encoders.resnet import NORMALISATIONS
from simtrain.encoders.resnet_architecture import Architecture, architecture_of, check_whole
from simtrain.encoders.simclr_formats import Source, sort_tensors
from simtrain.errors import CheckpointError


@dataclass(frozen=True, kw_only=True)
class SimCLRCheckpoint:
    """A complete ResNet read from a checkpoint, with its origin and normalisation.

    Attributes:
        source: Project that wrote it; `torchvision` for any other that uses torchvision's names.
        architecture: Architecture of the network.
        tensors: The network's complete state dict in torchvision's names, float32, without `fc`.
        normalisation: Normalisation of the images that the network was trained on.
        normalisation_is_assumed: Whether that is ImageNet's for want of any sign in the file.
        projection_head: What stood between the network and the loss, in the source's names; empty without one.
        dropped: Reason -> names of the tensors that were not used.
        not_built: Classes and functions in the file, as `module.name`, which were neither looked up nor called.
    """

    source: Source
    architecture: Architecture
    tensors: Mapping[str, Tensor]
    normalisation: Normalisation
    normalisation_is_assumed: bool
    projection_head: Mapping[str, Tensor]
    dropped: Mapping[str, tuple[str, ...]]
    not_built: tuple[str, ...]

    @property
    def mean(self) -> tuple[float, float, float]:
        """Of each channel of an image from 0 to 1, subtracted before the network."""
        return NORMALISATIONS[self.normalisation][0]

    @property
    def std(self) -> tuple[float, float, float]:
        """Divides each channel after that."""
        return NORMALISATIONS[self.normalisation][1]

    def describe(self) -> dict[str, Any]:
        """Plain values for JSON: what it is, and how many tensors were left for which reason."""
        return {
            "source": self.source,
            "architecture": self.architecture.name,
            "mean": list(self.mean),
            "std": list(self.std),
            "normalisation_is_assumed": self.normalisation_is_assumed,
            "projection_head": len(self.projection_head),
            "dropped": {reason: len(names) for reason, names in self.dropped.items()},
            "not_built": list(self.not_built),
        }


def read_simclr_checkpoint(path: Path) -> SimCLRCheckpoint:
    """Find the ResNet in a checkpoint; nothing in the file is executed.

    The format is told by the names in it: lightning-bolts, Google's SimCLR (converted by tonylins' simclr-converter)
    and SimCLRv2 (by Separius' SimCLRv2-Pytorch), VISSL, lightly, MoCo, SimSiam, simtrain, or torchvision's names under
    a usual prefix. Google's networks take images from 0 to 1, the others ImageNet's mean and deviation.

    Raises:
        CheckpointError: if it cannot be read, is of another format, was made for CIFAR, or is not all of a network:
            every tensor of the network must be in it, and every tensor in it must have a known purpose.
    """
    content = open_foreign_checkpoint(path)
    try:
        found = sort_tensors(content.values, path=path)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None
    if found.without_max_pooling:
        raise CheckpointError(
            f"{path}: trained without the first max pooling (maxpool1: false), for the small images of CIFAR; "
            "allowed: with it, as for ImageNet"
        )
    architecture = architecture_of(found.encoder, path=path)
    check_whole(found.encoder, architecture, path=path)
    return SimCLRCheckpoint(
        source=found.source,
        architecture=architecture,
        tensors=_complete(found.encoder, architecture),
        normalisation="unit_range" if found.source.startswith("google") else "imagenet",
        normalisation_is_assumed=found.source in ("simtrain", "torchvision"),
        projection_head=found.projection_head,
        dropped=found.dropped,
        not_built=content.not_built,
    )


def fill_resnet(network: nn.Module, checkpoint: SimCLRCheckpoint, *, model: str, path: Path) -> None:
    """Give a ResNet without classifier all of its weights.

    Args:
        network: Network to fill, such as `Architecture.network` makes.
        checkpoint: Checkpoint that `read_simclr_checkpoint` returned.
        model: Name of the network in the configuration, for messages.
        path: The checkpoint's file, for messages.

    Raises:
        CheckpointError: if the checkpoint is of another architecture.
    """
    found = checkpoint.architecture.name
    if found != model:
        problem = f"{path} holds a {found}, and model is {model}; set model: {found}"
        raise CheckpointError(problem, argument="weights")
    network.load_state_dict(dict(checkpoint.tensors), strict=True)


def _complete(tensors: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """In the network's order and types, with the counters that older files lack."""
    with torch.device("meta"):
        wanted = architecture.network().state_dict()
    none_yet = torch.zeros((), dtype=torch.int64)
    return {name: tensors.get(name, none_yet).to(value.dtype, copy=True).contiguous() for name, value in wanted.items()}

"""ResNet encoders of torchvision, without classifier."""

# Shapes: N images, S = image_size, F = 512 (resnet18, resnet34) or 2048.

from typing import cast

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.encoders.folded_norms import apply_folded
from simtrain.encoders.pooling import GEM_POWER, GeneralisedMeanPooling, Pooling
from simtrain.encoders.preprocessing import Normalisation, Preprocessing, Resize
from simtrain.encoders.resnet_architecture import WIDENED, named_architecture
from simtrain.errors import CheckpointError, ConfigError

NORMALISATIONS: dict[Normalisation, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # mean and deviation of the channels, from 0 to 1
    "unit_range": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
_STAGES = ("layer1", "layer2", "layer3", "layer4")


class ResNetEncoder(Encoder):
    """A ResNet, ResNeXt or Wide ResNet (https://arxiv.org/abs/1512.03385) up to its average pooling.

    Args:
        network: A torchvision ResNet, or a widened one, whose `fc` is an identity.
        feature_size: Length of the pooled features, F.
        embedding_size: Length of the embeddings, D; None: F.
        preprocessing: Preprocessing of images for this network.
    """

    def __init__(
        self, *, network: nn.Module, feature_size: int, embedding_size: int | None, preprocessing: Preprocessing
    ) -> None:
        super().__init__(preprocessing=preprocessing, feature_size=feature_size, embedding_size=embedding_size)
        self.network = network
        self._recomputes = False

    @override
    def features(self, images: Tensor) -> Tensor:
        return apply_folded(self.network, images, recomputes=self._recomputes)

    @override
    def pretrained_depths(self) -> dict[str, int]:
        """0 for the stem, then a layer for each residual block."""
        stages = [(stage, self.network.get_submodule(stage)) for stage in _STAGES]
        blocks = [f"network.{stage}.{block}." for stage, blocks in stages for block, _ in blocks.named_children()]
        layer_of = {block: layer for layer, block in enumerate(blocks, start=1)}
        names = [name for name, _ in self.network.named_parameters(prefix="network")]
        return {name: layer_of.get(_first_parts(name, count=3), 0) for name in names}

    @override
    def checkpoint_activations(self) -> None:
        self._recomputes = True
        for stage in _STAGES:
            setattr(self.network, stage, _CheckpointedBlocks(*self.network.get_submodule(stage).children()))


class _CheckpointedBlocks(nn.Sequential):
    """A sequence that keeps what lies between its parts and computes what lies within them twice."""

    @override
    def forward(self, input: Tensor) -> Tensor:
        values = input
        for block in self:
            values = cast(Tensor, checkpoint(block, values, use_reentrant=False))
        return values


def _first_parts(name: str, *, count: int) -> str:
    return "".join(f"{part}." for part in name.split(".")[:count])


def resnet_network(model: str, *, weights: str | None) -> tuple[nn.Module, int]:
    """A ResNet without classifier and the length of its features.

    Args:
        model: torchvision's name, such as `resnet50`, or that of a widened network, such as `resnet50x2`.
        weights: Name of a torchvision weights enum, downloaded once; None: random.

    Raises:
        ConfigError: for a name that torchvision does not know, with the ones it does; for a name of weights that it
            does not have.
        CheckpointError: if the weights cannot be downloaded.
    """
    widened = named_architecture(model)
    if widened is not None:
        if weights is not None:
            problem = f"torchvision has no '{weights}' of {model}; allowed: a file, none"
            raise ConfigError(problem, argument="weights")
        return widened.network().to(memory_format=torch.channels_last), widened.feature_size()
    known = [name for name in torchvision.models.list_models() if "resne" in name and "/" not in name]
    known = [name for name in known if name.startswith(("resnet", "resnext", "wide_resnet"))]
    if model not in known:
        allowed = f"{', '.join(sorted(known))}, or {WIDENED}"
        raise ConfigError(f"torchvision has no '{model}'; allowed: {allowed}", argument="model")
    names = [entry.name for entry in torchvision.models.get_model_weights(model)]
    if weights is not None and weights not in [*names, "DEFAULT"]:
        raise ConfigError(
            f"'{weights}' is neither a file nor torchvision weights of {model}; "
            f"allowed: {', '.join(names)}, DEFAULT, none",
            argument="weights",
        )
    try:
        network = torchvision.models.get_model(model, weights=weights)
    except OSError as error:
        raise CheckpointError(
            f"{weights} of {model} could not be downloaded ({error}); give a local file instead", argument="weights"
        ) from error
    feature_size = int(network.fc.in_features)
    network.fc = nn.Identity()
    return network.to(memory_format=torch.channels_last), feature_size


def pool_resnet(network: nn.Module, pooling: Pooling) -> None:
    """Replace, in place, how a ResNet pools its last feature map; its `default` is `avg`."""
    if pooling == "gem":
        network.avgpool = GeneralisedMeanPooling(power=GEM_POWER, flatten=False)


def resnet_preprocessing(*, image_size: int | None, resize: Resize) -> Preprocessing:
    """What torchvision's weights were trained with, at 224 pixels unless told otherwise."""
    mean, std = NORMALISATIONS["imagenet"]
    return Preprocessing(
        image_size=image_size or 224,
        resize=resize,
        interpolation="bilinear",
        mean=mean,
        std=std,
        flip_averaging=False,
    )

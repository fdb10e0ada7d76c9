"""Encoders of timm models, without classifier."""

# Shapes: N images, S = image_size, F as the model has.

import difflib
import logging
from typing import Any, cast

import timm
import torch
from timm.data.config import resolve_data_config
from timm.models import group_parameters
from timm.optim import auto_group_layers  # type: ignore[attr-defined]  # there, but not in its __all__
from torch import Tensor, nn
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.encoders.preprocessing import Preprocessing, Resize
from simtrain.errors import CheckpointError, ConfigError


class TimmEncoder(Encoder):
    """Any timm image model up to its pooled features.

    Args:
        network: A timm model created without classifier.
        embedding_size: Length of the embeddings, D; None: the model's own feature length.
        preprocessing: Preprocessing of images for this network.
    """

    def __init__(self, *, network: nn.Module, embedding_size: int | None, preprocessing: Preprocessing) -> None:
        super().__init__(
            preprocessing=preprocessing,
            feature_size=int(getattr(network, "head_hidden_size", None) or cast(Any, network).num_features),
            embedding_size=embedding_size,
        )
        self.network = network

    @override
    def features(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.network(images))

    @override
    def pretrained_depths(self) -> dict[str, int]:
        """As timm's own layer decay counts them; where the model does not say, as its modules follow each other."""
        network = cast(Any, self.network)
        if hasattr(network, "group_matcher"):
            depths = group_parameters(network, network.group_matcher(coarse=False), reverse=True)
        else:
            depths = auto_group_layers(network)  # type: ignore[no-untyped-call]
        return {f"network.{name}": depths[name] for name, _ in network.named_parameters()}

    @override
    def checkpoint_activations(self) -> None:
        try:
            cast(Any, self.network).set_grad_checkpointing(True)
        except (AssertionError, AttributeError):  # timm's two ways to say that there is no such thing
            model = getattr(self.network, "pretrained_cfg", {}).get("architecture", type(self.network).__name__)
            message = f"trainer.activation_checkpointing: {model} has no blocks for it; set it to false"
            raise ConfigError(message) from None


def timm_network(model: str, *, from_hub: bool, image_size: int | None) -> nn.Module:
    """A timm model without classifier.

    Args:
        model: Name of the model in timm.
        from_hub: Download timm's weights for it (once); otherwise random.
        image_size: Side in pixels that a model of fixed size (a ViT) is built for; None: its own.

    Raises:
        ConfigError: for a name or a weights tag that timm does not know, with those it does, or a size that the model
            cannot be built for.
        CheckpointError: if the weights cannot be had.
    """
    if not timm.is_model(model):
        near = difflib.get_close_matches(model.split(".")[0], timm.list_models(), n=3, cutoff=0.5)
        raise ConfigError(
            f"encoder.model: timm has no '{model}'" + (f"; did you mean {' or '.join(near)}?" if near else "")
        )
    name, _, tag = model.partition(".")
    tags = timm.list_models(f"{name}.*", include_tags=True)
    if tag and model not in tags:
        raise ConfigError(f"encoder.model: timm has no weights '{tag}' of {name}; allowed: {', '.join([name, *tags])}")
    size: dict[str, Any] = {"img_size": image_size} if image_size is not None and _has_fixed_size(model) else {}
    logging.getLogger("timm.models._builder").setLevel(logging.ERROR)  # its own retry chatter
    try:
        network = timm.create_model(model, pretrained=from_hub, num_classes=0, **size)
    except Exception as error:  # every hub client raises its own kinds
        reason = (str(error).strip().splitlines() or ["no reason given"])[0][:160]
        if size and (not from_hub or isinstance(error, AssertionError)):
            message = f"encoder.image_size: {model} cannot be built for {image_size} pixels: {reason}"
            raise ConfigError(message) from error
        if not from_hub:
            raise
        raise CheckpointError(
            f"encoder.weights: the hub's weights of {model} could not be had ({type(error).__name__}: {reason}); "
            "give a local file instead"
        ) from error
    if any(value.dim() > 4 for value in network.parameters()):  # 3-D convolutions know no such format
        return network
    return network.to(memory_format=torch.channels_last)


def timm_preprocessing(network: nn.Module, *, image_size: int | None, resize: Resize) -> Preprocessing:
    """What timm says the model was trained with."""
    data = resolve_data_config({}, model=network)  # type: ignore[no-untyped-call]  # timm leaves it unannotated
    return Preprocessing(
        image_size=image_size or int(data["input_size"][-1]),
        resize=resize,
        interpolation="bilinear" if data["interpolation"] == "bilinear" else "bicubic",
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
    )


def _has_fixed_size(model: str) -> bool:
    known = timm.models.get_pretrained_cfg(model)
    return known is not None and bool(known.fixed_input_size)

"""Encoders of timm models, without classifier."""

# Shapes: N images, S = image_size, F as the model has.

import difflib
import logging
from typing import Any, cast

import timm
import torch
from timm.data.config import resolve_data_config
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from timm.models import group_parameters
from timm.optim import auto_group_layers  # type: ignore[attr-defined]  # there, but not in its __all__
from torch import Tensor, nn
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.encoders.folded_norms import apply_folded
from simtrain.encoders.memory_format import for_plain_memory, in_fast_memory, needs_plain_memory
from simtrain.encoders.pooling import GEM_POWER, GeneralisedMeanPooling, Pooling
from simtrain.encoders.preprocessing import Preprocessing, Resize
from simtrain.errors import CheckpointError, ConfigError, first_line

_POOLS = ("global_pool", "head.global_pool")
_MEANS = ("avg", "fast", "fastavg")
_OF_EQUAL_LENGTH = (*_MEANS, "max", "fastmax", "avgmax", "fastavgmax")
"""What timm calls ways of pooling that give one number for each channel."""
_CHANNELS_FIRST = (2, 3)
_ANY_SIZE = {"dynamic_img_size": True}
"""What has some of timm's transformers take whatever size comes, by resampling their position embeddings."""


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
        self._in_plain_memory = needs_plain_memory(network)
        self._recomputes = False

    @override
    def features(self, images: Tensor) -> Tensor:
        images = for_plain_memory(images) if self._in_plain_memory else images
        return apply_folded(self.network, images, recomputes=self._recomputes)

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
            self._recomputes = True
        except (AssertionError, AttributeError):  # timm's two ways to say that there is no such thing
            model = getattr(self.network, "pretrained_cfg", {}).get("architecture", type(self.network).__name__)
            problem = f"{model} has no blocks for it; set it to false"
            raise ConfigError(problem, argument="activation_checkpointing") from None


def timm_network(model: str, *, from_hub: bool, image_size: int | None, evaluation_image_size: int | None) -> nn.Module:
    """A timm model without classifier.

    Args:
        model: Name of the model in timm.
        from_hub: Download timm's weights for it (once); otherwise random.
        image_size: Side in pixels that a model of fixed size (a ViT) is built for; None: its own.
        evaluation_image_size: Side in pixels that it has to take too; None: no other.

    Raises:
        ConfigError: for a name or a weights tag that timm does not know, with those it does, or a size that the model
            cannot be built for or does not take.
        CheckpointError: if the weights are unavailable.
    """
    if not timm.is_model(model):
        near = difflib.get_close_matches(model.split(".")[0], timm.list_models(), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ConfigError(f"timm has no '{model}'{hint}", argument="model")
    name, _, tag = model.partition(".")
    tags = timm.list_models(f"{name}.*", include_tags=True)
    if tag and model not in tags:
        allowed = ", ".join([name, *tags])
        raise ConfigError(f"timm has no weights '{tag}' of {name}; allowed: {allowed}", argument="model")
    size: dict[str, Any] = {"img_size": image_size} if image_size is not None and _has_fixed_size(model) else {}
    if evaluation_image_size not in (None, image_size):
        size |= _to_take(model, size, image_size=evaluation_image_size)
    logging.getLogger("timm.models._builder").setLevel(logging.ERROR)  # its own retry chatter
    try:
        network = timm.create_model(model, pretrained=from_hub, num_classes=0, **size)
    except Exception as error:  # every hub client raises its own kinds
        reason = first_line(error, to=200) if str(error).strip() else "no reason given"
        if size and (not from_hub or isinstance(error, AssertionError)):
            problem = f"{model} cannot be built for {image_size} pixels: {reason}"
            raise ConfigError(problem, argument="image_size") from error
        if not from_hub:
            raise
        raise CheckpointError(
            f"the hub's weights of {model} could not be had ({type(error).__name__}: {reason}); "
            "give a local file instead",
            argument="weights",
        ) from error
    if image_size is not None:
        _try_out(network, model=model, image_size=image_size)
    return in_fast_memory(network)


def _try_out(network: nn.Module, *, model: str, image_size: int) -> None:
    """Refuse a size that the network meets an error at, with one that it takes, before any image is embedded."""
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, image_size, image_size))
    except (RuntimeError, AssertionError, ValueError, IndexError, TypeError, ZeroDivisionError) as error:
        own = resolve_data_config({}, model=network)["input_size"][-1]  # type: ignore[no-untyped-call]
        problem = f"{model} does not take images of {image_size} pixels: {_reason(error)}; it was made for {own}"
        raise ConfigError(problem, argument="image_size") from error
    finally:
        network.train(was_training)


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def timm_preprocessing(network: nn.Module, *, image_size: int | None, resize: Resize) -> Preprocessing:
    """What timm says the model was trained with."""
    data = resolve_data_config({}, model=network)  # type: ignore[no-untyped-call]  # timm leaves it unannotated
    return Preprocessing(
        image_size=image_size or int(data["input_size"][-1]),
        resize=resize,
        interpolation="bilinear" if data["interpolation"] == "bilinear" else "bicubic",
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        flip_averaging=False,
    )


def pool_timm(network: nn.Module, pooling: Pooling, *, model: str) -> None:
    """Replace, in place, how a timm network pools its last feature map.

    Args:
        network: Created without classifier.
        pooling: `default` leaves it as it is.
        model: timm's name, for the message.

    Raises:
        ConfigError: for a network that does not pool one feature map of (N, C, H, W): a transformer over tokens.
    """
    if pooling == "default":
        return
    name = next((name for name in _POOLS if _pools_a_map(network, name)), None)
    if name is None:
        raise ConfigError(
            f"{model} pools no feature map as convolutional networks do, so '{pooling}' has no place in it; "
            "allowed: default",
            argument="pooling",
        )
    pool = cast(Any, network.get_submodule(name))
    flatten = isinstance(pool.flatten, nn.Flatten) or bool(getattr(pool.pool, "flatten", False))
    if pooling == "gem":
        network.set_submodule(name, GeneralisedMeanPooling(power=GEM_POWER, flatten=flatten))
    elif pool.pool_type not in _MEANS:
        network.set_submodule(name, SelectAdaptivePool2d(pool_type="avg", flatten=flatten))


def _pools_a_map(network: nn.Module, name: str) -> bool:
    pool: Any = dict(network.named_modules()).get(name)
    if not isinstance(pool, SelectAdaptivePool2d) or pool.pool_type not in _OF_EQUAL_LENGTH:
        return False
    return getattr(pool.pool, "dim", _CHANNELS_FIRST) == _CHANNELS_FIRST


def _to_take(model: str, size: dict[str, Any], *, image_size: int) -> dict[str, Any]:
    """What else a model has to be created with to take images of another size than it is built for."""
    reason = _refusal(model, size, image_size=image_size)
    if reason is None:
        return {}
    try:
        reason = _refusal(model, {**size, **_ANY_SIZE}, image_size=image_size)
    except TypeError:  # the model knows no such setting
        pass
    else:
        if reason is None:
            return _ANY_SIZE
    problem = f"{model} does not take {image_size} pixels: {reason}"
    raise ConfigError(problem, argument="evaluation_image_size")


def _refusal(model: str, settings: dict[str, Any], *, image_size: int) -> str | None:
    """Why a model so created does not take an image of a size; None: it does. Shapes alone, no arithmetic."""
    try:
        with torch.device("meta"):
            network = timm.create_model(model, pretrained=False, num_classes=0, **settings).eval()
            network(torch.empty(1, 3, image_size, image_size))
    except NotImplementedError:  # an operation that knows no shapes without numbers: then with numbers
        network = timm.create_model(model, pretrained=False, num_classes=0, **settings).eval()
        with torch.inference_mode():
            network(torch.zeros(1, 3, image_size, image_size))
    except (AssertionError, RuntimeError, ValueError) as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
    return None


def _has_fixed_size(model: str) -> bool:
    known = timm.models.get_pretrained_cfg(model)
    return known is not None and bool(known.fixed_input_size)

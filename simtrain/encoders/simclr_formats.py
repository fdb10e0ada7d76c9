"""Formats of SimCLR checkpoints, recognised by their tensor names: encoder, projection head and unused tensors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from simtrain.encoders.foreign_checkpoint import holds_tensors, tensors_in
from simtrain.encoders.resnet_architecture import some_names
from simtrain.errors import CheckpointError

Source = Literal[
    "lightning-bolts",
    "google-simclr-v1",
    "google-simclr-v2",
    "vissl",
    "lightly",
    "moco",
    "simsiam",
    "simtrain",
    "torchvision",
]

_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
_BOUND = ("module.", "_orig_mod.")  # what data-parallel training and compiling put before every name
_PREFIXES: dict[str, Source | None] = {  # in order of preference; None: what lies beside tells whose it is
    "averaged.encoder.network.": "simtrain",
    "averaged.encoder.image.network.": "simtrain",
    "encoder.network.": "simtrain",
    "encoder.image.network.": "simtrain",
    "image.network.": "simtrain",
    "network.": "simtrain",
    "encoder_q.": "moco",
    "base_encoder.": "moco",
    "trunk._feature_blocks.": "vissl",
    "_feature_blocks.": "vissl",
    "encoder.module.": None,
    "encoder.": None,
    "backbone.": None,
    "resnet.": None,
    "model.": None,
    "": None,
}
_NUMBERED = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
_HEADS = ("projection.", "projection_head.", "projector.", "heads.", "head.", "neck.")
_ENCODER, _PROJECTION_HEAD, _UNKNOWN = "encoder", "projection head", "unknown"
_CLASSIFIER, _NEVER_USED, _COPY = "classifier", "classifier that was never used", "slow copy of the encoder"
_UNAVERAGED, _REDUCTION = "weights before they were averaged", "layer to another embedding size"
_OF_THE_LOSS = "the loss's parameters"
_BESIDE = {
    "non_linear_evaluator.": "classifier that watched the training",
    "online_classifier.": "classifier that watched the training",
    "classifier.": _CLASSIFIER,
    "predictor.": "predictor of the other view",
    "prediction_head.": "predictor of the other view",
    "encoder_k.": _COPY,
    "momentum_encoder.": _COPY,
    "backbone_momentum.": _COPY,
    "momentum_backbone.": _COPY,
    "projection_head_momentum.": _COPY,
    "momentum_projector.": _COPY,
    "encoder.network.": _UNAVERAGED,
    "encoder.image.network.": _UNAVERAGED,
    "encoder.reduction.": _REDUCTION,
    "encoder.image.reduction.": _REDUCTION,
    "averaged.encoder.reduction.": _REDUCTION,
    "averaged.encoder.image.reduction.": _REDUCTION,
    "image.reduction.": _REDUCTION,
    "reduction.": _REDUCTION,
    "encoder.logit_scale": _OF_THE_LOSS,
    "averaged.encoder.logit_scale": _OF_THE_LOSS,
    "logit_scale": _OF_THE_LOSS,
    "mined_loss.": _OF_THE_LOSS,
    "queue": "the loss's memory",
    "memory_bank.": "the loss's memory",
    "prototypes.": _OF_THE_LOSS,
    "criterion.": _OF_THE_LOSS,
}
_SELECTIVE_KERNELS = ("net.0.2.weight", ".mixing_conv.")
_V2_STEM = "net.0.0.weight"
_V2_NORM = re.compile(r"net\.0\.1\.0\.(\w+)")
_V2_BLOCK = re.compile(r"net\.([1-4])\.blocks\.(\d+)\.net\.([0-5])\.(?:0\.)?(\w+)")
_V2_SHORTCUT = re.compile(r"net\.([1-4])\.blocks\.(\d+)\.projection\.(shortcut|bn\.0)\.(\w+)")


@dataclass(frozen=True, kw_only=True)
class SortedTensors:
    """A checkpoint's tensors by purpose.

    Attributes:
        source: Project that wrote the checkpoint.
        encoder: Tensors of the network, in torchvision's names, without `fc`.
        projection_head: Tensors between the network and the loss, in the source's names.
        dropped: Reason -> names of the tensors that are not used.
        without_max_pooling: Whether it says that the network had no max pooling after its first convolution.
    """

    source: Source
    encoder: dict[str, Tensor]
    projection_head: dict[str, Tensor]
    dropped: dict[str, tuple[str, ...]]
    without_max_pooling: bool


def sort_tensors(values: Mapping[Any, Any], *, path: Path) -> SortedTensors:
    """Tell a checkpoint's format and the purpose of each of its tensors by their names.

    Args:
        values: The outermost mapping of the file.
        path: The checkpoint's file, for messages.

    Raises:
        CheckpointError: if there is no ResNet in it, or a tensor of no known purpose.
        ValueError: if a tensor reaches beyond what the file holds for it.
    """
    tensors, beside = _open_wrappers(values, path=path)
    tensors, is_v2 = _from_simclr_v2(tensors, path=path)
    prefix = _prefix(tensors, path=path)
    source = "google-simclr-v2" if is_v2 else _source(tensors, prefix=prefix)
    purposes: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        purpose = _purpose(name, prefix=prefix, source=source)
        purposes.setdefault(purpose, {})[name] = value
    encoder, projection_head = purposes.pop(_ENCODER, {}), purposes.pop(_PROJECTION_HEAD, {})
    if _UNKNOWN in purposes:
        unknown = purposes[_UNKNOWN]
        raise CheckpointError(
            f"{path}: {len(unknown)} of its tensors have no known purpose, {some_names(unknown)}; allowed beside "
            f"'{prefix}': {', '.join(_HEADS)} and the usual names of classifiers, predictors, copies and memories"
        )
    renamed = {_torchvision_name(name.removeprefix(prefix)): value for name, value in encoder.items()}
    if len(renamed) < len(encoder):
        raise CheckpointError(f"{path}: has the network's tensors twice, by name and by number; allowed: once")
    dropped = {reason: tuple(names) for reason, names in purposes.items()}
    return SortedTensors(
        source=source,
        encoder=renamed,
        projection_head=projection_head,
        dropped={**dropped, **({"beside the weights": beside} if beside else {})},
        without_max_pooling=_setting(values, "maxpool1") is False,
    )


def _purpose(name: str, *, prefix: str, source: Source) -> str:
    part = name.removeprefix(prefix) if name.startswith(prefix) else ""
    if part.startswith("fc."):
        if source in ("moco", "simsiam") or part.split(".")[1].isdigit():  # MoCo's linear layer, or a perceptron
            return _PROJECTION_HEAD
        return _NEVER_USED if source == "lightning-bolts" else _CLASSIFIER
    if part and prefix:
        return _ENCODER
    if name.startswith(_HEADS):
        return _PROJECTION_HEAD
    reason = next((reason for start, reason in _BESIDE.items() if name.startswith(start)), None)
    return reason or (_UNKNOWN if prefix else _ENCODER)


def _open_wrappers(values: Mapping[Any, Any], *, path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """All tensors of the mapping, or mappings, that the weights are in, and the names of what lies beside those."""
    if "classy_state_dict" in values:
        model = _within(_within(_within(values, "classy_state_dict"), "base_model"), "model")
        return _joined(model, "trunk", "heads"), _others(values, "classy_state_dict")
    if holds_tensors(values.get("resnet")):
        return _joined(values, "resnet", "head"), _others(values, "resnet", "head")
    if "_modules" in values:
        raise CheckpointError(f"{path}: a pickled model, which only its own code can open; allowed: its state_dict")
    inner, beside = values, tuple[str, ...]()
    while not holds_tensors(inner):
        wrapper = next((name for name in _WRAPPERS if _within(inner, name)), None)
        if wrapper is None:
            break
        inner, beside = _within(inner, wrapper), beside + _others(inner, wrapper)
    tensors = tensors_in(inner)
    for bound in _BOUND:
        if all(name.startswith(bound) for name in tensors):
            tensors = {name.removeprefix(bound): value for name, value in tensors.items()}
    return tensors, beside


def _within(values: Mapping[Any, Any], name: str) -> Mapping[Any, Any]:
    inner = values.get(name)
    return inner if isinstance(inner, Mapping) else {}


def _joined(values: Mapping[Any, Any], *names: str) -> dict[str, Tensor]:
    return {f"{name}.{inner}": value for name in names for inner, value in tensors_in(_within(values, name)).items()}


def _others(values: Mapping[Any, Any], *names: str) -> tuple[str, ...]:
    return tuple(str(name) for name in values if name not in names)


def _from_simclr_v2(tensors: dict[str, Tensor], *, path: Path) -> tuple[dict[str, Tensor], bool]:
    """The tensors with torchvision's names in the place of those of Separius' SimCLRv2, and whether it was that."""
    prefix = next((prefix for prefix in ("resnet.", "") if f"{prefix}{_V2_STEM}" in tensors), None)
    if prefix is None:
        return tensors, False
    if any(mark in name for name in tensors for mark in _SELECTIVE_KERNELS):
        raise CheckpointError(
            f"{path}: a SimCLRv2 network with selective kernels (sk1), which torchvision does not have; allowed: sk0"
        )
    renamed = {}
    for name, value in tensors.items():
        part = name.removeprefix(prefix)
        if name.startswith(prefix) and part.startswith("net."):
            renamed[f"resnet.{_v2_name(part)}"] = value
        else:
            renamed[name if prefix or not part.startswith("fc.") else f"resnet.{part}"] = value
    return renamed, True


def _v2_name(name: str) -> str:
    if name == _V2_STEM:
        return "conv1.weight"
    if found := _V2_NORM.fullmatch(name):
        return f"bn1.{found[1]}"
    if found := _V2_BLOCK.fullmatch(name):
        stage, block, at, kind = found.groups()
        return f"layer{stage}.{block}.{'bn' if int(at) % 2 else 'conv'}{int(at) // 2 + 1}.{kind}"
    if found := _V2_SHORTCUT.fullmatch(name):
        stage, block, part, kind = found.groups()
        return f"layer{stage}.{block}.downsample.{'0' if part == 'shortcut' else '1'}.{kind}"
    return name


def _prefix(tensors: Mapping[str, Tensor], *, path: Path) -> str:
    """What the names of the network's tensors begin with."""
    stems = ("conv1.weight", "4.0.conv1.weight")
    for prefix in _PREFIXES:
        if any(f"{prefix}{stem}" in tensors for stem in stems):
            return prefix
    raise CheckpointError(
        f"{path}: no ResNet among its {len(tensors)} tensors, {some_names(tensors)}; allowed: a 'conv1.weight' after "
        f"nothing, {', '.join(prefix for prefix in _PREFIXES if prefix)}, or a SimCLRv2 '{_V2_STEM}'"
    )


def _source(tensors: Mapping[str, Tensor], *, prefix: str) -> Source:
    def beside(*starts: str) -> bool:
        return any(name.startswith(starts) for name in tensors)

    known = _PREFIXES[prefix]
    if known is not None:
        return known
    if prefix == "encoder." and beside("predictor."):
        return "simsiam"
    if prefix == "encoder." and beside("projection.", "non_linear_evaluator."):
        return "lightning-bolts"
    if prefix == "backbone." and (f"{prefix}0.weight" in tensors or beside("projection_head.", "online_classifier.")):
        return "lightly"
    return "google-simclr-v1" if not prefix and _shortcut_comes_first(tensors) else "torchvision"


def _shortcut_comes_first(tensors: Mapping[str, Tensor]) -> bool:
    """Whether a block begins with its shortcut, as it does in Google's network and in what tonylins made of it.

    It is all that tells these weights, whose input is 0 to 1, from any others in torchvision's names.
    """
    first = next((name for name in tensors if name.startswith("layer1.0.")), "")
    return first.startswith("layer1.0.downsample.")


def _torchvision_name(name: str) -> str:
    """`layer1.0.conv1.weight` for `4.0.conv1.weight`, where a network was saved as a numbered sequence."""
    number, _, rest = name.partition(".")
    return f"{_NUMBERED[number]}.{rest}" if number in _NUMBERED else name


def _setting(values: Mapping[Any, Any], name: str) -> Any:
    """A hyper-parameter that Lightning has kept beside the weights, or None."""
    return {**_within(values, "hparams"), **_within(values, "hyper_parameters")}.get(name)

"""Loss of the user's own, tried out before any training."""

# Shapes: N embeddings, O dimensions that the loss sees.

import copy
import functools
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from simtrain.builders.named_code import named_object
from simtrain.config import NamedCode, ObjectiveNeeds
from simtrain.errors import ConfigError
from simtrain.modules.own_objective import OwnLoss
from simtrain.own_code import called, check_arguments, code_of


def build_own_loss(code: NamedCode, needs: ObjectiveNeeds, *, classes: int, size: int) -> OwnLoss:
    """The loss that a section names: an object of a class, or a function with its further arguments.

    Args:
        code: Path of the class or function, and its keyword arguments. A class gets `num_classes` and `embedding_size`
            where it wants them and `code` does not say them.
        needs: How batches are made for it.
        classes: Number of training groups.
        size: O.

    Raises:
        ConfigError: if the code may not or cannot be imported, does not take its arguments, or gives no finite scalar
            with a gradient for a small batch; it names the key within the section.
    """
    target = named_object(code)
    loss: Any = target
    if code.handed_over is None and inspect.isclass(target):
        sizes = {"num_classes": classes, "embedding_size": size}
        loss = called(target, {**_wanted(target, sizes), **code.parameters}, target=code.target)
    elif code.parameters:
        loss = functools.partial(target, **code.parameters)
    if not callable(loss):
        raise ConfigError(
            f"{code.target} is not callable: {type(loss).__name__}; allowed: a function or class whose objects are "
            "called with embeddings and labels",
            argument="target",
        )
    labels = _labels(needs)
    check_arguments(loss, (torch.zeros(len(labels), size), labels), {}, target=code.target)
    _try_out(loss, torch.randn(len(labels), size, generator=torch.Generator().manual_seed(0)), labels, name=code.target)
    return loss  # type: ignore[no-any-return]  # what the user's code gives was tried out


def _wanted(target: Any, sizes: Mapping[str, int]) -> dict[str, int]:
    try:
        names = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return {}
    return {name: value for name, value in sizes.items() if name in names}


def _labels(needs: ObjectiveNeeds) -> Tensor:
    """(N,) labels of a batch as small as it may come: two groups, or three images in their views."""
    if needs.groups is not None:
        return torch.arange(2).repeat_interleave(needs.groups.images).repeat(needs.views)
    return torch.arange(3).repeat(needs.views)


def _try_out(loss: OwnLoss, embeddings: Tensor, labels: Tensor, *, name: str) -> None:
    """On a copy, for losses that remember what they have seen."""
    embeddings = embeddings.requires_grad_()
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), code_of(name):
        value = copy.deepcopy(loss)(embeddings, labels)
    if not isinstance(value, Tensor) or value.ndim != 0:
        got = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        shown = f"{tuple(embeddings.shape)} embeddings and {tuple(labels.shape)} labels"
        raise ConfigError(f"{name}: {shown} gave {got}; allowed: a scalar tensor", argument="target")
    if not torch.isfinite(value):
        raise ConfigError(
            f"{name}: a small batch gave {float(value.detach())}; allowed: a finite number", argument="target"
        )
    gradient = torch.autograd.grad(value, embeddings, allow_unused=True)[0] if value.requires_grad else None
    if gradient is None:
        raise ConfigError(
            f"{name}: its value carries no gradient to the embeddings (torch.no_grad, detach or numpy inside?)",
            argument="target",
        )

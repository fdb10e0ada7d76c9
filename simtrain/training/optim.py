"""Optimizer: parameter groups, AdamW, warm-up and cosine schedule."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, cast

import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from typing_extensions import override


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """AdamW (https://arxiv.org/abs/1711.05101) with a warm-up and a cosine (https://arxiv.org/abs/1608.03983).

    Attributes:
        learning_rate: Peak rate of pretrained parameters.
        head_factor: New parameters have this times the rate.
        weight_decay: Decoupled decay of matrices and filters.
        betas: Decay rates, 0 to 1, of the running averages of the gradient and of its square.
        warmup_fraction: Share of the steps in which the rate rises from 0.
        layer_decay: Each pretrained layer has this times the rate of the one above it; 1: all have one rate.
    """

    learning_rate: float
    head_factor: float
    weight_decay: float
    betas: tuple[float, float]
    warmup_fraction: float
    layer_decay: float


class Layered(Protocol):
    """A network that knows which of its layers each parameter belongs to."""

    def named_parameters(self) -> Iterable[tuple[str, nn.Parameter]]:
        """Names and parameters, as `nn.Module` gives them."""

    def depth_of(self) -> dict[str, int]:
        """Name of a parameter -> its layer, 0 at the input."""


def parameter_groups(
    module: nn.Module, *, encoder: Layered, new: Iterable[nn.Parameter], settings: OptimizerSettings
) -> list[dict[str, object]]:
    """Pretrained or new parameters, with decay or without it (biases, normalisation, scalars): up to four groups.

    A `layer_decay` below 1 makes groups of each pretrained layer (BEiT, https://arxiv.org/abs/2106.08254, and ELECTRA
    before it): the topmost pretrained layer has the whole rate, each below it `layer_decay` times that above.

    Args:
        module: Everything that is trained. What has no gradient now (frozen, averaged) is in no group.
        encoder: Pretrained part of the module, which knows its layers; not asked with a `layer_decay` of 1.
        new: Parameters of the module that start untrained, such as heads.
        settings: Learning rates and weight decay.

    Returns:
        Keywords of AdamW's groups, each with a `name`: `encoder_decay`, `encoder_layer3_no_decay`, `head_decay` …
    """
    fresh = {id(parameter) for parameter in new}
    layers = _pretrained_layers(encoder, fresh) if settings.layer_decay < 1 else {}
    top = max(layers.values(), default=0)
    members: dict[tuple[bool, int, bool], list[nn.Parameter]] = {}
    for parameter in module.parameters():
        if parameter.requires_grad:
            key = (id(parameter) in fresh, layers.get(id(parameter), top), parameter.ndim > 1)
            members.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": settings.learning_rate * (settings.head_factor if is_new else settings.layer_decay ** (top - layer)),
            "weight_decay": settings.weight_decay if decays else 0.0,
            "name": _group_name(is_new=is_new, layer=layer if layers else None, decays=decays),
        }
        for (is_new, layer, decays), parameters in sorted(members.items())
    ]


def adamw_with_cosine(
    groups: list[dict[str, object]], *, settings: OptimizerSettings, steps: int
) -> tuple[torch.optim.Optimizer, LambdaLR]:
    """The optimizer, its kernels fused on a GPU, and a schedule that is advanced after every one of `steps` steps."""
    optimizer = torch.optim.AdamW(groups, betas=settings.betas, fused=_on_gpu(groups) or None)
    # It could undo a gradient scaler's scale in its own step, for which Lightning refuses to clip the gradients; they
    # are unscaled before the clipping instead, as with any other optimizer.
    optimizer._step_supports_amp_scaling = False  # torch and Lightning read it
    warmup = round(settings.warmup_fraction * steps)
    return optimizer, LambdaLR(optimizer, lambda step: warmup_cosine(step, steps=steps, warmup=warmup))


def warmup_cosine(step: int, *, steps: int, warmup: int) -> float:
    """Share of the peak rate in step `step` of 0..steps-1: linear up to 1 over `warmup` steps, then a cosine to 0."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup))))


class FollowSchedule(pl.Callback):
    """Has a resumed run begin with the rate that its schedule has at the step it is at, and not with the stored one.

    They differ where the run was made longer.
    """

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for config in trainer.lr_scheduler_configs:
            schedule = config.scheduler
            assert isinstance(schedule, LambdaLR)
            rates = [
                base * share(schedule.last_epoch)
                for base, share in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)
            ]
            for group, rate in zip(schedule.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate


def _pretrained_layers(encoder: Layered, fresh: set[int]) -> dict[int, int]:
    """Identity of each pretrained parameter -> its layer."""
    depth_of = encoder.depth_of()
    return {
        id(parameter): depth_of[name] for name, parameter in encoder.named_parameters() if id(parameter) not in fresh
    }


def _group_name(*, is_new: bool, layer: int | None, decays: bool) -> str:
    owner = "head" if is_new else "encoder" if layer is None else f"encoder_layer{layer}"
    return f"{owner}_{'decay' if decays else 'no_decay'}"


def _on_gpu(groups: list[dict[str, object]]) -> bool:
    parameters = [parameter for group in groups for parameter in cast(list[nn.Parameter], group["params"])]
    return all(parameter.is_cuda for parameter in parameters)

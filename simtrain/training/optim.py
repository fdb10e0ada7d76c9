"""Parameter groups, AdamW, warm-up and cosine."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """AdamW (https://arxiv.org/abs/1711.05101) with a warm-up and a cosine (https://arxiv.org/abs/1608.03983).

    Attributes:
        learning_rate: Peak rate of pretrained parameters.
        head_factor: New parameters have this times the rate.
        weight_decay: Decoupled decay of matrices and filters.
        betas: Running averages of the gradient and its square.
        warmup_fraction: Share of the steps in which the rate rises from 0.
    """

    learning_rate: float
    head_factor: float
    weight_decay: float
    betas: tuple[float, float]
    warmup_fraction: float


def parameter_groups(
    module: nn.Module, *, new: Iterable[nn.Parameter], settings: OptimizerSettings
) -> list[dict[str, object]]:
    """Up to four groups: pretrained or new, with decay or without it (biases, normalisation, scalars).

    Args:
        module: Everything that is trained.
        new: Its parameters that no pretraining has seen.
        settings: Rates and decay.
    """
    fresh = {id(parameter) for parameter in new}
    members: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in module.parameters():
        members.setdefault((id(parameter) in fresh, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": settings.learning_rate * (settings.head_factor if is_new else 1.0),
            "weight_decay": settings.weight_decay if decays else 0.0,
            "name": f"{'head' if is_new else 'encoder'}_{'decay' if decays else 'no_decay'}",
        }
        for (is_new, decays), parameters in sorted(members.items())
    ]


def adamw_with_cosine(
    groups: list[dict[str, object]], *, settings: OptimizerSettings, steps: int
) -> tuple[torch.optim.Optimizer, LambdaLR]:
    """The optimizer and a schedule that is advanced after every one of `steps` steps."""
    optimizer = torch.optim.AdamW(groups, betas=settings.betas)
    warmup = round(settings.warmup_fraction * steps)
    return optimizer, LambdaLR(optimizer, lambda step: warmup_cosine(step, steps=steps, warmup=warmup))


def warmup_cosine(step: int, *, steps: int, warmup: int) -> float:
    """Share of the peak rate in step `step` of 0..steps-1: linear up to 1 over `warmup` steps, then a cosine to 0."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup))))

"""Exponential moving average (EMA) of an encoder's weights."""

import copy
from typing import Generic, Self, TypeVar

import torch
from torch import Tensor, nn
from typing_extensions import override

Network = TypeVar("Network", bound=nn.Module)
_STATISTICS = ("running_mean", "running_var")


class WeightAverage(nn.Module, Generic[Network]):
    """An encoder whose weights are the running average of another's (https://arxiv.org/abs/1703.01780, section 2).

    It is a module so that it is saved and moved with the one that it is part of, and learns nothing itself. What does
    not move in the other encoder is bit for bit the same here.

    Args:
        encoder: Encoder whose weights now are the first value of the average; it is copied.
        decay: Share of the average that stays at each step, above 0 to below 1; less in the first steps, in which the
            average would otherwise keep what the encoder was before training.

    Attributes:
        encoder: The averaged encoder, always in evaluation mode.
    """

    encoder: Network

    def __init__(self, encoder: Network, *, decay: float) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)
        self._decay = decay
        self.eval()

    @torch.no_grad()
    def update(self, encoder: Network, *, step: int) -> None:
        """Take in the weights after optimizer step `step`, 1 being the first.

        Args:
            encoder: The encoder in training, of the same shapes.
            step: Optimizer step, from 1; the average keeps a share of min(decay, (1 + step) / (10 + step)).
        """
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(_averaged(self.encoder), _averaged(encoder), 1 - decay)
        for (name, old), new in zip(self.encoder.named_buffers(), encoder.buffers(), strict=True):
            if not name.endswith(_STATISTICS):
                old.copy_(new)

    @override
    def train(self, mode: bool = True) -> Self:
        return super().train(False)


def _averaged(module: nn.Module) -> list[Tensor]:
    """Parameters and BatchNorm's statistics, each once however often it is shared; counts and masks have no mean."""
    statistics = [value for name, value in module.named_buffers() if name.endswith(_STATISTICS)]
    return [*module.parameters(), *statistics]

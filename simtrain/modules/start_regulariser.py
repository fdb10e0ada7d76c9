"""Regulariser towards the initial encoder within a training step."""

# Shapes: n images of this process, S = image_size, D features.

import copy
from collections.abc import Collection

import torch
from torch import Tensor

from simtrain.encoders.base import Encoder
from simtrain.losses.start_regularisation import weight_distance


class StartRegulariser:
    """The initial encoder as a frozen reference, which is in no checkpoint.

    Args:
        start: The run's encoder with its initial weights; it is copied.
        distillation: Factor of the loss on the distance to the initial embeddings; 0: none.
        weight_distance: Factor of the loss on the distance to the initial weights; 0: none.
    """

    def __init__(self, start: Encoder, *, distillation: float, weight_distance: float) -> None:
        plain = start.merged()
        self._start = (copy.deepcopy(start) if plain is start else plain).requires_grad_(False).eval()
        self.distillation = distillation
        self.weight_distance = weight_distance

    def embed(self, pixels: Tensor, *, at_once: int | None) -> Tensor:
        """(n, S, S, 3) uint8 pixels -> (n, D) initial embeddings, not of unit length, in the run's precision."""
        self._go_to(pixels.device)
        normalise = self._start.preprocessing.normalise
        with torch.no_grad():
            return torch.cat([self._start(normalise(part)) for part in torch.split(pixels, at_once or len(pixels))])

    def distance(self, encoder: Encoder, *, frozen: Collection[str]) -> Tensor:
        """Mean squared distance of the weights that learn from their initial values; a scalar.

        New layers are not looked at, which started anywhere, nor low-rank factors: the weights beside them stay as they
        are. 0 where nothing else learns.

        Args:
            encoder: The run's encoder in training.
            frozen: Names of its parameters that never learn; not those without gradient now, which head-only epochs
                change.
        """
        before = dict(self._start.named_parameters())
        new = {id(parameter) for parameter in encoder.new_parameters()}
        learning = [
            (name, value)
            for name, value in encoder.named_parameters()
            if name in before and name not in frozen and id(value) not in new
        ]
        if not learning:
            return torch.zeros((), device=next(encoder.parameters()).device)
        self._go_to(learning[0][1].device)
        return weight_distance([value for _, value in learning], [before[name] for name, _ in learning])

    def _go_to(self, device: torch.device) -> None:
        if next(self._start.parameters()).device != device:
            self._start.to(device)

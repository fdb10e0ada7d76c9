"""Regularisation towards the initial weights: embedding distillation and weight distance (L2-SP)."""

# Shapes: N embeddings, D features.

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from simtrain.losses.tiles import unit_rows


def distillation_loss(embeddings: Tensor, reference: Tensor) -> Tensor:
    """Mean of 1 - cosine similarity with the embeddings of the initial encoder.

    Args:
        embeddings: (N, D) embeddings; need not be of unit length.
        reference: (N, D) embeddings of the same images by the initial encoder; without gradient.

    Returns:
        Scalar in 0..2.

    Raises:
        ValueError: for sizes that differ, or no rows.
    """
    if embeddings.shape != reference.shape or embeddings.ndim != 2 or len(embeddings) == 0:
        raise ValueError(
            f"embeddings: got {tuple(embeddings.shape)} and a reference of {tuple(reference.shape)}; "
            "must be the same (rows, features)"
        )
    with torch.autocast(embeddings.device.type, enabled=False):
        # Half the squared distance of unit vectors is 1 - cosine, and exact near 0, where training starts: there the
        # other form has only rounding for a gradient, which Adam would take for a direction.
        return (unit_rows(embeddings) - unit_rows(reference.detach())).square().sum(dim=1).mean() / 2


def weight_distance(parameters: Sequence[Tensor], start: Sequence[Tensor]) -> Tensor:
    """Mean squared distance of weights from their initial values (L2-SP, https://arxiv.org/abs/1802.01483).

    The mean is over all numbers, so a large tensor counts for more than a small one. Weights that all moved by 1e-4
    give 1e-8: the loss needs a large factor.

    Args:
        parameters: Weights, tensors of any shapes.
        start: Initial values of the same weights, on the same devices; without gradient.

    Returns:
        Scalar; 0 or more.

    Raises:
        ValueError: if there are none, or other numbers or shapes of them.
    """
    shapes, start_shapes = ([tuple(tensor.shape) for tensor in side] for side in (parameters, start))
    if not parameters or len(shapes) != len(start_shapes):
        raise ValueError(
            f"parameters: got {len(shapes)}, and {len(start_shapes)} at the start; must be as many, and 1 or more"
        )
    for place, (shape, start_shape) in enumerate(zip(shapes, start_shapes, strict=True)):
        if shape != start_shape:
            raise ValueError(f"parameters: number {place} has shape {shape}, but at the start {start_shape}")
    with torch.autocast(parameters[0].device.type, enabled=False):
        # Unlike a difference that is squared, this keeps no third copy of the weights for the backward pass.
        sums = [
            F.mse_loss(now.float(), before.detach().float(), reduction="sum")
            for now, before in zip(parameters, start, strict=True)
        ]
        return torch.stack(sums).sum() / sum(tensor.numel() for tensor in parameters)

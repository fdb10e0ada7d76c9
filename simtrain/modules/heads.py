"""Projection head between the embedding and the loss."""

# Shapes: N embeddings, D features in, O out.

from torch import nn


def projection_head(*, input_size: int, hidden_size: int, output_size: int) -> nn.Sequential:
    """SimCLR's two-layer perceptron, (N, D) -> (N, O) (https://arxiv.org/abs/2002.05709, section 2.1)."""
    return nn.Sequential(nn.Linear(input_size, hidden_size), nn.ReLU(inplace=True), nn.Linear(hidden_size, output_size))

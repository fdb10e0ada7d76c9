"""Projection heads."""

import pytest
import torch

from simtrain.modules.heads import projection_head

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:Total length of `list` across ranks is zero"),
]


def test_a_projection_head_is_two_layers_with_a_rectifier() -> None:
    made = projection_head(input_size=5, hidden_size=7, output_size=3)
    values = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    first, second = made[0], made[2]
    expected = (values @ first.weight.T + first.bias).clamp(min=0) @ second.weight.T + second.bias
    assert (first.weight.shape, second.weight.shape) == ((7, 5), (3, 7))
    torch.testing.assert_close(made(values), expected)

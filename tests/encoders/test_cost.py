"""What a network computes, against counts by hand."""

import pytest
import torch
from tiny_training import TinyEncoder
from torch import Tensor, nn
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import PixelsEncoder
from simtrain.encoders.cost import forward_cost
from simtrain.encoders.preprocessing import Preprocessing


class Layers(Encoder):
    """Some layers, and the mean of what they give."""

    def __init__(self, layers: nn.Module, *, features: int, tokens: bool = False) -> None:
        preprocessing = Preprocessing(
            image_size=8, resize="pad", mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bilinear", flip_averaging=False
        )
        super().__init__(preprocessing=preprocessing, feature_size=features, embedding_size=None)
        self.layers = layers
        self._tokens = tokens

    @override
    def features(self, images: Tensor) -> Tensor:
        if self._tokens:  # (N, 3, 8, 8) -> (N, 64, 12)
            return self.layers(images.flatten(2).transpose(1, 2).repeat(1, 1, 4)).mean(dim=1)
        return self.layers(images).mean(dim=(2, 3))


def test_a_convolution_is_counted_by_its_channels_and_places() -> None:
    cost = forward_cost(Layers(nn.Conv2d(3, 10, kernel_size=3, padding=1), features=10), image_size=8)
    assert cost.operations == 2 * 8 * 8 * 10 * 3 * 3 * 3
    assert cost.outputs == 8 * 8 * 10
    assert cost.operations_per_output == 2 * 3 * 3 * 3


def test_a_depthwise_convolution_computes_little_for_each_number() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, kernel_size=3, padding=1, groups=16))
    cost = forward_cost(Layers(layers, features=16), image_size=8)
    assert cost.operations == 2 * 8 * 8 * 16 * 3 + 2 * 8 * 8 * 16 * 9
    assert cost.outputs == 2 * 8 * 8 * 16


def test_it_grows_with_the_size() -> None:
    small, large = (forward_cost(TinyEncoder(), image_size=size) for size in (16, 32))
    assert small.operations == 2 * (8 * 8 * 27 * 8 + 4 * 4 * 72 * 12)
    assert large.operations == 4 * small.operations


def test_attention_is_counted_as_without_torch_s_fused_layers() -> None:
    layer = nn.TransformerEncoderLayer(12, 2, dim_feedforward=24, batch_first=True)
    cost = forward_cost(Layers(layer, features=12, tokens=True), image_size=8)
    maps = 2 * 64 * (12 * 36 + 12 * 12 + 12 * 24 + 24 * 12)  # queries, keys and values; their mix; the two of the MLP
    attention = 2 * 2 * 64 * 64 * 12
    assert cost.operations == maps + attention
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_network_without_weights_costs_nothing() -> None:
    cost = forward_cost(PixelsEncoder(image_size=8, resize="pad"), image_size=8)
    assert (cost.operations, cost.outputs, cost.operations_per_output) == (0, 0, 0)


@pytest.mark.parametrize("training", [True, False])
def test_it_leaves_mode_statistics_gradients_and_random_numbers(training: bool) -> None:
    encoder = TinyEncoder(dropout=0.5).train(training)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    numbers = torch.get_rng_state()
    forward_cost(encoder, image_size=16)
    assert encoder.training == training
    assert torch.equal(torch.get_rng_state(), numbers)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(weight.grad is None for weight in encoder.parameters())

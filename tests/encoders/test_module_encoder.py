"""Any `nn.Module` as an encoder."""

import pytest
import torch
from tiny_training import PREPROCESSING
from torch import nn

from simtrain.encoders.module_encoder import ModuleEncoder
from simtrain.errors import ConfigError


class Means(nn.Module):
    """Mean of each channel, through a BatchNorm that a trial must not move."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(images.mean(dim=(2, 3)))


def test_its_embeddings_are_the_networks_of_unit_length():
    encoder = ModuleEncoder(network=Means(), preprocessing=PREPROCESSING, embedding_size=None).eval()
    pixels = torch.randint(0, 256, (5, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    plain = (pixels.float() / 255 - 0.5) / 0.5
    expected = plain.mean(dim=(1, 2)) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(encoder.embed_pixels(pixels), expected / expected.norm(dim=1, keepdim=True))
    assert encoder.embedding_size == 3


def test_the_trial_leaves_mode_and_statistics_as_they_were():
    network = Means().train()
    ModuleEncoder(network=network, preprocessing=PREPROCESSING, embedding_size=None)
    assert network.training
    assert int(network.norm.num_batches_tracked) == 0


def test_a_network_that_gives_no_vectors_is_refused():
    with pytest.raises(ConfigError, match=r"network: \(2, 3, 16, 16\) images gave \(2, 3, 16, 16\); allowed: \(2, D\)"):
        ModuleEncoder(network=nn.Identity(), preprocessing=PREPROCESSING, embedding_size=None)

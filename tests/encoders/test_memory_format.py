"""Which networks channels-last memory would corrupt, and that their images and weights are in plain memory."""

import pytest
import torch
from torch import Tensor, nn

from simtrain.encoders.memory_format import for_plain_memory, in_fast_memory, memory_for_embedding, needs_plain_memory
from simtrain.encoders.module_encoder import ModuleEncoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.timm import TimmEncoder, timm_network, timm_preprocessing


@pytest.mark.parametrize(
    ("layer", "plain"),
    [
        (nn.Conv2d(3, 48, 1, 2), True),
        (nn.Conv2d(8, 8, 1, (1, 2)), True),
        (nn.Conv2d(9, 8, 1, 2), False),
        (nn.Conv2d(3, 48, 1), False),
        (nn.Conv2d(3, 48, 3, 2), False),
        (nn.Linear(3, 3), False),
    ],
)
def test_layers_that_need_plain_memory(layer: nn.Module, plain: bool) -> None:
    assert needs_plain_memory(nn.Sequential(nn.Identity(), layer)) is plain


def seen_by(encoder: nn.Module, layer: nn.Conv2d) -> list[bool]:
    """Whether each input of a layer lies channels last."""
    seen: list[bool] = []
    layer.register_forward_pre_hook(
        lambda _, arguments: seen.append(arguments[0].is_contiguous(memory_format=torch.channels_last))
    )
    encoder.embed_pixels(torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8))
    return seen


@pytest.mark.parametrize(("model", "plain"), [("repvgg_a0", True), ("mobileone_s0", True), ("resnet10t", False)])
def test_networks_of_timm(model: str, plain: bool) -> None:
    network = timm_network(model, from_hub=False, image_size=64, evaluation_image_size=None)
    assert needs_plain_memory(network) is plain
    preprocessing = timm_preprocessing(network, image_size=64, resize="pad")
    encoder = TimmEncoder(network=network, embedding_size=None, preprocessing=preprocessing).eval()
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.in_channels == 3]
    assert seen_by(encoder, layers[0]) == [not plain]


def test_module_of_ones_own_is_given_plain_images() -> None:
    layer = nn.Conv2d(3, 8, 1, 2)
    network = nn.Sequential(layer, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    preprocessing = Preprocessing(
        image_size=64,
        resize="pad",
        interpolation="bilinear",
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        flip_averaging=False,
    )
    encoder = ModuleEncoder(network=network, embedding_size=None, preprocessing=preprocessing).eval()
    assert seen_by(encoder, layer) == [False]


def test_images_stay_equal() -> None:
    images: Tensor = torch.rand(2, 4, 4, 3).permute(0, 3, 1, 2)
    assert torch.equal(for_plain_memory(images), images)
    assert for_plain_memory(images).is_contiguous()


def test_layers_in_three_dimensions_are_left_alone() -> None:
    assert in_fast_memory(nn.Conv3d(3, 3, 3)).weight.is_contiguous()


@pytest.mark.parametrize(
    ("device", "halves", "within"), [("cuda", False, False), ("cuda", True, True), ("cpu", False, True)]
)
def test_float32_on_a_gpu_is_embedded_in_plain_memory(device: str, halves: bool, within: bool) -> None:
    network = in_fast_memory(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)))

    def fast() -> bool:
        return network[2].weight.is_contiguous(memory_format=torch.channels_last)

    with memory_for_embedding(network, device=torch.device(device), halves=halves):
        assert fast() == within
    assert fast()


def test_a_network_in_plain_memory_stays_there() -> None:
    network = nn.Conv2d(16, 4, 3)
    with memory_for_embedding(network, device=torch.device("cuda"), halves=False):
        pass
    assert network.weight.is_contiguous()

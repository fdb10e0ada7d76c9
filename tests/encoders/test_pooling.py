"""GeM against a loop, and the networks that a way of pooling has a place in."""

# Shapes: N images, C channels, H × W places.

import math

import pytest
import torch
from torch import Tensor, nn

from simtrain.encoders.pooling import GEM_POWER, GeneralisedMeanPooling
from simtrain.encoders.resnet import pool_resnet, resnet_network
from simtrain.encoders.timm import pool_timm, timm_network
from simtrain.errors import ConfigError


def looped(maps: Tensor, *, power: float) -> Tensor:
    """Equation 3 of the paper, channel by channel."""
    means = [
        [(sum(max(float(value), 1e-6) ** power for value in channel.flatten()) / channel.numel()) ** (1 / power)
         for channel in image]
        for image in maps
    ]  # fmt: skip
    return torch.tensor(means)


@pytest.mark.parametrize("power", [1.0, 3.0, 4.5])
def test_equals_the_formula(power: float):
    maps = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    found = GeneralisedMeanPooling(power=power, flatten=True)(maps)
    torch.testing.assert_close(found, looped(maps, power=power), rtol=1e-5, atol=1e-6)


def test_lies_between_the_mean_and_the_maximum():
    maps = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    pooled = GeneralisedMeanPooling(power=3.0, flatten=True)(maps)
    assert bool((pooled > maps.mean(dim=(2, 3))).all())
    assert bool((pooled < maps.amax(dim=(2, 3))).all())


@pytest.mark.parametrize("flatten", [True, False])
def test_shape_and_precision_are_kept(flatten: bool):
    pooled = GeneralisedMeanPooling(power=3.0, flatten=flatten)(torch.ones(2, 3, 4, 4, dtype=torch.bfloat16))
    assert (pooled.dtype, tuple(pooled.shape)) == (torch.bfloat16, (2, 3) if flatten else (2, 3, 1, 1))


def test_gradients_are_finite_where_nothing_is_positive():
    maps = torch.tensor([[[[-1.0, 0.0]], [[2.0, 1e-8]]]], requires_grad=True)
    GeneralisedMeanPooling(power=3.0, flatten=True)(maps).sum().backward()
    assert maps.grad is not None
    assert bool(torch.isfinite(maps.grad).all())
    expected = (4 / (8 / 2) ** (2 / 3)) / 2  # of ((x^3 + 0) / 2)^(1/3) at 2: x^2 / mean^(2/3) / places
    assert math.isclose(float(maps.grad[0, 1, 0, 0]), expected, rel_tol=1e-5)


def test_power_that_is_none():
    with pytest.raises(ValueError, match="power is 0; allowed: above 0"):
        GeneralisedMeanPooling(power=0, flatten=True)


def last_map(network: nn.Module, images: Tensor, *, pool: str) -> Tensor:
    """What the network's pooling is given."""
    seen: list[Tensor] = []
    watch = network.get_submodule(pool).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network(images)
    watch.remove()
    return seen[0]


@pytest.mark.parametrize(
    ("model", "pool"),
    [("test_efficientnet", "global_pool"), ("resnet10t", "global_pool"), ("test_byobnet", "head.global_pool")],
)
@torch.inference_mode()
def test_timm_s_networks_are_pooled_by_it(model: str, pool: str):
    torch.manual_seed(0)
    network = timm_network(model, from_hub=False, image_size=None, evaluation_image_size=None).eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    before, maps = network(images), last_map(network, images, pool=pool)
    names = set(network.state_dict())
    pool_timm(network, "avg", model=model)
    assert torch.equal(network(images), before)
    pool_timm(network, "gem", model=model)
    torch.testing.assert_close(network(images), looped(maps, power=3.0), rtol=1e-4, atol=1e-5)
    assert set(network.state_dict()) == names


@pytest.mark.parametrize("model", ["test_convnext", "mobilenetv3_small_050", "vgg11", "tresnet_m"])
def test_networks_with_layers_behind_their_pooling_keep_the_length_of_features(model: str):
    with torch.device("meta"):
        network = timm_network(model, from_hub=False, image_size=None, evaluation_image_size=None).eval()
        before = network(torch.empty(2, 3, 64, 64)).shape
        pool_timm(network, "gem", model=model)
        assert network(torch.empty(2, 3, 64, 64)).shape == before
    assert sum(isinstance(part, GeneralisedMeanPooling) for part in network.modules()) == 1


@pytest.mark.parametrize("pooling", ["avg", "gem"])
@pytest.mark.parametrize("model", ["test_vit", "swin_tiny_patch4_window7_224", "mixer_s32_224"])
def test_networks_without_a_feature_map_are_refused(model: str, pooling: str):
    with torch.device("meta"):
        network = timm_network(model, from_hub=False, image_size=None, evaluation_image_size=None)
    with pytest.raises(ConfigError) as caught:
        pool_timm(network, pooling, model=model)  # type: ignore[arg-type]  # of a parameter
    assert str(caught.value) == (
        f"pooling: {model} pools no feature map as convolutional networks do, so '{pooling}' has no place in it; "
        "allowed: default"
    )


@torch.inference_mode()
def test_torchvision_s_resnets_are_pooled_by_it():
    torch.manual_seed(0)
    network, _ = resnet_network("resnet18", weights=None)
    network.eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    before, maps = network(images), last_map(network, images, pool="avgpool")
    pool_resnet(network, "avg")
    assert torch.equal(network(images), before)
    pool_resnet(network, "gem")
    torch.testing.assert_close(network(images), looped(maps, power=GEM_POWER), rtol=1e-4, atol=1e-5)

"""Networks with folded norms against themselves: values, gradients, and what has to be left as it is."""

import copy
import gc
import weakref
from typing import cast

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from simtrain.encoders import folded_norms
from simtrain.encoders.folded_norms import FoldedConvolution, apply_folded

Result = tuple[Tensor, list[Tensor | None], list[Tensor]]


def network_of(name: str) -> nn.Module:
    """In float64, with statistics and weights of norms that differ from channel to channel."""
    torch.manual_seed(0)
    if name == "torchvision":
        network: nn.Module = torchvision.models.resnet18()
        network.fc = nn.Identity()
    else:
        network = timm.create_model(name, num_classes=0)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            cast(Tensor, layer.running_mean).normal_(0, 0.1)
            cast(Tensor, layer.running_var).uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.1)
    return network.double()


def with_norms(network: nn.Module, *, training: bool, held: bool) -> nn.Module:
    network.train(training)
    for layer in network.modules():
        if held and isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    return network


def result(network: nn.Module, *, folded: bool) -> Result:
    """Features, gradients of every parameter, and the statistics afterwards, of the same network and random numbers."""
    network = copy.deepcopy(network)
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(2)
    features = apply_folded(network, images) if folded else network(images)
    (features * torch.linspace(0, 1, features.numel()).reshape(features.shape)).mean().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    return features.detach(), gradients, [buffer.double() for buffer in network.buffers()]


def folds(network: nn.Module) -> int:
    """How many convolutions are folded when a network is applied."""
    apply_folded(network, torch.zeros(1, 3, 64, 64, dtype=torch.float64))
    graph = folded_norms._folded[network][1]
    return 0 if graph is None else sum(isinstance(part, FoldedConvolution) for part in graph.modules())


@pytest.mark.parametrize(("training", "held"), [(False, True), (True, True), (True, False)])
@pytest.mark.parametrize(
    "name",
    ["torchvision", "test_efficientnet", "test_resnet", "tf_efficientnet_lite0", "mobilenetv3_small_050", "repvgg_a0"],
)
def test_values_and_gradients_are_those_of_the_network(name: str, training: bool, held: bool) -> None:
    network = with_norms(network_of(name), training=training, held=held)
    torch.testing.assert_close(result(network, folded=True), result(network, folded=False), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("name", "expected"), [("torchvision", 20), ("tf_efficientnet_lite0", 49)])
def test_every_norm_behind_a_convolution_is_folded(name: str, expected: int) -> None:
    network = network_of(name).eval()
    assert folds(network) == expected == sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())


def test_a_norm_before_its_convolution_stays() -> None:
    network = timm.create_model("densenet121", num_classes=0).double().eval()
    assert 0 < folds(network) < sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())


def test_a_convolution_with_a_bias_and_a_norm_without_weights() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4, affine=False, eps=0.5)
    norm.running_mean, norm.running_var = torch.randn(4), torch.rand(4) + 0.5
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), norm).double().eval()
    images = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(apply_folded(layers, images), layers(images), rtol=1e-12, atol=1e-12)
    assert folds(layers) == 1


class TwoReaders(nn.Module):
    """A convolution whose map is read before its norm too."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        cast(Tensor, self.norm.running_var).fill_(4.0)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.convolution(images)
        return cast(Tensor, maps + self.norm(maps))


class AsksItsImages(TwoReaders):
    """A network that is no fixed graph."""

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.norm(self.convolution(images))) if images.sum() > 0 else images


@pytest.mark.parametrize("network", [TwoReaders(), AsksItsImages(), nn.Conv2d(3, 3, 1)])
def test_what_cannot_be_folded_is_called_as_it_is(network: nn.Module) -> None:
    network = network.double().eval()
    images = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    assert folds(network) == 0
    torch.testing.assert_close(apply_folded(network, images), network(images), rtol=0, atol=0)


def test_hooks_are_called_and_see_what_they_would() -> None:
    network = network_of("test_resnet").eval()
    images = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    expected, seen = network(images), []
    apply_folded(network, images)
    norm = next(part for part in network.modules() if isinstance(part, nn.BatchNorm2d))
    hook = norm.register_forward_hook(lambda _, maps, found: seen.append((maps[0], found.clone())))
    assert torch.equal(apply_folded(network, images), expected)
    hook.remove()
    apply_folded(network, images)
    [(maps, found)] = seen
    assert torch.equal(norm(maps), found)


class Shifted(nn.Module):
    """A part with layers of its own and a buffer beside them."""

    by: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.register_buffer("by", torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.layer(images)) + self.by


def test_changed_weights_layers_and_modes_are_seen() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5)).double().eval()
    images = torch.randn(2, 3, 5, 5, dtype=torch.float64)

    def agrees() -> bool:
        torch.manual_seed(0)
        folded = apply_folded(network, images)
        torch.manual_seed(0)
        return torch.allclose(folded, network(images), rtol=1e-12, atol=1e-12)

    assert agrees()
    with torch.no_grad():
        cast(nn.Conv2d, network[0]).weight.mul_(3)
        cast(Tensor, network[1].running_mean).add_(1)
    assert agrees()
    network[1] = nn.BatchNorm2d(4, eps=2.0).double().eval()
    assert agrees()
    network[2].train()
    assert agrees()
    network[2] = Shifted().double()
    assert agrees()
    network[2].by = torch.full((1,), 3.0, dtype=torch.float64)
    assert agrees()
    network.set_submodule("2", nn.Hardswish())
    assert agrees()


def test_nothing_is_left_of_a_network_that_is_gone() -> None:
    network = network_of("test_resnet").eval()
    folds(network)
    gone = weakref.ref(network)
    del network
    gc.collect()
    assert gone() is None

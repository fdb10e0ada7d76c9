"""torchvision's ResNets: sizes, weights by name and by file, and torchvision's own pooled features."""

# Shapes: N images, S = image_size, F features, D dimensions of the embedding.

import math
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import Tensor, nn

from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.resnet import ResNetEncoder, resnet_network, resnet_preprocessing
from simtrain.encoders.weights import load_weights
from simtrain.errors import CheckpointError, ConfigError

SIZE = 32


def torchvision_resnet18(*, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = torchvision.models.resnet18(weights=None).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
    return network


def images() -> Tensor:
    return torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def pooled_by_torchvision(network: nn.Module) -> Tensor:
    """What torchvision's classifier is given."""
    caught: list[Tensor] = []
    network.fc.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    with torch.no_grad():
        network(images())
    return caught[0]


def encoder(*, embedding_size: int | None = None) -> ResNetEncoder:
    network, feature_size = resnet_network("resnet18", weights=None)
    return ResNetEncoder(
        network=network,
        feature_size=feature_size,
        embedding_size=embedding_size,
        preprocessing=resnet_preprocessing(image_size=SIZE, resize="pad"),
    ).eval()


@pytest.mark.parametrize(
    ("model", "size"),
    [("resnet18", 512), ("resnet34", 512), ("resnet50", 2048), ("wide_resnet50_2", 2048), ("resnet50x2", 4096)],
)
def test_feature_size_is_the_length_of_the_features(model: str, size: int):
    with torch.device("meta"):  # shapes without arithmetic
        network, feature_size = resnet_network(model, weights=None)
        features = network(torch.empty(2, 3, SIZE, SIZE))
    assert (feature_size, tuple(features.shape)) == (size, (2, size))


def test_unknown_model_lists_those_there_are():
    with pytest.raises(ConfigError) as caught:
        resnet_network("resnet51", weights=None)
    assert str(caught.value) == (
        "model: torchvision has no 'resnet51'; allowed: resnet101, resnet152, resnet18, resnet34, resnet50, "
        "resnext101_32x8d, resnext101_64x4d, resnext50_32x4d, wide_resnet101_2, wide_resnet50_2, "
        "or resnet50x2 to resnet50x8, resnet101x2 to resnet101x8, resnet152x2 to resnet152x8"
    )


@pytest.mark.parametrize("model", ["resnet50_2x", "resnet50x9", "resnet18x2"])
def test_networks_of_no_known_width_are_told_as_unknown(model: str):
    with pytest.raises(ConfigError, match=f"^model: torchvision has no '{model}'; allowed: "):
        resnet_network(model, weights=None)


def test_torchvision_has_no_weights_of_widened_networks():
    with pytest.raises(ConfigError) as caught:
        resnet_network("resnet50x2", weights="DEFAULT")
    assert str(caught.value) == "weights: torchvision has no 'DEFAULT' of resnet50x2; allowed: a file, none"


@pytest.mark.parametrize(
    ("model", "names"), [("resnet18", "IMAGENET1K_V1"), ("resnet50", "IMAGENET1K_V1, IMAGENET1K_V2")]
)
def test_unknown_weights_list_those_there_are(model: str, names: str):
    with pytest.raises(ConfigError) as caught:
        resnet_network(model, weights="IMAGENET1K_V3")
    assert str(caught.value) == (
        f"weights: 'IMAGENET1K_V3' is neither a file nor torchvision weights of {model}; "
        f"allowed: {names}, DEFAULT, none"
    )


@pytest.mark.parametrize("weights", ["IMAGENET1K_V1", "DEFAULT"])
def test_named_weights_are_torchvision_s(monkeypatch: pytest.MonkeyPatch, weights: str):
    source = torchvision_resnet18(seed=5)
    asked: list[str] = []

    def download(url: str, *_: Any, **__: Any) -> dict[str, Tensor]:
        asked.append(url)
        return source.state_dict()

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    network, _ = resnet_network("resnet18", weights=weights)
    assert asked == [torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url]
    assert isinstance(network.fc, nn.Identity)
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in network.state_dict().items())


def test_failed_download_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch):
    def download(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    with pytest.raises(CheckpointError) as caught:
        resnet_network("resnet18", weights="IMAGENET1K_V1")
    assert str(caught.value) == (
        "weights: IMAGENET1K_V1 of resnet18 could not be downloaded (<urlopen error no network>); "
        "give a local file instead"
    )


def test_weights_of_a_torchvision_file_give_torchvision_s_features(tmp_path: Path):
    source = torchvision_resnet18(seed=5)
    torch.save(source.state_dict(), tmp_path / "resnet18.pth")
    network, _ = resnet_network("resnet18", weights=None)
    load_weights(network, tmp_path / "resnet18.pth", match="name")
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(images()), pooled_by_torchvision(source))


def test_deeper_resnet_s_file_is_refused(tmp_path: Path):
    """Every tensor of a ResNet-18 is in a ResNet-34's file, in its shape."""
    with torch.device("meta"):
        deeper = torchvision.models.resnet34(weights=None)
    tensors = {name: torch.zeros(value.shape, dtype=value.dtype) for name, value in deeper.state_dict().items()}
    torch.save(tensors, tmp_path / "resnet34.pth")
    network, _ = resnet_network("resnet18", weights=None)
    missing = 8 * 2 * 6  # 16 blocks instead of 8, each with two convolutions and their normalisations of 5 tensors
    with pytest.raises(CheckpointError) as caught:
        load_weights(network, tmp_path / "resnet34.pth", match="name")
    assert str(caught.value) == (
        f"{tmp_path / 'resnet34.pth'}: of a deeper network: the network has no place for {missing} tensors, "
        "such as 'layer1.2.bn1.bias'"
    )


@pytest.mark.parametrize(("asked", "expected"), [(None, 224), (96, 96)])
def test_preprocessing_is_torchvision_s(asked: int | None, expected: int):
    presets = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    assert resnet_preprocessing(image_size=asked, resize="crop") == Preprocessing(
        image_size=expected,
        resize="crop",
        interpolation=presets.interpolation.value,
        mean=tuple(presets.mean),
        std=tuple(presets.std),
        flip_averaging=False,
    )


@pytest.fixture(scope="module")
def network() -> ResNetEncoder:
    return encoder()


def test_embeddings_are_the_features_at_unit_length(network: ResNetEncoder):
    with torch.no_grad():
        features, embeddings = network.features(images()), network.embed(images())
    assert (network.embedding_size, embeddings.dtype) == (512, torch.float32)
    for row, feature in zip(embeddings.tolist(), features.tolist(), strict=True):
        length = math.sqrt(sum(value**2 for value in feature))
        assert row == pytest.approx([value / length for value in feature], rel=1e-4, abs=1e-7)


def test_embeddings_are_float32_under_half_precision(network: ResNetEncoder):
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        embeddings = network.embed(images())
    assert embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3), rtol=1e-5, atol=1e-5)


def test_embedding_size_adds_an_orthogonal_reduction():
    reduced = encoder(embedding_size=40)
    (weight,) = reduced.new_parameters()
    assert reduced.embedding_size == 40
    torch.testing.assert_close(weight @ weight.T, torch.eye(40), rtol=0, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(reduced(images()), reduced.features(images()) @ weight.T)


def test_embedding_size_may_exceed_the_features():
    (weight,) = encoder(embedding_size=600).new_parameters()
    torch.testing.assert_close(weight.T @ weight, torch.eye(512), rtol=0, atol=1e-5)


def test_without_embedding_size_nothing_is_new(network: ResNetEncoder):
    assert network.new_parameters() == []


def test_embedding_images_can_be_learned_from_and_pixels_not(network: ResNetEncoder):
    pixels = torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8)
    trained, searched = network.embed(network.preprocessing.normalise(pixels)), network.embed_pixels(pixels)
    assert (trained.requires_grad, searched.requires_grad) == (True, False)
    torch.testing.assert_close(trained.detach(), searched)

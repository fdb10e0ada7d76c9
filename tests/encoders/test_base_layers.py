"""Layers of a network: which is which, computed twice, compiled; the answers stay those of the plain network."""

# Shapes: N images, S = 32.

import copy
from functools import partial
from typing import Any

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import PixelsEncoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.resnet import ResNetEncoder, resnet_network, resnet_preprocessing
from simtrain.encoders.timm import TimmEncoder, timm_network, timm_preprocessing
from simtrain.errors import ConfigError
from simtrain.training.freezing import hold_batch_norm
from simtrain.training.optim import OptimizerSettings, parameter_groups

SIZE = 32
PREPROCESSING = Preprocessing(
    image_size=SIZE,
    resize="pad",
    interpolation="bicubic",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    flip_averaging=False,
)


def resnet(*, embedding_size: int | None = None) -> ResNetEncoder:
    torch.manual_seed(0)
    network, feature_size = resnet_network("resnet18", weights=None)
    return ResNetEncoder(
        network=network,
        feature_size=feature_size,
        embedding_size=embedding_size,
        preprocessing=resnet_preprocessing(image_size=SIZE, resize="pad"),
    )


def vit(*, embedding_size: int | None = None, dropout: float = 0.0) -> TimmEncoder:
    torch.manual_seed(0)
    network = VisionTransformer(
        img_size=SIZE, patch_size=16, embed_dim=16, depth=3, num_heads=2, num_classes=0, proj_drop_rate=dropout
    )
    return TimmEncoder(network=network, embedding_size=embedding_size, preprocessing=PREPROCESSING)


def timm_encoder(model: str) -> TimmEncoder:
    torch.manual_seed(0)
    network = timm_network(model, from_hub=False, image_size=None, evaluation_image_size=None)
    preprocessing = timm_preprocessing(network, image_size=None, resize="pad")
    return TimmEncoder(network=network, embedding_size=None, preprocessing=preprocessing)


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def gradients(encoder: Encoder) -> dict[str, Tensor]:
    """Of a loss that makes every parameter matter, with the random numbers of seed 7."""
    hold_batch_norm(encoder.train())
    torch.manual_seed(7)
    encoder(images().to(next(encoder.parameters()).dtype)).sin().sum().backward()
    return {name: parameter.grad for name, parameter in encoder.named_parameters()}


def test_resnet_counts_its_residual_blocks():
    depths = resnet().depth_of()
    assert {name: depths[f"network.{name}.weight"] for name in ("conv1", "bn1")} == {"conv1": 0, "bn1": 0}
    assert depths["network.layer1.0.conv1.weight"] == 1
    assert depths["network.layer1.1.bn2.bias"] == 2
    assert depths["network.layer3.0.downsample.0.weight"] == 5
    assert depths["network.layer4.1.conv2.weight"] == 8
    assert set(depths) == {name for name, _ in resnet().named_parameters()}


def test_resnet_with_a_bottleneck_counts_blocks_and_not_convolutions():
    with torch.device("meta"):
        network, feature_size = resnet_network("resnet50", weights=None)
    encoder = ResNetEncoder(
        network=network, feature_size=feature_size, embedding_size=None, preprocessing=PREPROCESSING
    )
    assert max(encoder.depth_of().values()) == 3 + 4 + 6 + 3


def test_vit_counts_its_blocks():
    depths = {name.removeprefix("network."): depth for name, depth in vit().depth_of().items()}
    first = {name: depth for name, depth in depths.items() if not name.startswith("blocks.")}
    assert first == {
        "cls_token": 0,
        "pos_embed": 0,
        "patch_embed.proj.weight": 0,
        "patch_embed.proj.bias": 0,
        "norm.weight": 3,
        "norm.bias": 3,
    }
    assert [depths[f"blocks.{block}.attn.qkv.weight"] for block in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(("build", "above"), [(resnet, 9), (vit, 4)])
def test_new_layer_lies_above_all(build: Any, above: int):
    depths = build(embedding_size=8).depth_of()
    assert [name for name, depth in depths.items() if depth == above] == ["reduction.weight"]
    assert max(depths.values()) == above


@pytest.mark.parametrize("model", ["resnet18", "vit_tiny_patch16_224", "tf_efficientnet_lite0", "poolformer_s12"])
def test_rates_are_those_of_timm_s_layer_decay(model: str):
    """The last of them does not say how its layers follow each other."""
    with torch.device("meta"):
        encoder = timm_encoder(model)
    settings = OptimizerSettings(
        learning_rate=0.01, head_factor=1.0, weight_decay=0.0, betas=(0.9, 0.999), warmup_fraction=0.0, layer_decay=0.7
    )
    groups = parameter_groups(encoder, encoder=encoder, new=[], settings=settings)
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    expected = timm.optim.param_groups_layer_decay(encoder.network, layer_decay=0.7)
    scales = {id(parameter): group["lr_scale"] for group in expected for parameter in group["params"]}
    largest = max(scales.values())  # below 1 where timm keeps a layer for a classifier that is not there
    assert rates == {identity: pytest.approx(0.01 * scale / largest) for identity, scale in scales.items()}


@pytest.mark.parametrize(
    "build",
    [resnet, vit, partial(vit, dropout=0.5), partial(timm_encoder, "test_resnet")],
    ids=["resnet", "vit", "vit with dropout", "timm's resnet"],
)
def test_gradients_are_the_same_when_activations_are_computed_twice(build: Any):
    plain, twice = build().double(), build().double()  # in float32, folded norms alone round otherwise
    twice.checkpoint_activations()
    expected, found = gradients(plain), gradients(twice)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-9, msg=name)


@pytest.mark.parametrize("build", [resnet, vit])
def test_blocks_are_computed_twice(build: Any):
    """Once forwards, and once more on the way back, as a hook inside the first block counts."""
    encoder = build()
    encoder.checkpoint_activations()
    inside = next(part for name, part in encoder.named_modules() if name.endswith(("layer1.0.conv1", "blocks.0.norm1")))
    passes = []
    inside.register_forward_hook(lambda *_: passes.append(1))
    gradients(encoder)
    assert len(passes) == 2


@pytest.mark.parametrize("build", [resnet, vit])
def test_names_of_weights_stay_when_activations_are_computed_twice(build: Any):
    encoder = build()
    encoder.checkpoint_activations()
    assert list(encoder.state_dict()) == list(build().state_dict())


@pytest.mark.parametrize("build", [resnet, vit])
def test_embeddings_stay_when_activations_are_computed_twice(build: Any):
    encoder, plain = build().eval(), build().eval()
    encoder.checkpoint_activations()
    pixels = torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8)
    assert torch.equal(encoder.embed_pixels(pixels), plain.embed_pixels(pixels))


def test_copy_computes_twice_by_itself():
    original = resnet()
    original.checkpoint_activations()
    copied = copy.deepcopy(original)
    gradients(copied)
    assert all(parameter.grad is None for parameter in original.parameters())


def test_network_that_cannot_is_told():
    with torch.device("meta"):
        encoder = timm_encoder("inception_v3")
    with pytest.raises(ConfigError) as caught:
        encoder.checkpoint_activations()
    assert str(caught.value) == ("activation_checkpointing: inception_v3 has no blocks for it; set it to false")


def test_network_that_knows_nothing_of_it_is_told():
    with torch.device("meta"):
        encoder = TimmEncoder(network=_Unblocked(), embedding_size=None, preprocessing=PREPROCESSING)
    with pytest.raises(ConfigError) as caught:
        encoder.checkpoint_activations()
    assert str(caught.value) == "activation_checkpointing: _Unblocked has no blocks for it; set it to false"


def test_encoder_without_a_network_is_told():
    with pytest.raises(ConfigError) as caught:
        PixelsEncoder(image_size=8, resize="pad").checkpoint_activations()
    assert str(caught.value) == "activation_checkpointing: PixelsEncoder has no blocks for it; set it to false"


class _Unblocked(nn.Module):
    num_features = 4


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Graphs that torch has compiled; they are run as they are, which needs no compiler of C."""
    graphs: list[Any] = []

    def keep(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=keep))
    torch._dynamo.reset()
    return graphs


@pytest.mark.slow
def test_training_runs_compiled(compiled: list[Any]):
    encoder, plain = vit(), vit()
    encoder.compile_network()
    expected, found = gradients(plain), gradients(encoder)
    assert compiled
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-5, atol=1e-6, msg=name)


def test_pixels_are_embedded_without_compiled_code(compiled: list[Any]):
    encoder, plain = vit().eval(), vit().eval()
    encoder.compile_network()
    pixels = torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8)
    assert torch.equal(encoder.embed_pixels(pixels), plain.embed_pixels(pixels))
    assert compiled == []


@pytest.mark.slow
def test_embedding_pixels_does_not_end_compiled_training(compiled: list[Any]):
    encoder = vit()
    encoder.compile_network()
    encoder.eval().embed_pixels(torch.zeros(2, SIZE, SIZE, 3, dtype=torch.uint8))
    gradients(encoder)
    assert compiled


def test_names_of_weights_stay_when_compiled(compiled: list[Any]):
    encoder = vit()
    encoder.compile_network()
    assert list(encoder.state_dict()) == list(vit().state_dict())


def test_copy_of_a_compiled_network_is_not_compiled(compiled: list[Any]):
    encoder = vit()
    encoder.compile_network()
    gradients(copy.deepcopy(encoder))
    assert compiled == []

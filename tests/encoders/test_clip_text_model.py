"""Another text tower for an image-text model: what it answers, and what stays the model's own."""

# Shapes: S = 64 pixels, D = 48.

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tiny_clip import DIMENSIONS, SIZE, make_tiny_clip
from tiny_text import LONGEST, make_tiny_multilingual

from simtrain.builders.encoder import build_encoder
from simtrain.config import ClipConfig
from simtrain.encoders.clip import ClipEncoder
from simtrain.encoders.text import AlignedEncoder, LimitedTextEncoder, TextFolderEncoder
from simtrain.encoders.text_tower import open_text_tower
from simtrain.errors import CheckpointError, ConfigError

TEXTS = ["a red mug", "یک لیوان قرمز", "eine rote Tasse " * 20]

Build = Callable[..., ClipEncoder]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_multilingual(tmp_path_factory.mktemp("text"), size=DIMENSIONS)


@pytest.fixture
def build(clip_folder: Path, text_folder: Path) -> Build:
    def make(**settings: Any) -> ClipEncoder:
        values = {"kind": "clip", "model": str(clip_folder), "text_model": str(text_folder), **settings}
        encoder = build_encoder(ClipConfig.model_validate(values), load=True)
        assert isinstance(encoder, ClipEncoder)
        return encoder

    return make


def encode(folder: Path) -> np.ndarray:
    model = SentenceTransformer(str(folder), device="cpu")
    return model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)


def test_texts_are_those_of_the_other_model(build: Build, text_folder: Path):
    encoder = build()
    np.testing.assert_allclose(encoder.embed_texts(TEXTS).numpy(), encode(text_folder), atol=1e-6)
    features = encoder.text_features(encoder.tokenize(TEXTS))
    np.testing.assert_allclose(torch.nn.functional.normalize(features).numpy(), encode(text_folder), atol=1e-6)
    assert (encoder.longest_text, encoder.truncated(TEXTS)) == (LONGEST, [2])


def test_images_are_those_of_the_model(build: Build):
    images = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    assert torch.equal(build().eval().embed(images), build(text_model=None).eval().embed(images))


def test_it_keeps_the_contracts_of_texts(build: Build):
    encoder = build()
    assert isinstance(encoder, AlignedEncoder)
    assert isinstance(encoder, LimitedTextEncoder)
    assert isinstance(encoder, TextFolderEncoder)
    assert (encoder.trains_text, encoder.has_text_folder) == (False, True)
    assert not build(text_model=None).has_text_folder


def test_weights_are_those_of_the_model_alone(build: Build):
    alone = build(text_model=None)
    assert build().state_dict().keys() == alone.state_dict().keys()
    assert [name for name, _ in build().named_parameters()] == [name for name, _ in alone.named_parameters()]


@pytest.mark.parametrize("settings", [{}, {"lora": {"rank": 2}}])
def test_training_does_not_reach_the_other_model(build: Build, text_folder: Path, settings: dict[str, Any]):
    encoder = build(**settings)
    copied = copy.deepcopy(encoder).merged().train().requires_grad_(True).double().float()
    np.testing.assert_allclose(copied.embed_texts(TEXTS).numpy(), encode(text_folder), atol=1e-6)
    assert not copied.text_features(copied.tokenize(TEXTS)).requires_grad


def test_folders_are_written_apart(build: Build, clip_folder: Path, text_folder: Path, tmp_path: Path):
    encoder = build()
    encoder.save_folder(tmp_path / "model")
    encoder.save_text_folder(tmp_path / "text")
    np.testing.assert_allclose(encode(tmp_path / "text"), encode(text_folder), atol=1e-6)
    np.testing.assert_array_equal(encode(tmp_path / "model"), encode(clip_folder))


def test_model_that_reads_its_texts_has_no_other_to_write(build: Build, tmp_path: Path):
    with pytest.raises(ValueError, match=r"^the model reads its texts itself; there is no other text tower$"):
        build(text_model=None).save_text_folder(tmp_path / "text")


def test_other_dimensions_are_refused(build: Build, tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        build(text_model=str(make_tiny_multilingual(tmp_path, size=20)))
    assert str(caught.value) == (
        "text_model: its texts have 20 dimensions, the model's images 48; it takes one that was made for this model"
    )


def test_other_model_that_cannot_be_had_is_named(build: Build, tmp_path: Path):
    with pytest.raises(CheckpointError) as caught:
        build(text_model=str(tmp_path / "gone"))
    assert str(caught.value) == f"text_model: {tmp_path / 'gone'}: no such folder"


def test_it_cannot_learn(build: Build, text_folder: Path):
    encoder = build()
    with pytest.raises(ValueError, match=r"^train_text is True beside a text_tower, which stays as it is; "):
        ClipEncoder(
            model=encoder.network,
            preprocessing=encoder.preprocessing,
            train_text=True,
            text_tower=open_text_tower(str(text_folder)),
            freeze_patch_embedding=False,
        )

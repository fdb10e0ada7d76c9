"""Locked text models against plain sentence-transformers."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tiny_clip import make_tiny_clip
from tiny_text import LONGEST, WORD_SIZE, as_half, make_tiny_multilingual, make_tiny_text
from tokenizers import Tokenizer

from simtrain.encoders.text_tower import TextTower, open_text_tower

TEXTS = ["a photo of a red mug", "Women's SHOES, café 38", "", "a blue chair " * 60, "یک لیوان قرمز"]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_text(tmp_path_factory.mktemp("text"))


@pytest.fixture
def tower(folder: Path) -> TextTower:
    return open_text_tower(str(folder))


def encode(folder: Path, texts: list[str] = TEXTS) -> np.ndarray:
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    return model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def embed(tower: TextTower, texts: list[str] = TEXTS) -> np.ndarray:
    return tower.embed_texts(texts, size=tower.size, device=CPU).numpy()


def test_embeddings_are_those_of_sentence_transformers(tower: TextTower, folder: Path):
    np.testing.assert_allclose(embed(tower), encode(folder), atol=1e-6)


def test_embeddings_of_a_projected_model_are_those_of_sentence_transformers(tmp_path: Path):
    folder = make_tiny_multilingual(tmp_path, size=20)
    tower = open_text_tower(str(folder))
    assert tower.size == 20
    np.testing.assert_allclose(embed(tower), encode(folder), atol=1e-6)


def test_more_texts_than_pass_at_once(tower: TextTower, folder: Path):
    texts = [f"mug {number}" for number in range(150)]
    np.testing.assert_allclose(embed(tower, texts), encode(folder, texts), atol=1e-6)


def test_no_texts_give_no_rows(tower: TextTower):
    assert embed(tower, []).shape == (0, WORD_SIZE)
    assert tower.truncated([]) == []


def test_prompt_of_the_model_stands_before_each_text(folder: Path, tmp_path: Path):
    model = SentenceTransformer(str(folder), device="cpu", prompts={"item": "a photo of "}, default_prompt_name="item")
    model.save_pretrained(str(tmp_path / "prompted"))
    tower = open_text_tower(str(tmp_path / "prompted"))
    np.testing.assert_allclose(embed(tower, ["a mug"]), encode(tmp_path / "prompted", ["a mug"]), atol=1e-6)
    np.testing.assert_allclose(embed(tower, ["a mug"]), encode(folder, ["a photo of a mug"]), atol=1e-6)


def test_shortened_embeddings_are_those_of_sentence_transformers(folder: Path, tmp_path: Path):
    SentenceTransformer(str(folder), device="cpu", truncate_dim=8).save_pretrained(str(tmp_path / "short"))
    tower = open_text_tower(str(tmp_path / "short"))
    assert tower.size == 8
    np.testing.assert_allclose(embed(tower), encode(tmp_path / "short"), atol=1e-6)


def test_text_longer_than_the_model_reads_is_reported(tower: TextTower):
    words = LONGEST - 2  # beside start and end
    assert tower.truncated(["a " * words, "a " * (words + 1), "", "a mug"]) == [1]
    assert tower.longest_text == LONGEST


def test_model_without_a_limit_reads_all(folder: Path, tmp_path: Path):
    words = StaticEmbedding(Tokenizer.from_file(str(folder / "tokenizer.json")), embedding_dim=12)
    SentenceTransformer(modules=[words], device="cpu").save_pretrained(str(tmp_path / "static"))
    tower = open_text_tower(str(tmp_path / "static"))
    assert (tower.size, tower.truncated(["a mug " * 500])) == (12, [])
    np.testing.assert_allclose(embed(tower, ["a mug", "a chair"]), encode(tmp_path / "static", ["a mug", "a chair"]))


def test_tower_never_learns(tower: TextTower):
    features = tower.text_features(tower.tokenize(TEXTS, device=CPU))
    assert not features.requires_grad
    assert not any(weight.requires_grad for weight in tower._model.parameters())
    assert not any(part.training for part in tower._model.modules())


def test_precision_of_the_training_does_not_reach_it(tower: TextTower):
    expected = tower.text_features(tower.tokenize(TEXTS, device=CPU))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = tower.text_features(tower.tokenize(TEXTS, device=CPU))
    assert torch.equal(found, expected)


def test_weights_are_float32_whatever_is_on_disk(tmp_path: Path):
    folder = as_half(make_tiny_text(tmp_path))
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["dtype"] == "bfloat16"
    tower = open_text_tower(str(folder))
    assert {weight.dtype for weight in tower._model.parameters()} == {torch.float32}


def test_copies_are_one(tower: TextTower):
    assert copy.deepcopy({"encoder": tower})["encoder"] is tower
    assert copy.copy(tower) is tower


def test_what_inference_moves_can_be_moved_again(tower: TextTower):
    """On the way to a device that has no numbers, and so none to compare."""
    with torch.inference_mode():
        tower._go_to(torch.device("meta"))
    assert not any(weight.is_inference() for weight in tower._model.parameters())
    assert {weight.device.type for weight in tower._model.parameters()} == {"meta"}


def test_saved_folder_gives_the_same_vectors_everywhere(tower: TextTower, tmp_path: Path):
    tower.save_folder(tmp_path / "saved")
    np.testing.assert_array_equal(embed(open_text_tower(str(tmp_path / "saved"))), embed(tower))
    np.testing.assert_allclose(encode(tmp_path / "saved"), embed(tower), atol=1e-6)


def test_texts_of_an_image_text_model_will_do(tmp_path: Path):
    folder = make_tiny_clip(tmp_path / "clip")
    tower = open_text_tower(str(folder))
    np.testing.assert_allclose(embed(tower, TEXTS[:4]), encode(folder, TEXTS[:4]), atol=1e-6)

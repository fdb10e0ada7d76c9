"""Encoders by name, from memory and from folders, and what they embed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_clip import make_tiny_clip
from tiny_training import TinyEncoder
from torch import nn

from simtrain.console import SILENT
from simtrain.errors import ConfigError
from simtrain.runs.loaded_encoder import LoadedEncoder, load_encoder, sorted_sources

GENERATOR = np.random.default_rng(0)
PICTURES = [GENERATOR.integers(0, 256, (20, 24, 3), dtype=np.uint8) for _ in range(3)]


class ChannelMeans(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) + 5.0


def test_arrays_pil_images_and_files_have_one_embedding(tmp_path: Path):
    loaded = load_encoder("histogram_hsv")
    Image.fromarray(PICTURES[0]).save(tmp_path / "a.png")
    images = [PICTURES[0], Image.fromarray(PICTURES[0]), tmp_path / "a.png", str(tmp_path / "a.png")]
    embeddings = loaded.encode(images, console=SILENT)
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (4, loaded.embedding_size)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    assert (embeddings == embeddings[0]).all()


def test_one_image_alone_is_a_row():
    loaded = load_encoder("histogram_hsv")
    np.testing.assert_array_equal(
        loaded.encode(PICTURES[1], console=SILENT), loaded.encode([PICTURES[1]], console=SILENT)
    )


def test_batches_change_nothing():
    loaded = load_encoder(TinyEncoder())
    one, all_at_once = (loaded.encode(PICTURES, batch_size=size, console=SILENT) for size in (1, 3))
    np.testing.assert_allclose(one, all_at_once, atol=1e-6)


def test_a_module_of_ones_own_is_fed_normalised_squares():
    grey = np.full((8, 8, 3), 51, dtype=np.uint8)  # 0.2 of white
    loaded = load_encoder(ChannelMeans(), image_size=8, mean=(0.1, 0.2, 0.3), std=(0.5, 0.5, 0.5), name="means")
    raw = (0.2 - np.array([0.1, 0.2, 0.3])) / 0.5 + 5.0
    np.testing.assert_allclose(loaded.encode(grey, console=SILENT)[0], raw / np.linalg.norm(raw), atol=1e-5)
    assert str(loaded) == "means: 3 dimensions, images of 8 px (pad)"


def test_a_section_is_an_encoder():
    section = {"kind": "histogram", "space": "hsv"}
    one, other = load_encoder(section), load_encoder("histogram_hsv")
    np.testing.assert_array_equal(one.encode(PICTURES, console=SILENT), other.encode(PICTURES, console=SILENT))


def test_texts_are_embedded_where_the_encoder_reads_them(tmp_path: Path):
    loaded = load_encoder(f"clip:{make_tiny_clip(tmp_path / 'model')}")
    embeddings = loaded.encode_texts(["a chair", "a mug"])
    assert embeddings.shape == (2, loaded.embedding_size)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    assert str(loaded).endswith(", reads texts")


def test_texts_are_refused_where_it_does_not():
    with pytest.raises(
        ConfigError, match=r"^pixels: does not embed texts; load clip, or a bundle or run of an encoder"
    ):
        load_encoder("pixels").encode_texts(["a chair"])


def test_a_name_that_stands_for_nothing_names_the_nearest():
    with pytest.raises(ConfigError, match=r"histogram_hsv.*a bundle's folder, a run's name or folder$"):
        load_encoder("histogram_hvs")


def test_sources_are_sorted_by_what_they_come_from():
    own, renamed = load_encoder(ChannelMeans(), image_size=8), load_encoder("pixels", name="plain")
    found = sorted_sources(["resnet50", load_encoder("pixels"), own, renamed])
    assert found.names == ["resnet50", "pixels"]
    assert [loaded.name for loaded in found.loaded] == ["ChannelMeans", "plain"]
    assert found.runs == []


def test_a_loaded_encoder_is_itself():
    loaded = load_encoder("pixels")
    assert isinstance(loaded, LoadedEncoder)
    assert load_encoder(loaded) is loaded


def test_a_file_with_nothing_but_an_encoder_is_enough(tmp_path: Path) -> None:
    (tmp_path / "colours.yaml").write_text("encoder: {kind: histogram, bins: 4}\n")
    assert load_encoder(tmp_path / "colours.yaml").embedding_size == 4**3

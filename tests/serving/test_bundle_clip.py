"""A bundle of an image-text model: what plain sentence-transformers makes of it, search by text, and its refusals."""

# Shapes: N = 10 items, D = 48.

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from network_bundle import network_content
from numpy.typing import NDArray
from PIL import Image
from sentence_transformers import SentenceTransformer
from tiny_clip import CONTEXT, make_tiny_clip

from simtrain.builders.encoder import build_encoder
from simtrain.builders.saved_encoder import encoder_without_weights
from simtrain.config import ClipConfig
from simtrain.encoders.clip import ClipEncoder
from simtrain.errors import BundleError
from simtrain.serving import golden
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_writer import BundleContent, write_bundle
from simtrain.serving.onnx_export import ONNX
from simtrain.serving.searcher import Searcher
from simtrain.serving.torch_query_encoder import TorchQueryEncoder
from simtrain.serving.verification import verify_bundle

COUNT = 10


@dataclass(frozen=True)
class ClipShop:
    content: BundleContent
    pictures: list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def clip_shop(tmp_path_factory: pytest.TempPathFactory) -> ClipShop:
    """The model's own folder is gone by the time that its bundle is made."""
    folder = make_tiny_clip(tmp_path_factory.mktemp("models") / "clip")
    config = ClipConfig(kind="clip", model=str(folder))
    encoder = build_encoder(config, load=True).eval()
    shutil.rmtree(folder)
    generator = np.random.default_rng(2)
    pictures = []
    for number in range(COUNT):
        blobs = Image.fromarray(generator.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        pictures.append(np.asarray(blobs.resize((80 + 10 * number, 100), Image.Resampling.BICUBIC)))
    pixels = [encoder.preprocessing.pixels(picture) for picture in pictures]
    content = network_content(encoder, config.model_dump(mode="json"), pixels, root=folder.parent)
    return ClipShop(content=content, pictures=pictures)


@pytest.fixture(scope="module")
def whole(clip_shop: ClipShop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(clip_shop.content, tmp_path_factory.mktemp("bundles") / "bundle", formats=())


@pytest.fixture
def clip_bundle(whole: Path, tmp_path: Path) -> Path:
    """A moved copy that the test may spoil."""
    return shutil.copytree(whole, tmp_path / "moved")


@pytest.fixture
def searcher(clip_bundle: Path) -> Searcher:
    bundle = Bundle.open(clip_bundle)
    encoder = TorchQueryEncoder(encoder=bundle.load_encoder(encoder_without_weights), device=torch.device("cpu"))
    return Searcher(bundle=bundle, encoder=encoder)


def test_plain_sentence_transformers_gives_the_vectors_of_the_index(clip_bundle: Path, clip_shop: ClipShop):
    model = SentenceTransformer(str(clip_bundle / "encoder"), device="cpu")
    images = [Image.fromarray(picture) for picture in clip_shop.pictures]
    found = model.encode(images, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(found, Bundle.open(clip_bundle).index.vectors(np.arange(COUNT)), atol=1e-5)


def test_plain_sentence_transformers_gives_the_texts_of_the_encoder(clip_bundle: Path, clip_shop: ClipShop):
    texts = ["a red mug", "CAFÉ, black - 38", "a chair " * 60]
    model = SentenceTransformer(str(clip_bundle / "encoder"), device="cpu")
    encoder = clip_shop.content.encoder
    assert isinstance(encoder, ClipEncoder)
    found = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(found, encoder.embed_texts(texts).numpy(), atol=1e-5)


def test_text_finds_what_is_nearest_to_it(searcher: Searcher, clip_bundle: Path, clip_shop: ClipShop):
    model = SentenceTransformer(str(clip_bundle / "encoder"), device="cpu")
    query = model.encode("a red mug", normalize_embeddings=True, show_progress_bar=False)
    similarities = clip_shop.content.embeddings @ query
    found = searcher.by_text("a red mug", k=3)
    assert [neighbour.id for neighbour in found] == [f"p{row}" for row in np.argsort(-similarities)[:3]]
    assert found[0].similarity == pytest.approx(similarities.max(), abs=1e-5)


def test_what_is_not_read_of_a_text_is_told(searcher: Searcher):
    words = CONTEXT - 2  # beside start and end
    assert searcher.tokens_read("a " * words) is None
    assert searcher.tokens_read("a " * (words + 1)) == CONTEXT


def test_verification_finds_every_item(clip_bundle: Path, clip_shop: ClipShop):
    looked_at: list[int] = []
    verify_bundle(
        clip_bundle,
        images=lambda row: looked_at.append(row) or clip_shop.pictures[row],
        network_factory=encoder_without_weights,
        rows=COUNT,
        device=torch.device("cpu"),
    )
    assert set(looked_at) == set(range(COUNT))


def test_bundle_holds_no_pickle_and_lists_every_file(clip_bundle: Path):
    files = {path.relative_to(clip_bundle).as_posix() for path in clip_bundle.rglob("*") if path.is_file()}
    listed = json.loads((clip_bundle / "manifest.json").read_text(encoding="utf-8"))["files"]
    assert {Path(name).suffix for name in files} == {".json", ".safetensors", ".faiss", ".parquet"}
    assert files == {*listed, "manifest.json"}


@pytest.mark.parametrize("name", ["tokenizer.json", "processor_config.json", "sentence_bert_config.json"])
def test_altered_file_of_the_encoder_is_refused(clip_bundle: Path, name: str):
    path = clip_bundle / "encoder" / name
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    with pytest.raises(BundleError, match=f"^{re.escape(str(path))}: altered or of another bundle: "):
        Bundle.open(clip_bundle)


def test_file_that_the_library_would_find_in_the_folder_is_refused(clip_bundle: Path):
    path = clip_bundle / "encoder" / "adapter_config.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError) as caught:
        Bundle.open(clip_bundle)
    assert str(caught.value) == f"{path}: not of this bundle: manifest.json does not list it"


def test_other_vectors_of_texts_are_refused(clip_bundle: Path, monkeypatch: pytest.MonkeyPatch):
    embed = ClipEncoder.embed_texts
    monkeypatch.setattr(ClipEncoder, "embed_texts", lambda self, texts: embed(self, [text[::-1] for text in texts]))
    with pytest.raises(BundleError, match="does not give the bundle's embeddings: golden texts have cosine "):
        Bundle.open(clip_bundle).load_encoder(encoder_without_weights)


def test_another_text_tower_is_another_space(clip_shop: ClipShop, whole: Path, tmp_path: Path):
    encoder = clip_shop.content.encoder
    assert isinstance(encoder, ClipEncoder)
    weight = encoder.towers.text_projection.weight
    before = weight.detach().clone()
    try:
        weight.data.mul_(1.5)
        weight.data[0] += 0.1
        other = write_bundle(clip_shop.content, tmp_path / "other", formats=())
    finally:
        weight.data.copy_(before)
    assert Bundle.open(other).fingerprint != Bundle.open(whole).fingerprint


def test_golden_texts_are_longer_than_any_tower_reads(clip_shop: ClipShop):
    encoder = clip_shop.content.encoder
    assert isinstance(encoder, ClipEncoder)
    assert encoder.truncated(list(golden.GOLDEN_TEXTS))


@pytest.mark.slow
def test_onnx_gives_the_vectors_of_the_index(clip_shop: ClipShop, tmp_path: Path):
    folder = write_bundle(clip_shop.content, tmp_path / "bundle", formats=[ONNX])
    looked_at: list[int] = []
    verify_bundle(
        folder,
        images=lambda row: looked_at.append(row) or clip_shop.pictures[row],
        network_factory=encoder_without_weights,
        rows=COUNT,
        device=torch.device("cpu"),
    )
    assert set(looked_at) == set(range(COUNT))

"""Bundles whose texts are read by a model of its own: two towers, and an image-text model with another text tower."""

# Shapes: N = 8 items, D dimensions of the embedding.

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from network_bundle import network_content
from numpy.typing import NDArray
from PIL import Image
from pydantic import TypeAdapter
from sentence_transformers import SentenceTransformer
from tiny_clip import DIMENSIONS, make_tiny_clip
from tiny_text import LONGEST, make_tiny_multilingual, make_tiny_text

from simtrain.builders.encoder import build_encoder
from simtrain.builders.saved_encoder import encoder_without_weights
from simtrain.commands.search import search
from simtrain.config import EncoderConfig
from simtrain.encoders.base import Encoder
from simtrain.encoders.clip import ClipEncoder
from simtrain.encoders.text import TextEncoder
from simtrain.encoders.text_tower import TextTower
from simtrain.errors import BundleError
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_writer import BundleContent, write_bundle
from simtrain.serving.onnx_export import ONNX
from simtrain.serving.verification import verify_bundle

COUNT = 8
PROMISED_TO_ALL_IMAGES = {"wanted_precision": 0.9, "similarity": -1.0, "positives": 90, "negatives": 10}
TEXTS = ["a red mug", "یک لیوان قرمز", "CAFÉ, black - 38"]


@dataclass(frozen=True)
class TextShop:
    """A bundle whose models are gone from where its run has had them."""

    content: BundleContent
    pictures: list[NDArray[np.uint8]]
    texts: NDArray[np.float32]
    """What plain sentence-transformers has made of `TEXTS` with the text model that was named."""

    bundle: Path


def encoded(folder: Path) -> NDArray[np.float32]:
    model = SentenceTransformer(str(folder), device="cpu")
    return model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)


def drawn() -> list[NDArray[np.uint8]]:
    generator = np.random.default_rng(2)
    blobs = [Image.fromarray(generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)) for _ in range(COUNT)]
    return [np.asarray(blob.resize((80 + 10 * place, 100))) for place, blob in enumerate(blobs)]


def content_of(values: dict[str, Any], pictures: list[NDArray[np.uint8]], root: Path) -> BundleContent:
    config: EncoderConfig = TypeAdapter(EncoderConfig).validate_python(values)
    torch.manual_seed(0)
    encoder = build_encoder(config, load=True).eval()
    pixels = [encoder.preprocessing.pixels(picture) for picture in pictures]
    thresholds = {"relevance": ["product"], "levels": [PROMISED_TO_ALL_IMAGES]}
    return network_content(encoder, config.model_dump(mode="json"), pixels, root=root, thresholds=thresholds)


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TextShop]:
    made: dict[str, TextShop] = {}

    def shop(kind: str) -> TextShop:
        if kind not in made:
            root = tmp_path_factory.mktemp("shop")
            if kind == "two_towers":
                words = make_tiny_text(root / "models" / "text")
                image = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}
                values = {"kind": kind, "text": str(words), "image": image}
            else:
                words = make_tiny_multilingual(root / "models" / "text", size=DIMENSIONS)
                model = make_tiny_clip(root / "models" / "clip")
                values = {"kind": kind, "model": str(model), "text_model": str(words)}
            texts, pictures = encoded(words), drawn()
            content = content_of(values, pictures, root)
            bundle = write_bundle(content, root / "written", formats=())
            shutil.rmtree(root / "models")
            made[kind] = TextShop(content=content, pictures=pictures, texts=texts, bundle=bundle)
        return made[kind]

    return shop


@pytest.fixture(params=["two_towers", "clip"])
def shop(request: pytest.FixtureRequest, shops: Callable[[str], TextShop]) -> TextShop:
    return shops(request.param)


@pytest.fixture
def moved(shop: TextShop, tmp_path: Path) -> Path:
    """A moved copy that the test may spoil."""
    return shutil.copytree(shop.bundle, tmp_path / "moved")


def opened(folder: Path) -> Encoder:
    return Bundle.open(folder).load_encoder(encoder_without_weights)


def test_bundle_reads_texts_by_itself(shop: TextShop, moved: Path):
    encoder = opened(moved)
    assert isinstance(encoder, TextEncoder)
    np.testing.assert_allclose(encoder.embed_texts(TEXTS).numpy(), shop.texts, atol=1e-6)


def test_plain_sentence_transformers_opens_the_text_tower(shop: TextShop, moved: Path):
    np.testing.assert_allclose(encoded(moved / "encoder" / "text_tower"), shop.texts, atol=1e-6)


def test_search_by_text_finds_what_is_nearest(shop: TextShop, moved: Path):
    for text, query in zip(TEXTS, shop.texts, strict=True):
        found = search(moved, image=None, text=text, k=3, plot=None)
        similarities = shop.content.embeddings @ query
        assert [neighbour.id for neighbour in found.neighbours] == [f"p{row}" for row in np.argsort(-similarities)[:3]]
        assert found.neighbours[0].similarity == pytest.approx(similarities.max(), abs=1e-5)
    assert search(moved, image=None, text="a mug " * 40, k=1, plot=None).tokens_read == LONGEST


def test_precision_is_promised_to_images_and_not_to_texts(moved: Path, tmp_path: Path):
    Image.fromarray(np.full((40, 40, 3), 90, dtype=np.uint8)).save(tmp_path / "query.png")
    by_image = search(moved, image=tmp_path / "query.png", text=None, k=3, plot=None)
    by_text = search(moved, image=None, text=TEXTS[0], k=3, plot=None)
    assert [found.precision for found in by_image.neighbours] == [0.9] * 3
    assert [found.precision for found in by_text.neighbours] == [None] * 3
    assert (len(by_image.to_dict()["thresholds"]), by_text.to_dict()["thresholds"]) == (1, [])


def test_verification_finds_every_item(shop: TextShop, moved: Path):
    looked_at: list[int] = []
    verify_bundle(
        moved,
        images=lambda row: looked_at.append(row) or shop.pictures[row],
        network_factory=encoder_without_weights,
        rows=COUNT,
        device=torch.device("cpu"),
    )
    assert set(looked_at) == set(range(COUNT))


def test_bundle_holds_no_pickle_and_lists_every_file(moved: Path):
    files = {path.relative_to(moved).as_posix() for path in moved.rglob("*") if path.is_file()}
    listed = json.loads((moved / "manifest.json").read_text(encoding="utf-8"))["files"]
    assert {Path(name).suffix for name in files} == {".json", ".safetensors", ".faiss", ".parquet"}
    assert files == {*listed, "manifest.json"}
    assert "encoder/text_tower/model.safetensors" in files


@pytest.mark.parametrize("name", ["tokenizer.json", "1_Pooling/config.json"])
def test_altered_file_of_the_text_tower_is_refused(moved: Path, name: str):
    path = moved / "encoder" / "text_tower" / name
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    with pytest.raises(BundleError, match=f"^{re.escape(str(path))}: altered or of another bundle: "):
        Bundle.open(moved)


def test_file_that_the_library_would_find_beside_it_is_refused(moved: Path):
    path = moved / "encoder" / "text_tower" / "adapter_config.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError) as caught:
        Bundle.open(moved)
    assert str(caught.value) == f"{path}: not of this bundle: manifest.json does not list it"


def test_other_vectors_of_texts_are_refused(moved: Path, monkeypatch: pytest.MonkeyPatch):
    tokenize = TextTower.tokenize
    monkeypatch.setattr(
        TextTower,
        "tokenize",
        lambda self, texts, *, device: tokenize(self, [text[::-1] for text in texts], device=device),
    )
    with pytest.raises(BundleError, match="does not give the bundle's embeddings: golden texts have cosine "):
        opened(moved)


def test_another_text_tower_is_another_space(shop: TextShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    features = TextTower.text_features
    monkeypatch.setattr(TextTower, "text_features", lambda self, tokens: features(self, tokens).flip(1))
    other = write_bundle(shop.content, tmp_path / "other", formats=())
    assert Bundle.open(other).fingerprint != Bundle.open(shop.bundle).fingerprint


def test_weights_of_two_towers_are_those_of_the_images(shops: Callable[[str], TextShop]):
    shop = shops("two_towers")
    encoder = shop.content.encoder
    expected = sum(value.numel() * value.element_size() for value in encoder.state_dict().values())
    size = (shop.bundle / "encoder" / "model.safetensors").stat().st_size
    assert expected < size < expected + 50_000


def test_plain_sentence_transformers_opens_the_image_text_model_with_its_own_texts(shops: Callable[[str], TextShop]):
    shop = shops("clip")
    encoder = shop.content.encoder
    assert isinstance(encoder, ClipEncoder)
    plain = SentenceTransformer(str(shop.bundle / "encoder"), device="cpu")
    for name, value in plain.state_dict().items():
        assert torch.equal(value, encoder.network.state_dict()[name]), name
    images = [Image.fromarray(picture) for picture in shop.pictures]
    found = plain.encode(images, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(found, shop.content.embeddings, atol=1e-5)
    own = plain.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    assert np.abs(own - shop.texts).max() > 0.1  # it is the model's own text side that reads there
    assert not any(name.startswith("text_tower") for name in plain.state_dict())


@pytest.mark.slow
def test_onnx_gives_the_vectors_of_the_index(shop: TextShop, tmp_path: Path):
    folder = write_bundle(shop.content, tmp_path / "bundle", formats=[ONNX])
    looked_at: list[int] = []
    verify_bundle(
        folder,
        images=lambda row: looked_at.append(row) or shop.pictures[row],
        network_factory=encoder_without_weights,
        rows=COUNT,
        device=torch.device("cpu"),
    )
    assert set(looked_at) == set(range(COUNT))

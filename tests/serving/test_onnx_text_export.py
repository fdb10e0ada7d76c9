"""The text side of an encoder as ONNX, beside plain sentence-transformers."""

# Shapes: N texts, D dimensions of the embedding.

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from sentence_transformers import SentenceTransformer
from tiny_clip import DIMENSIONS, make_tiny_clip, make_tiny_siglip
from tiny_text import LONGEST, make_tiny_multilingual, make_tiny_text

from simtrain.builders.encoder import build_encoder
from simtrain.config import EncoderConfig
from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import PixelsEncoder
from simtrain.encoders.text_tower import TextSide
from simtrain.errors import BundleError
from simtrain.serving.onnx_export import onnx_available
from simtrain.serving.onnx_text_encoder import OnnxTextEncoder, TextOnnxFiles
from simtrain.serving.onnx_text_export import export_onnx_texts, text_onnx_available

needs_onnx = pytest.mark.skipif(not onnx_available(), reason="needs the extra 'export'")
TEXTS = [
    "", "a red mug", "Women's shoes, black - size 38", "یک لیوان قرمز", "mug 🙂👍🏽 rouge", "CAFÉ naïve\n\tof  two",
    "لیوان red 杯", "a wooden chair " * 90, "[CLS] <|endoftext|> [PAD]",
]  # fmt: skip
IMAGE = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}


def built(values: dict[str, Any]) -> Encoder:
    config: EncoderConfig = TypeAdapter(EncoderConfig).validate_python(values)
    torch.manual_seed(0)
    return build_encoder(config, load=True).eval()


def siglip(folder: Path) -> tuple[dict[str, Any], Path]:
    model = make_tiny_siglip(folder / "siglip")
    return {"kind": "clip", "model": str(model)}, model


def other_text_model(folder: Path) -> tuple[dict[str, Any], Path]:
    words = make_tiny_multilingual(folder / "words", size=DIMENSIONS)
    return {"kind": "clip", "model": str(make_tiny_clip(folder / "clip")), "text_model": str(words)}, words


def two_towers(folder: Path) -> tuple[dict[str, Any], Path]:
    """With something to put before each text."""
    words = make_tiny_text(folder / "words")
    settings = words / "config_sentence_transformers.json"
    values = json.loads(settings.read_text(encoding="utf-8"))
    prompts = {"prompts": {"query": "a photo of "}, "default_prompt_name": "query"}
    settings.write_text(json.dumps({**values, **prompts}), encoding="utf-8")
    return {"kind": "two_towers", "text": str(words), "image": IMAGE}, words


def exported(encoder: Encoder, folder: Path, *, prompt: str) -> OnnxTextEncoder:
    export_onnx_texts(encoder, folder / "text_encoder.onnx")
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    assert names == ["text_encoder.onnx", "text_tokenizer.json"]
    graph, tokenizer = ((folder / name).read_bytes() for name in names)
    files = TextOnnxFiles(folder=folder, graph=graph, tokenizer=tokenizer, prompt=prompt)
    return OnnxTextEncoder(files=files, threads=1)


@pytest.mark.slow
@needs_onnx
@pytest.mark.parametrize("make", [siglip, other_text_model, two_towers])
def test_it_gives_the_vectors_of_sentence_transformers(
    make: Callable[[Path], tuple[dict[str, Any], Path]], tmp_path: Path
) -> None:
    values, words = make(tmp_path / "models")
    plain = SentenceTransformer(str(words), device="cpu")
    expected: NDArray[np.float32] = plain.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    opened = exported(built(values), tmp_path, prompt="a photo of " if make is two_towers else "")
    np.testing.assert_allclose(opened.embed_texts(TEXTS), expected, rtol=0, atol=1e-5)
    for text in TEXTS:
        alone = plain.encode([text], normalize_embeddings=True, show_progress_bar=False)
        np.testing.assert_allclose(opened.embed_texts([text]), alone, rtol=0, atol=1e-5)
    many = opened.embed_texts(TEXTS * 20)
    assert many.shape == (180, expected.shape[1])
    if make is not siglip:  # whose vectors depend on how far texts are filled up
        np.testing.assert_allclose(many, np.tile(expected, (20, 1)), rtol=0, atol=1e-5)
    longest = 64 if make is siglip else LONGEST
    assert opened.tokens_read("a wooden chair " * 90) == longest
    assert opened.tokens_read("a wooden chair") is None


@pytest.mark.slow
@needs_onnx
def test_a_tokenizer_that_cuts_elsewhere_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = built(two_towers(tmp_path / "models")[0])
    written = TextSide.tokenizer_json

    def shorter(side: TextSide) -> str:
        values = json.loads(str(written(side)))
        values["truncation"]["max_length"] = 5
        return json.dumps(values)

    monkeypatch.setattr(TextSide, "tokenizer_json", shorter)
    with pytest.raises(BundleError, match=r"^text_encoder\.onnx: onnxruntime's embeddings differ by "):
        export_onnx_texts(encoder, tmp_path / "text_encoder.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


@needs_onnx
def test_texts_without_such_a_tokenizer_are_told(tmp_path: Path) -> None:
    encoder = PixelsEncoder(image_size=8, resize="pad")
    with pytest.raises(BundleError) as caught:
        export_onnx_texts(encoder, tmp_path / "text_encoder.onnx")
    assert str(caught.value) == (
        f"{tmp_path}/text_encoder.onnx: the texts of PixelsEncoder have no tokenizer that the library tokenizers "
        "reads; export the bundle without it: --set export.onnx_texts=false"
    )


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tokenizers" else object())
    assert onnx_available()
    assert not text_onnx_available()
    with pytest.raises(BundleError) as caught:
        export_onnx_texts(PixelsEncoder(image_size=8, resize="pad"), tmp_path / "text_encoder.onnx")
    assert str(caught.value) == (
        "text_encoder.onnx: needs onnx, onnxscript, onnxruntime, tokenizers: pip install 'simtrain[export]'"
    )

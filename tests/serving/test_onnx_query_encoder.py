"""A search by `encoder.onnx` beside the same search by torch."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundle_files import forge
from network_bundle import network_content
from PIL import Image
from tiny_clip import make_tiny_clip

from simtrain.builders.encoder import build_encoder
from simtrain.builders.saved_encoder import encoder_without_weights
from simtrain.catalog.images import read_image
from simtrain.commands.search import open_bundle
from simtrain.config import parse_encoder
from simtrain.errors import BundleError
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_writer import write_bundle
from simtrain.serving.onnx_export import ONNX, onnx_available
from simtrain.serving.onnx_query_encoder import OnnxQueryEncoder, onnx_query_encoder, suits_onnx
from simtrain.serving.onnx_text_export import ONNX_TEXTS
from simtrain.serving.searcher import Searcher
from simtrain.serving.torch_query_encoder import TorchQueryEncoder

pytestmark = pytest.mark.skipif(not onnx_available(), reason="needs the extra 'export'")

COUNT = 40
HEAVY = ("albumentations", "matplotlib", "pytorch_lightning", "sentence_transformers", "timm", "torch", "transformers")
SEARCH = f"""
import sys
from simtrain.cli import main
try:
    main()
finally:
    print(sorted({{name.partition(".")[0] for name in sys.modules}} & set({HEAVY})), file=sys.stderr)
"""

ENCODERS: dict[str, dict[str, Any]] = {
    "resnet": {"kind": "resnet", "model": "resnet18", "weights": "none", "image_size": 64, "resize": "crop"},
    "timm": {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 48, "flip_averaging": True},
    "clip": {"kind": "clip"},
}


def blobs(generator: np.random.Generator, width: int, height: int) -> Image.Image:
    small = Image.fromarray(generator.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def written_bundle(folder: Path, settings: dict[str, Any]) -> Path:
    if settings["kind"] == "clip":
        settings = {**settings, "model": str(make_tiny_clip(folder / "clip"))}
    torch.manual_seed(0)
    encoder = build_encoder(parse_encoder(settings, where="test"), load=True).eval()
    generator = np.random.default_rng(2)
    pictures = [np.asarray(blobs(generator, 60 + number, 80)) for number in range(COUNT)]
    pixels = [encoder.preprocessing.pixels(picture) for picture in pictures]
    content = network_content(encoder, settings, pixels, root=folder, width=2)
    formats = [ONNX, ONNX_TEXTS] if settings["kind"] == "clip" else [ONNX]
    return write_bundle(content, folder / "bundle", formats=formats)


@pytest.fixture(scope="module")
def whole_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`whole_bundle(name)`: the folder of that encoder's bundle, exported once, which nobody may alter."""
    return cache(lambda name: written_bundle(tmp_path_factory.mktemp(name), ENCODERS[name]))


@pytest.fixture(scope="module", params=ENCODERS)
def bundle(request: pytest.FixtureRequest, whole_bundle: Callable[[str], Path]) -> Bundle:
    return Bundle.open(whole_bundle(request.param))


@pytest.fixture
def timm_folder(whole_bundle: Callable[[str], Path], tmp_path: Path) -> Path:
    """A bundle that the test may spoil."""
    return shutil.copytree(whole_bundle("timm"), tmp_path / "spoilt")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files as shops have them: transparent, with a palette, grey, for print, turned, very long and very high."""
    folder, picture = tmp_path_factory.mktemp("photographs"), blobs(np.random.default_rng(7), 90, 120)
    transparent = picture.convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(picture.size))
    turned = Image.Exif()
    turned[0x0112] = 6
    transparent.save(folder / "transparent.png")
    transparent.quantize(16).save(folder / "palette.png")
    picture.convert("L").save(folder / "grey.jpg")
    picture.convert("I;16").save(folder / "grey16.png")
    picture.convert("CMYK").save(folder / "print.jpg")
    picture.save(folder / "turned.jpg", exif=turned)
    blobs(np.random.default_rng(8), 900, 20).save(folder / "long.png")
    blobs(np.random.default_rng(9), 3, 700).save(folder / "high.png")
    blobs(np.random.default_rng(10), 1, 1).save(folder / "one.png")
    return sorted(folder.iterdir())


@pytest.mark.slow
def test_it_finds_what_torch_finds(bundle: Bundle, photographs: list[Path]) -> None:
    encoder = TorchQueryEncoder(encoder=bundle.load_encoder(encoder_without_weights), device=torch.device("cpu"))
    by_torch, opened = Searcher(bundle=bundle, encoder=encoder), open_bundle(bundle.folder, queries="images")
    for path in photographs:
        found = opened.search(path, k=10)
        expected = by_torch.by_image(read_image(path), k=10)
        difference = np.array([one.similarity for one in found]) - [one.similarity for one in expected]
        assert np.abs(difference).max() < 1e-4, path.name
        near = [one.similarity for one in expected]
        if min(np.abs(np.diff(near))) > 2e-5:  # nearer than that rounding orders them
            assert [one.id for one in found] == [one.id for one in expected], path.name
        assert {one.id for one in found} == {one.id for one in expected}, path.name


def searched(folder: Path, *query: str) -> "subprocess.CompletedProcess[str]":
    """`simtrain search` in a process of its own, which prints the heavy modules that it has imported."""
    command = ["search", str(folder), *query, "-k", "3", "--json"]
    return subprocess.run(
        [sys.executable, "-c", SEARCH, *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.slow
def test_a_search_imports_neither_torch_nor_what_needs_it(bundle: Bundle, photographs: list[Path]) -> None:
    done = searched(bundle.folder, "--image", str(photographs[0]))
    assert (done.returncode, done.stderr.strip()) == (0, "[]")
    assert '"similarity"' in done.stdout


TEXTS = ("a red mug", "", "یک لیوان قرمز", "mug 🙂👍🏽 rouge", "the green lamp " * 60)


@pytest.fixture
def clip_bundle(whole_bundle: Callable[[str], Path]) -> Bundle:
    return Bundle.open(whole_bundle("clip"))


@pytest.mark.slow
def test_texts_find_what_torch_finds(clip_bundle: Bundle) -> None:
    assert suits_onnx(clip_bundle, texts=True, code_allowed=False)
    encoder = TorchQueryEncoder(encoder=clip_bundle.load_encoder(encoder_without_weights), device=torch.device("cpu"))
    by_torch, opened = Searcher(bundle=clip_bundle, encoder=encoder), open_bundle(clip_bundle.folder)
    assert isinstance(opened.searcher.encoder, OnnxQueryEncoder)
    for text in TEXTS:
        expected = by_torch.by_text(text, k=COUNT)
        found = opened.searcher.by_text(text, k=COUNT)
        near = {one.id: one.similarity for one in expected}
        assert [one.similarity for one in found] == pytest.approx([near[one.id] for one in found], abs=1e-4), text
        assert opened.searcher.tokens_read(text) == by_torch.tokens_read(text) == (77 if len(text) > 100 else None)


@pytest.mark.slow
def test_a_search_by_text_imports_neither_torch_nor_what_needs_it(clip_bundle: Bundle) -> None:
    done = searched(clip_bundle.folder, "--text", "یک لیوان قرمز")
    assert (done.returncode, done.stderr.strip()) == (0, "[]")
    opened = open_bundle(clip_bundle.folder, queries="texts")
    expected = [one.id for one in opened.search(text="یک لیوان قرمز", k=3)]
    assert [one["id"] for one in json.loads(done.stdout)["neighbours"]] == expected


@pytest.mark.slow
def test_an_encoder_that_is_opened_for_one_side_says_so(clip_bundle: Bundle) -> None:
    images, texts = onnx_query_encoder(clip_bundle), onnx_query_encoder(clip_bundle, images=False, texts=True)
    assert (images.no_texts, texts.no_texts) == (None, None)
    with pytest.raises(ValueError, match="opened for images alone"):
        images.embed_texts(["a mug"])
    with pytest.raises(ValueError, match="opened for texts alone"):
        texts.embed_pixels(np.zeros((1, 64, 64, 3), dtype=np.uint8))


@pytest.mark.slow
def test_without_a_text_side_texts_are_left_to_torch(
    clip_bundle: Bundle, timm_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(bundle: Bundle) -> str:
        with pytest.raises(BundleError) as caught:
            Searcher(bundle=bundle, encoder=onnx_query_encoder(bundle, texts=True)).by_text("a red mug", k=1)
        return str(caught.value).removeprefix(f"{bundle.folder}: ")

    plain = Bundle.open(timm_folder)
    assert suits_onnx(plain, texts=True, code_allowed=False)
    assert refusal(plain) == "this bundle's encoder has no text tower; search it by image"

    monkeypatch.setattr("simtrain.serving.onnx_query_encoder.can_tokenize", lambda: False)
    assert not suits_onnx(clip_bundle, texts=True, code_allowed=False)
    assert refusal(clip_bundle) == "text_encoder.onnx needs tokenizers: pip install tokenizers"
    monkeypatch.undo()

    files = {name: sha for name, sha in clip_bundle.manifest["files"].items() if not name.startswith("text_")}
    earlier = replace(clip_bundle, manifest={**clip_bundle.manifest, "files": files})
    assert suits_onnx(earlier, texts=False, code_allowed=False)
    assert not suits_onnx(earlier, texts=True, code_allowed=False)
    assert refusal(earlier) == (
        "encoder.onnx embeds images only; a search by text needs torch: pip install simtrain; or text_encoder.onnx: "
        "export the run again"
    )


def assert_damage_is_told(folder: Path, name: str, message: str) -> None:
    """By its hash; and where the hashes were made anew, by what cannot be done with it, in a line."""
    with pytest.raises(BundleError, match=rf"{re.escape(name)}: altered or of another bundle: its SHA-256 is"):
        open_bundle(folder)
    forge(folder, lambda manifest: None)
    with pytest.raises(BundleError) as caught:
        open_bundle(folder)
    assert str(caught.value).startswith(f"{folder / name}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("text_encoder.onnx", lambda content: b"not a model", "onnxruntime cannot open it: "),
        ("text_tokenizer.json", lambda content: content[:-5], "tokenizers cannot open it: "),
        ("text_tokenizer.json", lambda content: b"{}", "tokenizers cannot open it: "),
        ("text_tokenizer.json", lambda content: filled(content, 10**9), "fills texts up to "),
    ],
)
def test_a_damaged_text_side_is_told(
    clip_bundle: Bundle, tmp_path: Path, name: str, damage: Callable[[bytes], bytes], message: str
) -> None:
    folder = shutil.copytree(clip_bundle.folder, tmp_path / "bundle")
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    assert_damage_is_told(folder, name, message)
    assert open_bundle(folder, queries="images").search(np.zeros((9, 9, 3), dtype=np.uint8), k=1)


@pytest.mark.slow
def test_the_text_side_of_another_encoder_is_refused(clip_bundle: Bundle, tmp_path: Path) -> None:
    folder = shutil.copytree(clip_bundle.folder, tmp_path / "bundle")
    path = folder / "text_tokenizer.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["truncation"]["max_length"] = 6
    path.write_text(json.dumps(values), encoding="utf-8")
    forge(folder, lambda manifest: None)
    with pytest.raises(BundleError, match="this environment does not give the bundle's embeddings: golden texts"):
        open_bundle(folder)


def filled(tokenizer: bytes, length: int) -> bytes:
    """The same tokenizer, which fills every text up to a length."""
    values = json.loads(tokenizer)
    values["padding"]["strategy"] = {"Fixed": length}
    return json.dumps(values).encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: b"not a model", "onnxruntime cannot open it: "),
        (lambda content: content[: len(content) // 2], "onnxruntime cannot open it: "),
        (lambda content: content.replace(b"pixel_values", b"pixel_colour"), "onnxruntime cannot run it: "),
    ],
)
def test_a_damaged_file_is_told(timm_folder: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    path = timm_folder / "encoder.onnx"
    path.write_bytes(damage(path.read_bytes()))
    assert_damage_is_told(timm_folder, "encoder.onnx", message)


@pytest.mark.slow
def test_the_file_of_another_encoder_is_refused(timm_folder: Path, tmp_path: Path) -> None:
    other = written_bundle(tmp_path, {**ENCODERS["timm"], "flip_averaging": False})
    (timm_folder / "encoder.onnx").write_bytes((other / "encoder.onnx").read_bytes())
    forge(timm_folder, lambda manifest: None)
    with pytest.raises(BundleError, match="this environment does not give the bundle's embeddings: golden images"):
        open_bundle(timm_folder)


@pytest.mark.slow
def test_own_code_that_is_allowed_and_a_missing_runtime_mean_torch(
    timm_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = Bundle.open(timm_folder)
    assert isinstance(onnx_query_encoder(bundle), OnnxQueryEncoder)
    assert suits_onnx(bundle, texts=True, code_allowed=True)
    bundle.manifest["encoder"]["config"]["kind"] = "python"
    assert suits_onnx(bundle, texts=True, code_allowed=False)
    assert not suits_onnx(bundle, texts=True, code_allowed=True)
    monkeypatch.setattr("simtrain.serving.onnx_query_encoder.can_run_onnx", lambda: False)
    assert not suits_onnx(bundle, texts=True, code_allowed=False)

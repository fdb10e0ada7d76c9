"""A search by `encoder.onnx` beside the same search by torch."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from bundle_files import forge
from PIL import Image
from tiny_clip import make_tiny_clip

from simtrain.builders import build_encoder, encoder_without_weights
from simtrain.catalog.images import read_image
from simtrain.commands.search import open_bundle
from simtrain.config import parse_encoder
from simtrain.errors import BundleError
from simtrain.serving.bundle import Bundle
from simtrain.serving.bundle_writer import BundleContent, IndexSettings, write_bundle
from simtrain.serving.onnx_export import ONNX, onnx_available
from simtrain.serving.onnx_query_encoder import OnnxQueryEncoder, onnx_query_encoder, suits_onnx
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
    pixels = torch.from_numpy(np.stack([encoder.preprocessing.pixels(picture) for picture in pictures]))
    names = [f"p{number:02d}" for number in range(COUNT)]
    content = BundleContent(
        encoder=encoder,
        code=None,
        encoder_config=settings,
        embeddings=encoder.embed_pixels(pixels).numpy(),
        items=pd.DataFrame({"id": names, "path": [f"{name}.png" for name in names]}),
        root=folder,
        relocatable=True,
        run={},
        metrics={},
        thresholds=None,
        no_thresholds="not measured",
        index=IndexSettings(factory="Flat", wanted_recall=0.99, stored_as="float32"),
    )
    return write_bundle(content, folder / "bundle", formats=[ONNX])


@pytest.fixture(scope="module", params=ENCODERS)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.open(written_bundle(tmp_path_factory.mktemp(request.param), ENCODERS[request.param]))


@pytest.fixture(scope="module")
def timm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_bundle(tmp_path_factory.mktemp("spoilt"), ENCODERS["timm"])


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
    by_torch, opened = Searcher(bundle=bundle, encoder=encoder), open_bundle(bundle.folder, texts=False)
    for path in photographs:
        found = opened.search(path, k=10)
        expected = by_torch.by_image(read_image(path), k=10)
        difference = np.array([one.similarity for one in found]) - [one.similarity for one in expected]
        assert np.abs(difference).max() < 1e-4, path.name
        near = [one.similarity for one in expected]
        if min(np.abs(np.diff(near))) > 2e-5:  # nearer than that rounding orders them
            assert [one.id for one in found] == [one.id for one in expected], path.name
        assert {one.id for one in found} == {one.id for one in expected}, path.name


@pytest.mark.slow
def test_a_search_imports_neither_torch_nor_what_needs_it(bundle: Bundle, photographs: list[Path]) -> None:
    command = ["search", str(bundle.folder), "--image", str(photographs[0]), "-k", "3", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", SEARCH, *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stderr.strip()) == (0, "[]")
    assert '"similarity"' in done.stdout


@pytest.mark.slow
def test_texts_are_left_to_torch(bundle: Bundle) -> None:
    reads_texts = bundle.encoder_config["kind"] == "clip"
    assert bundle.reads_texts == reads_texts
    assert suits_onnx(bundle, texts=False, code_allowed=False)
    assert suits_onnx(bundle, texts=True, code_allowed=False) != reads_texts
    searcher = Searcher(bundle=bundle, encoder=onnx_query_encoder(bundle))
    with pytest.raises(BundleError) as caught:
        searcher.by_text("a red mug", k=1)
    reason = (
        "encoder.onnx embeds images only; a search by text needs torch: pip install simtrain"
        if reads_texts
        else "this bundle's encoder has no text tower; search it by image"
    )
    assert str(caught.value) == f"{bundle.folder}: {reason}"


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
    whole = path.read_bytes()
    try:
        path.write_bytes(damage(whole))
        with pytest.raises(BundleError, match=r"encoder\.onnx: altered or of another bundle: its SHA-256 is"):
            open_bundle(timm_folder)
        forge(timm_folder, lambda manifest: None)
        with pytest.raises(BundleError) as caught:
            open_bundle(timm_folder)
        assert str(caught.value).startswith(f"{path}: {message}")
        assert "\n" not in str(caught.value)
    finally:
        path.write_bytes(whole)
        forge(timm_folder, lambda manifest: None)


@pytest.mark.slow
def test_the_file_of_another_encoder_is_refused(timm_folder: Path, tmp_path: Path) -> None:
    other = written_bundle(tmp_path, {**ENCODERS["timm"], "flip_averaging": False})
    path = timm_folder / "encoder.onnx"
    whole = path.read_bytes()
    try:
        path.write_bytes((other / "encoder.onnx").read_bytes())
        forge(timm_folder, lambda manifest: None)
        with pytest.raises(BundleError, match="this environment does not give the bundle's embeddings: golden images"):
            open_bundle(timm_folder)
    finally:
        path.write_bytes(whole)
        forge(timm_folder, lambda manifest: None)


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

"""`scripts/search_bundle.py`, which knows nothing of simtrain, beside `simtrain search`."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from simtrain.commands.search import open_bundle
from simtrain.serving.bundle_writer import BundleContent, IndexSettings, write_bundle
from simtrain.serving.onnx_export import ONNX, onnx_available
from simtrain.serving.stored_vectors import VectorType

SCRIPT = Path(__file__).parents[2] / "scripts" / "search_bundle.py"


def test_it_is_short_and_imports_four_libraries() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    names = [one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names]
    modules = [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert sorted({*names, *modules}) == ["PIL", "faiss", "json", "numpy", "onnxruntime", "pathlib", "sys"]
    lines = SCRIPT.read_text(encoding="utf-8").split('"""')[2].splitlines()
    assert len([line for line in lines if line.strip()]) <= 40


@pytest.mark.slow
@pytest.mark.skipif(not onnx_available(), reason="needs the extra 'export'")
@pytest.mark.parametrize(
    ("resize", "factory", "stored_as"),
    [("pad", "Flat", "float32"), ("crop", "IVF4,SQ8", "float32"), ("squash", "IVF4,SQ8", "float16")],
)
def test_it_finds_the_same_ten(
    resize: str,
    factory: str,
    stored_as: VectorType,
    content: BundleContent,
    make_encoder: Any,
    shop: Any,
    tmp_path: Path,
) -> None:
    encoder = make_encoder(seed=1, resize=resize, interpolation="bicubic", flip_averaging=resize == "crop")
    pictures = [encoder.preprocessing.pixels(shop.picture(name)) for name in shop.items["id"]]
    import torch

    embeddings = encoder.embed_pixels(torch.from_numpy(np.stack(pictures))).numpy()
    index = IndexSettings(factory=factory, wanted_recall=0.99, stored_as=stored_as)
    made = replace(content, encoder=encoder, embeddings=embeddings, index=index)
    folder = write_bundle(made, tmp_path / "bundle", formats=[ONNX])
    transparent, turned = Image.open(shop.root / "05.png").convert("RGBA"), Image.Exif()
    transparent.putalpha(Image.linear_gradient("L").resize(transparent.size))
    transparent.save(tmp_path / "transparent.png")
    turned[0x0112] = 6
    Image.open(shop.root / "08.png").save(tmp_path / "turned.jpg", exif=turned)
    Image.open(shop.root / "09.png").convert("L").resize((301, 40)).save(tmp_path / "long.png")
    opened = open_bundle(folder)
    for image in (shop.root / "11.png", *(tmp_path / name for name in ("transparent.png", "turned.jpg", "long.png"))):
        command = [sys.executable, str(SCRIPT), str(folder), str(image), "10"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        found = opened.search(image, k=10)
        assert [int(row) for row in told[::2]] == [one.row for one in found], image.name
        assert [float(near) for near in told[1::2]] == pytest.approx([one.similarity for one in found], abs=2e-4)

"""A tuned image-text model where there is no simtrain: another process, and sentence-transformers alone."""

# Shapes: N images of the gallery, D = 48.

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sentence_transformers import SentenceTransformer
from small_runs import train
from tiny_clip import make_tiny_clip

from simtrain.catalog.table import Catalog
from simtrain.commands.export import export
from simtrain.commands.search import search
from simtrain.console import SILENT
from simtrain.serving.bundle import Bundle

TEXTS = ["a photo of a red mug", "Women's SHOES, café 38", "a blue chair " * 60]
ELSEWHERE = """
import json, sys
sys.modules["simtrain"] = None  # an import of it would fail
from PIL import Image
from sentence_transformers import SentenceTransformer

asked = json.load(sys.stdin)
model = SentenceTransformer(asked["folder"], device="cpu")
images = [Image.open(path).convert("RGB") for path in asked["images"]]
answers = {
    "images": model.encode(images, normalize_embeddings=True, show_progress_bar=False).tolist(),
    "texts": model.encode(asked["texts"], normalize_embeddings=True, show_progress_bar=False).tolist(),
}
json.dump(answers, open(asked["answers"], "w"))
"""


@pytest.fixture(scope="module")
def bundle(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one epoch; the model that it began with is gone."""
    folder = tmp_path_factory.mktemp("elsewhere")
    model = make_tiny_clip(folder / "model")
    run = train(catalog, folder, encoder={"kind": "clip", "model": str(model)})
    (folder / "model").rename(folder / "start")
    return export(run, out=folder / "bundle", alpha=None, console=SILENT).folder


@pytest.mark.slow
def test_fresh_process_gives_the_same_vectors_and_neighbours(bundle: Path, tmp_path: Path):
    opened = Bundle.open(bundle)
    ids, rows = opened.items["id"].tolist(), np.arange(opened.index.count)
    asked = {
        "folder": str(bundle / "encoder"),
        "images": [str(opened.image_path(row)) for row in rows],
        "texts": TEXTS,
        "answers": str(tmp_path / "answers.json"),
    }
    command = [sys.executable, "-c", ELSEWHERE]
    subprocess.run(command, input=json.dumps(asked), text=True, check=True, capture_output=True, cwd=tmp_path)
    answers = json.loads((tmp_path / "answers.json").read_text())
    images, texts = np.array(answers["images"]), np.array(answers["texts"])
    np.testing.assert_allclose(images, opened.index.vectors(rows), atol=1e-5)
    for text, query in zip(TEXTS, texts, strict=True):
        found = search(bundle, image=None, text=text, k=5, plot=None).neighbours
        order = np.argsort(-(images @ query), kind="stable")[:5]
        assert [neighbour.id for neighbour in found] == [ids[row] for row in order]
        similarities = [neighbour.similarity for neighbour in found]
        np.testing.assert_allclose(similarities, (images @ query)[order], atol=1e-5)
    for row in rows[:: len(rows) // 4]:
        found = search(bundle, image=opened.image_path(row), text=None, k=5, plot=None).neighbours
        order = np.argsort(-(images @ images[row]), kind="stable")[:5]
        assert [neighbour.id for neighbour in found] == [ids[place] for place in order]


def test_what_is_exported_is_the_tuned_model(bundle: Path):
    start = SentenceTransformer(str(bundle.parent / "start"), device="cpu")
    opened = Bundle.open(bundle)
    with Image.open(opened.image_path(0)) as picture:
        found = start.encode([picture.convert("RGB")], normalize_embeddings=True, show_progress_bar=False)
    assert np.abs(found - opened.index.vectors(np.arange(1))).max() > 1e-3

"""An image-text model from its first step to a search by text."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sentence_transformers import SentenceTransformer
from small_configs import run_config
from tiny_clip import make_tiny_clip

from simtrain.catalog.images import read_image
from simtrain.catalog.table import Catalog
from simtrain.commands.export import export
from simtrain.commands.fit import fit
from simtrain.commands.search import search
from simtrain.config import RunConfig
from simtrain.console import SILENT
from simtrain.data import given_images
from simtrain.errors import BundleError, SimtrainError
from simtrain.runs.run import open_run
from simtrain.serving.bundle import Bundle
from simtrain.training.saved_weights import read_module_state

MakeConfig = Callable[..., RunConfig]


def exported(config: RunConfig, out: Path) -> Path:
    folder = fit(config, resume=False, console=SILENT).folder
    return export(open_run(str(folder), checkpoints=folder.parent), out=out, alpha=None, console=SILENT).folder


def one_epoch(make_config: MakeConfig, model: Path, **encoder: object) -> RunConfig:
    return make_config(
        encoder={"kind": "clip", "model": str(model), **encoder},
        trainer={"epochs": 1, "accelerator": "cpu"},
        optimizer={"learning_rate": 1e-3},
        export={"onnx": False},
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_clip(tmp_path_factory.mktemp("clip") / "model")


@pytest.fixture(scope="module")
def bundle(catalog: Catalog, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    return exported(one_epoch(partial(run_config, catalog, folder / "checkpoints"), model), folder / "bundle")


def test_text_search_agrees_with_plain_sentence_transformers(bundle: Path, tmp_path: Path):
    found = search(bundle, image=None, text="a photo of a red mug", k=4, plot=tmp_path / "strip.png")
    opened = Bundle.open(bundle)
    model = SentenceTransformer(str(bundle / "encoder"), device="cpu")
    query = model.encode("a photo of a red mug", normalize_embeddings=True, show_progress_bar=False)
    vectors = opened.index.vectors(np.arange(opened.index.count))
    expected = opened.items["id"].to_numpy()[np.argsort(-(vectors @ query), kind="stable")[:4]]
    assert [neighbour.id for neighbour in found.neighbours] == expected.tolist()
    assert (found.query, found.tokens_read) == ("a photo of a red mug", None)
    assert (tmp_path / "strip.png").is_file()


def test_long_text_is_reported(bundle: Path):
    assert search(bundle, image=None, text="a mug " * 60, k=1, plot=None).tokens_read == 77


def test_tuning_on_images_moves_the_images_and_leaves_the_texts(bundle: Path, model: Path):
    before, after = (SentenceTransformer(str(folder), device="cpu") for folder in (model, bundle / "encoder"))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    np.testing.assert_array_equal(*(one.encode(["a red mug"], show_progress_bar=False) for one in (before, after)))
    images = [one.encode([picture], show_progress_bar=False) for one in (before, after)]
    assert np.abs(images[0] - images[1]).max() > 1e-3


def test_tuned_factors_are_folded_into_the_exported_folder(make_config: MakeConfig, model: Path, tmp_path: Path):
    config = one_epoch(make_config, model, lora={"rank": 2})
    bundle = exported(config, tmp_path / "bundle")
    state = read_module_state(tmp_path / "checkpoints" / "small" / "best.ckpt")
    assert any("lora_A" in name for name in state)
    plain = SentenceTransformer(str(bundle / "encoder"), device="cpu")
    assert not any("lora" in name for name, _ in plain.named_parameters())
    assert len(search(bundle, image=None, text="a mug", k=2, plot=None).neighbours) == 2


def test_bundle_without_text_tower_says_so(make_config: MakeConfig, tmp_path: Path):
    config = make_config(trainer={"epochs": 1, "accelerator": "cpu"}, export={"onnx": False})
    bundle = exported(config, tmp_path / "bundle")
    with pytest.raises(BundleError) as caught:
        search(bundle, image=None, text="a red mug", k=1, plot=None)
    assert str(caught.value) == f"{bundle}: this bundle's encoder has no text tower; search it by image"


def test_empty_text_is_refused(tmp_path: Path):
    with pytest.raises(SimtrainError, match=r"^search: --text is empty; write what to look for$"):
        search(tmp_path, image=None, text=" ", k=1, plot=None)


def test_a_query_image_is_decoded_once(make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = make_config(trainer={"epochs": 1, "accelerator": "cpu"}, export={"onnx": False})
    bundle, decoded = exported(config, tmp_path / "bundle"), list[Path]()

    def counting(path: Path, *, at_least: int | None) -> NDArray[np.uint8]:
        decoded.append(path)
        return read_image(path, at_least=at_least)

    monkeypatch.setattr(given_images, "read_image", counting)
    Image.new("RGB", (40, 30), "red").save(tmp_path / "query.png")
    found = search(bundle, image=tmp_path / "query.png", text=None, k=2, plot=tmp_path / "strip.png")
    assert decoded == [tmp_path / "query.png"]
    assert found.query == str(tmp_path / "query.png")

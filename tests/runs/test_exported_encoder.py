"""What an export is of: an untouched encoder searches as compare has judged it."""

# Shapes: N images, D dimensions.

from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import train

from simtrain.api.compare import compare
from simtrain.api.export import export
from simtrain.catalog.images import read_image
from simtrain.catalog.table import Catalog
from simtrain.comparison.result import ComparisonReport
from simtrain.console import SILENT
from simtrain.errors import ConfigError
from simtrain.runs.exported_encoder import exported_encoder
from simtrain.runs.loaded_encoder import load_encoder
from simtrain.runs.untouched_encoder import named_source
from simtrain.serving.bundle import Bundle
from simtrain.serving.onnx_export import onnx_available
from simtrain.serving.onnx_runtime import OnnxEncoder

PLAIN = "timm:test_efficientnet=none"


@pytest.fixture(scope="module")
def report(catalog: Catalog) -> ComparisonReport:
    """A colour histogram as it comes and whitened."""
    settings = {"split": "val", "draws": 1000, "robustness_images": 0, "pictures.map_points": 0}
    return compare(catalog, ["histogram_hsv"], overrides=settings, console=SILENT)


@pytest.mark.parametrize("name", ["histogram_hsv", "histogram_hsv_half_whitened"])
def test_the_figures_in_the_bundle_are_those_of_compare(
    name: str, catalog: Catalog, report: ComparisonReport, tmp_path: Path
) -> None:
    opened = export(name, tmp_path / "bundle", catalog=catalog, overrides={"export.onnx": False}, console=SILENT)
    manifest = opened.bundle.manifest
    judged = report.encoder(name).relevances["product"].metrics
    assert manifest["metrics"]["tuned"] is None
    found = manifest["metrics"]["zero_shot"]["metrics"]
    assert {each: found[each]["mean"] for each in ("map_at_r", "recall_at_1", "recall_at_5")} == pytest.approx(
        {each: judged[each].mean for each in ("map_at_r", "recall_at_1", "recall_at_5")}, abs=1e-6
    )
    assert (manifest["run"]["name"], manifest["run"]["untouched"]) == (name, True)
    assert "alpha" not in manifest["run"]
    assert manifest["thresholds"]["split"] == "val"
    picture = catalog.root / str(catalog.rows["path"].iat[0])
    assert opened.search(picture, k=1).neighbours[0].id == catalog.rows["id"].iat[0]


@pytest.mark.slow
@pytest.mark.skipif(not onnx_available(), reason="needs the extra 'export'")
def test_a_whitened_network_and_its_onnx_give_the_same_embeddings(catalog: Catalog, tmp_path: Path) -> None:
    export(f"{PLAIN}_whitened", tmp_path / "bundle", catalog=catalog, console=SILENT)
    bundle = Bundle.open(tmp_path / "bundle")
    network = load_encoder(PLAIN).network

    def plain(rows: list[int]) -> np.ndarray:
        pixels = [network.preprocessing.pixels(read_image(catalog.root / catalog.rows["path"][row])) for row in rows]
        return network.embed_pixels(torch.from_numpy(np.stack(pixels))).double().numpy()

    training = plain(catalog.rows_of(["train"]).tolist())
    variances, directions = np.linalg.eigh(np.cov(training.T))
    scale = np.sqrt(0.9 * variances.clip(0) + 0.1 * variances.mean())
    rows = catalog.rows_of(["test"]).tolist()
    expected = (plain(rows) - training.mean(axis=0)) @ directions / scale
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    place = {identifier: number for number, identifier in enumerate(bundle.items["id"])}
    stored = bundle.index.vectors(np.array([place[catalog.rows["id"][row]] for row in rows]))
    np.testing.assert_allclose(stored @ stored.T, expected @ expected.T, atol=1e-4)
    pixels = [bundle.preprocessing.pixels(read_image(catalog.root / catalog.rows["path"][row])) for row in rows]
    images = bundle.preprocessing.normalise(torch.from_numpy(np.stack(pixels))).numpy()
    assert bundle.onnx_path is not None
    np.testing.assert_allclose(OnnxEncoder(path=bundle.onnx_path).embed(images), stored, atol=1e-5)


def test_the_start_of_a_run_has_the_weights_that_it_began_with(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}
    monkeypatch.chdir(tmp_path)
    run = train(catalog, Path("checkpoints"), encoder=encoder)
    tuned = exported_encoder(run, alpha=None, console=SILENT)
    start = exported_encoder(named_source("start_of_small", overrides=[]), alpha=None, console=SILENT)
    mixed = exported_encoder(run, alpha=0.0, console=SILENT)
    weights = start.encoder.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in mixed.encoder.state_dict().items())
    assert not all(torch.equal(weights[name], value) for name, value in tuned.encoder.state_dict().items())
    assert (start.run, start.origin["start_of"]) == (None, "small")
    assert tuned.origin["alpha"] == 1
    assert "untouched" not in tuned.origin


def test_an_untouched_encoder_has_no_weights_to_mix(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        export("pixels", tmp_path / "bundle", catalog=catalog, alpha=0.5, console=SILENT)
    assert str(caught.value) == "--alpha 0.5: pixels is not a run; only runs have fine-tuned weights to mix"
    assert not (tmp_path / "bundle").exists()

"""Encoders with every setting of their embeddings: what is learned, stored, evaluated, exported and searched."""

# Shapes: N images, D = 256 dimensions of the network, C = 20 that are kept.

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from recording_console import RecordingConsole
from small_runs import again, copied, sweep, train

from simtrain.api.evaluate import evaluate as evaluate_anything
from simtrain.builders.encoder import build_encoder
from simtrain.builders.saved_encoder import encoder_without_weights
from simtrain.catalog.images import read_image
from simtrain.catalog.table import Catalog
from simtrain.commands.evaluate import evaluate
from simtrain.commands.export import export
from simtrain.commands.fit import fit
from simtrain.config import RunConfig, dump_yaml
from simtrain.console import SILENT
from simtrain.errors import BundleError, ConfigError
from simtrain.evaluation.further_relevance import with_further_relevance
from simtrain.evaluation.named_scores import named_scores
from simtrain.evaluation.protocol import RetrievalTask, retrieval_task
from simtrain.evaluation.relevance import same, same_kind
from simtrain.files import sha256_of_file, write_json
from simtrain.runs.loaded_encoder import load_encoder
from simtrain.runs.run import Run, open_run
from simtrain.runs.tuned_encoder import tuned_encoder
from simtrain.runs.whitening import run_encoder
from simtrain.serving.bundle import Bundle
from simtrain.serving.golden import golden_images
from simtrain.serving.onnx_export import onnx_available
from simtrain.serving.onnx_runtime import OnnxEncoder
from simtrain.training.epoch_table import read_metrics

MakeConfig = Callable[..., RunConfig]
PLAIN = {
    "kind": "timm",
    "model": "test_efficientnet",
    "weights": "none",
    "image_size": 32,
    "evaluation_image_size": 48,
    "pooling": "gem",
    "flip_averaging": True,
}
WHITENED = {**PLAIN, "whitening": {"power": 0.25, "shrinkage": 0.2, "dimensions": 20}}
POWER, SHRINKAGE, DIMENSIONS = 0.25, 0.2, 20


@pytest.fixture(scope="module")
def first_run(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("whitened")
    run = train(catalog, folder, encoder=WHITENED, export={"onnx": onnx_available()})
    # `train` has put the last weights in the place of the best: its whitening is of others, and is learned again
    write_json(run.folder / "run.json", {**run.record, "status": "interrupted"})  # a finished run is not resumed
    resumed = fit(run.config.model_copy(update={"run": run.folder.name}), resume=True, console=SILENT)
    return open_run(str(resumed.folder), checkpoints=folder)


@pytest.fixture
def run(first_run: Run, tmp_path: Path) -> Run:
    return copied(first_run, tmp_path)


def plain_vectors(run: Run, catalog: Catalog, rows: list[int]) -> NDArray[np.float64]:
    """(N, D) unit vectors of image and mirror image, averaged here."""
    encoder = tuned_encoder(run.config, run.folder, alpha=1.0)
    sides = []
    for step in (1, -1):
        squares = [encoder.preprocessing.pixels(read_image(catalog.root / catalog.rows["path"][row])) for row in rows]
        assert squares[0].shape == (48, 48, 3)
        pixels = torch.from_numpy(np.stack(squares)[:, :, ::step].copy())
        with torch.inference_mode():
            vectors = encoder(encoder.preprocessing.normalise(pixels)).double().numpy()
        sides.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return unit(sides[0] + sides[1])


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def whitened(vectors: NDArray[np.float64], train: NDArray[np.float64], *, power: float = POWER) -> NDArray[np.float64]:
    """By numpy's eigenvectors of the covariance, the axes of largest variance first."""
    variances, directions = np.linalg.eigh(np.cov(train.T))
    scale = ((1 - SHRINKAGE) * variances + SHRINKAGE * variances.mean()) ** power
    return unit(((vectors - train.mean(axis=0)) @ (directions / scale))[:, ::-1][:, :DIMENSIONS])


def expected_metrics(run: Run, catalog: Catalog, *, split: str, power: float = POWER) -> dict[str, float]:
    task = retrieval_task(catalog, split=split, gallery_splits=None, relevance=same(["product"]))
    train = plain_vectors(run, catalog, catalog.rows_of(["train"]).tolist())
    vectors = whitened(plain_vectors(run, catalog, task.rows.tolist()), train, power=power)
    return named_scores(with_kind(task, catalog), torch.from_numpy(vectors).float()).means()


def with_kind(task: RetrievalTask, catalog: Catalog) -> RetrievalTask:
    """What evaluate shows beside products, where there is an answer."""
    kind = same_kind(catalog, columns=["label"], other=["product"])
    return with_further_relevance(task, catalog, [kind], answerable_only=True)


def means(report: Any) -> dict[str, float]:
    return {name: interval.mean for name, interval in report.evaluation.metrics.items()}


def test_a_run_is_evaluated_whitened(run: Run, catalog: Catalog) -> None:
    found = means(evaluate(run.config, run=run, split="test", alpha=None, console=SILENT))
    expected = expected_metrics(run, catalog, split="test")
    assert {name: expected[name] for name in found} == pytest.approx(found, abs=1e-6)


def test_the_record_has_the_validation_with_it(run: Run, catalog: Catalog) -> None:
    record = run.record["whitening"]
    settings = {"power": POWER, "shrinkage": SHRINKAGE, "dimensions": DIMENSIONS, "alpha": 1.0}
    assert {name: record[name] for name in settings} == settings
    assert record["images"] == len(catalog.rows_of(["train"]))
    told = {name: found["mean"] for name, found in record["val"]["metrics"].items()}
    expected = expected_metrics(run, catalog, split="val")
    assert {name: expected[name] for name in told} == pytest.approx(told, abs=1e-6)


def test_training_and_the_choice_of_the_epoch_are_without(make_config: MakeConfig) -> None:
    folders = [
        fit(make_config(run=name, encoder=encoder), resume=False, console=SILENT).folder
        for name, encoder in (("whitened", WHITENED), ("plain", PLAIN))
    ]
    one, other = (read_metrics(folder / "metrics.csv") for folder in folders)
    timed = {"seconds", "images_per_second"}
    assert [{k: v for k, v in row.items() if k not in timed} for row in one] == [
        {k: v for k, v in row.items() if k not in timed} for row in other
    ]
    states = [tuned_encoder(open_run(str(folder), checkpoints=Path()).config, folder, alpha=1.0).state_dict()
              for folder in folders]  # fmt: skip
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])
    assert (folders[0] / "whitening.safetensors").is_file()
    assert not (folders[1] / "whitening.safetensors").exists()


def test_the_user_is_told_what_it_gives(make_config: MakeConfig) -> None:
    console = RecordingConsole()
    config = make_config(encoder=WHITENED, trainer={"epochs": 1, "accelerator": "cpu"})
    folder = fit(config, resume=False, console=console).folder
    metrics = json.loads((folder / "run.json").read_text())["whitening"]["val"]["metrics"]
    images = json.loads((folder / "run.json").read_text())["whitening"]["images"]
    assert console.lines[-1] == (
        f"whitened (power 0.25, learned from {images} training images): on val "
        f"map_at_r {metrics['map_at_r']['mean']:.3f}  recall_at_1 {metrics['recall_at_1']['mean']:.3f}; "
        "the epoch was chosen without whitening"
    )


def test_an_untouched_encoder_is_whitened_on_the_training_images(make_config: MakeConfig, catalog: Catalog) -> None:
    config = make_config(encoder={"kind": "histogram", "bins": 4, "image_size": 24, "whitening": {}})
    found = means(evaluate(config, run=None, split="test", alpha=None, console=SILENT))
    task = retrieval_task(catalog, split="test", gallery_splits=None, relevance=same(["product"]))
    plain = build_encoder(config.encoder, load=True)

    def histograms(rows: list[int]) -> NDArray[np.float64]:
        squares = [plain.preprocessing.pixels(read_image(catalog.root / catalog.rows["path"][row])) for row in rows]
        return plain.embed_pixels(torch.from_numpy(np.stack(squares))).double().numpy()

    train = histograms(catalog.rows_of(["train"]).tolist())
    variances, directions = np.linalg.eigh(np.cov(train.T))
    scale = np.sqrt(0.9 * variances.clip(0) + 0.1 * variances.mean())
    vectors = unit((histograms(task.rows.tolist()) - train.mean(axis=0)) @ directions / scale)
    expected = named_scores(with_kind(task, catalog), torch.from_numpy(vectors).float()).means()
    assert {name: expected[name] for name in found} == pytest.approx(found, abs=1e-6)


def test_stored_whitening_is_taken_without_the_training_images(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simtrain.runs.whitening._fitted", None)
    encoder = run_encoder(run, alpha=None, console=SILENT)
    assert encoder.embedding_size == DIMENSIONS


@pytest.mark.parametrize("override", ["encoder.whitening.power=0.5", "encoder.evaluation_image_size=64"])
def test_other_settings_are_learned_anew_and_not_stored(run: Run, catalog: Catalog, override: str) -> None:
    before = sha256_of_file(run.folder / "whitening.safetensors")
    other = again(run, override)
    found = means(evaluate(other.config, run=other, split="test", alpha=None, console=SILENT))
    if "power" in override:
        expected = expected_metrics(run, catalog, split="test", power=0.5)
        assert {name: expected[name] for name in found} == pytest.approx(found, abs=1e-6)
    else:
        assert found != means(evaluate(run.config, run=run, split="test", alpha=None, console=SILENT))
    assert sha256_of_file(run.folder / "whitening.safetensors") == before


def test_a_run_without_it_is_whitened_if_asked(catalog: Catalog, run: Run) -> None:
    (run.folder / "whitening.safetensors").unlink()
    text = (run.folder / "config.yaml").read_text()
    start = text.index("  whitening:")
    end = text.index("  weights:", start)
    (run.folder / "config.yaml").write_text(text[:start] + "  whitening: null\n" + text[end:])
    plain = open_run(str(run.folder), checkpoints=Path())
    assert plain.config.encoder.whitening is None  # type: ignore[union-attr]
    asked = again(plain, "encoder.whitening={power: 0.25, shrinkage: 0.2, dimensions: 20}")
    found = means(evaluate(asked.config, run=asked, split="test", alpha=None, console=SILENT))
    expected = expected_metrics(run, catalog, split="test")
    assert {name: expected[name] for name in found} == pytest.approx(found, abs=1e-6)


def test_an_interrupted_run_has_none_and_a_resumed_one_that_of_a_whole_one(make_config: MakeConfig) -> None:
    def kill(line: str) -> None:
        if line.startswith("epoch 1/"):
            signal.raise_signal(signal.SIGTERM)

    config = make_config(encoder=WHITENED, run="interrupted")
    folder = fit(config, resume=False, console=RecordingConsole(on_line=kill)).folder
    assert not (folder / "whitening.safetensors").exists()
    interrupted = open_run(str(folder), checkpoints=folder.parent)
    assert means(evaluate(interrupted.config, run=interrupted, split="val", alpha=None, console=SILENT))
    fit(config, resume=True, console=SILENT)
    whole = fit(make_config(encoder=WHITENED, run="whole"), resume=False, console=SILENT).folder
    encoders = [
        run_encoder(open_run(str(one), checkpoints=one.parent), alpha=None, console=SILENT) for one in (folder, whole)
    ]
    pixels = torch.from_numpy(golden_images(48))
    assert torch.equal(encoders[0].embed_pixels(pixels), encoders[1].embed_pixels(pixels))


def test_interpolation_leaves_the_whitening_of_the_mix_that_it_chose(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = sweep(run, bound=0.0)
    mixed = open_run(str(run.folder), checkpoints=Path())
    expected = run_encoder(mixed, alpha=chosen.alpha, console=SILENT)
    assert mixed.record["whitening"]["alpha"] == chosen.alpha
    monkeypatch.setattr("simtrain.runs.whitening._fitted", None)
    found = run_encoder(mixed, alpha=None, console=SILENT)
    pixels = torch.from_numpy(golden_images(48))
    assert torch.equal(found.embed_pixels(pixels), expected.embed_pixels(pixels))


@pytest.mark.slow
def test_a_bundle_has_all_of_it(run: Run, catalog: Catalog, tmp_path: Path) -> None:
    export(run, out=tmp_path / "bundle", alpha=None, console=SILENT)
    bundle = Bundle.open(tmp_path / "bundle")
    assert (bundle.preprocessing.image_size, bundle.preprocessing.flip_averaging) == (48, True)
    assert bundle.manifest["encoder"]["embedding_size"] == DIMENSIONS
    assert bundle.encoder_config["whitening"] == WHITENED["whitening"]
    rows = catalog.rows_of(["test"]).tolist()
    train = plain_vectors(run, catalog, catalog.rows_of(["train"]).tolist())
    expected = whitened(plain_vectors(run, catalog, rows), train)
    place = {identifier: number for number, identifier in enumerate(bundle.items["id"])}
    stored = bundle.index.vectors(np.array([place[catalog.rows["id"][row]] for row in rows]))
    np.testing.assert_allclose(stored @ stored.T, expected @ expected.T, atol=1e-4)
    encoder = bundle.load_encoder(encoder_without_weights)
    pictures = [read_image(catalog.root / catalog.rows["path"][row]) for row in rows]
    pixels = torch.from_numpy(np.stack([encoder.preprocessing.pixels(picture) for picture in pictures]))
    embeddings = encoder.embed_pixels(pixels).numpy()
    np.testing.assert_allclose(embeddings, stored, atol=1e-5)
    if bundle.onnx_path is not None:
        found = OnnxEncoder(path=bundle.onnx_path).embed(encoder.preprocessing.normalise(pixels).numpy())
        np.testing.assert_allclose(found, embeddings, atol=1e-5)
    told = evaluate_anything(load_encoder(tmp_path / "bundle"), catalog, split="test", console=SILENT)
    assert means(told) == pytest.approx(
        means(evaluate(run.config, run=run, split="test", alpha=None, console=SILENT)), abs=1e-9
    )


@pytest.mark.slow
def test_the_whitening_is_part_of_a_bundle_s_fingerprint(run: Run, tmp_path: Path) -> None:
    for name, power in (("one", POWER), ("other", 0.2)):
        changed = again(run, "export.onnx=false", f"encoder.whitening.power={power}")
        export(changed, out=tmp_path / name, alpha=None, console=SILENT)
    one, other = Bundle.open(tmp_path / "one"), Bundle.open(tmp_path / "other")
    assert one.fingerprint != other.fingerprint
    weights = "encoder/model.safetensors"
    assert one.manifest["files"][weights] == other.manifest["files"][weights]
    shutil.copy(tmp_path / "other" / "encoder" / "whitening.safetensors", tmp_path / "one" / "encoder")
    with pytest.raises(BundleError) as caught:
        Bundle.open(tmp_path / "one")
    path = tmp_path / "one" / "encoder" / "whitening.safetensors"
    assert str(caught.value).startswith(f"{path}: altered or of another bundle")


def test_a_loaded_run_is_whitened(run: Run) -> None:
    assert load_encoder(run).embedding_size == DIMENSIONS
    assert load_encoder(run).encode([np.zeros((40, 50, 3), dtype=np.uint8)]).shape == (1, DIMENSIONS)


def test_a_loaded_configuration_is_refused(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(dump_yaml(make_config(encoder=WHITENED)))
    with pytest.raises(ConfigError) as caught:
        load_encoder(tmp_path / "one.yaml")
    assert str(caught.value) == (
        "one.yaml: encoder.whitening is learned from a catalogue's training images; load the encoder without, and "
        "evaluate with overrides={'encoder.whitening.power': 0.5}"
    )


def test_an_encoder_in_memory_is_evaluated_whitened_and_stays_as_it_is(
    make_config: MakeConfig, catalog: Catalog
) -> None:
    section = {"kind": "histogram", "bins": 4, "image_size": 24}
    whitening = {"encoder.whitening": {"power": 0.3}}
    loaded = load_encoder(section)
    found = evaluate_anything(loaded, catalog, overrides=whitening, console=SILENT)
    config = make_config(encoder={**section, "whitening": {"power": 0.3}})
    assert means(found) == means(evaluate(config, run=None, split="test", alpha=None, console=SILENT))
    assert (loaded.network.whitening, loaded.embedding_size) == (None, 64)

"""How near a run has stayed to its start, as `evaluate` finds and shows it."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from small_configs import run_config
from small_runs import copied
from tiny_clip import DIMENSIONS, make_tiny_clip
from tiny_text import make_tiny_multilingual, make_tiny_text

from simtrain.builders.saved_encoder import load_initial_encoder
from simtrain.catalog.store.reader import open_images
from simtrain.catalog.table import Catalog
from simtrain.commands.evaluate import EvaluationReport, evaluate
from simtrain.commands.fit import fit
from simtrain.config import RunConfig
from simtrain.console import SILENT
from simtrain.encoders.base import Encoder
from simtrain.evaluation import drift as drift_module
from simtrain.evaluation.drift import EmbeddingDrift
from simtrain.runs.evaluation import embed_rows
from simtrain.runs.run import Run, open_run
from simtrain.runs.tuned_encoder import tuned_encoder

MakeConfig = Callable[..., RunConfig]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_clip(tmp_path_factory.mktemp("clip") / "model")


@pytest.fixture(scope="module")
def config(catalog: Catalog, model: Path, tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    return run_config(
        catalog,
        tmp_path_factory.mktemp("tuned"),
        encoder={"kind": "clip", "model": str(model)},
        trainer={"epochs": 1, "accelerator": "cpu"},
        optimizer={"learning_rate": 1e-3},
    )


@pytest.fixture(scope="module")
def first_trained(config: RunConfig) -> Run:
    return fitted(config)


@pytest.fixture
def trained(first_trained: Run, tmp_path: Path) -> Run:
    return copied(first_trained, tmp_path)


def fitted(config: RunConfig) -> Run:
    folder = fit(config, resume=False, console=SILENT).folder
    return open_run(str(folder), checkpoints=folder.parent)


def embedded(encoder: Encoder, catalog: Catalog, config: RunConfig) -> NDArray[np.float32]:
    images = open_images(catalog, smallest=encoder.preprocessing.image_size).reader
    rows = catalog.rows_of(["test"]).tolist()
    return embed_rows(encoder, images, rows, config=config, console=SILENT).numpy()


def test_a_run_is_compared_with_its_start(trained: Run, catalog: Catalog, capsys: pytest.CaptureFixture[str]) -> None:
    config = trained.config
    report = evaluate(config, run=trained, split="test", alpha=1.0, console=SILENT)
    assert report.drift is not None
    encoders = tuned_encoder(config, trained.folder, alpha=1.0), load_initial_encoder(config.encoder, trained.folder)
    now, before = (embedded(encoder, catalog, config) for encoder in encoders)
    cosines = (now * before).sum(axis=1)
    assert cosines.mean() < 0.9999
    assert report.drift.images == len(cosines)
    found = [report.drift.mean, report.drift.low, report.drift.lowest]
    assert found == pytest.approx([cosines.mean(), np.quantile(cosines, 0.05), cosines.min()], abs=1e-5)
    untouched = evaluate(config, run=None, split="test", alpha=None, console=SILENT).text
    assert untouched is not None
    assert untouched.captions is not None
    assert report.text is not None
    assert report.text.captions is not None
    name = "text_to_image_recall_at_5"
    first, last = (of.text_to_image.metrics["recall_at_5"].mean for of in (untouched.captions, report.text.captions))
    assert report.drift.start["captions"][name] == pytest.approx(first)
    assert report.drift.lost["captions"][name].mean == pytest.approx(first - last)
    print(report)
    expected = (
        f"{name} of captions: {100 * first:.1f} with the initial weights, {100 * (last - first):+.1f} points since ("
    )
    assert expected in capsys.readouterr().out


def test_a_share_of_nothing_is_the_start(trained: Run) -> None:
    report = evaluate(trained.config, run=trained, split="test", alpha=0.0, console=SILENT)
    assert report.drift is not None
    assert report.alpha == 0
    assert report.drift.lowest == pytest.approx(1, abs=1e-5)
    assert {found.mean for of_words in report.drift.lost.values() for found in of_words.values()} == {0}


def test_a_run_whose_start_is_gone_is_judged_without_it(trained: Run) -> None:
    shutil.rmtree(trained.folder / "encoder")
    report = evaluate(trained.config, run=trained, split="test", alpha=1.0, console=SILENT)
    assert report.drift is None
    assert report.not_evaluated == [
        f"embedding drift from the initial weights: unavailable: {trained.folder / 'encoder' / 'modules.json'}: "
        "missing: this run has no copy of its initial weights; train it again"
    ]


def report_of(config: RunConfig, kept: EmbeddingDrift, *, text_model: str | None) -> EvaluationReport:
    report = evaluate(config, run=None, split="test", alpha=None, console=SILENT)
    return replace(report, drift=kept, encoder={**report.encoder, "text_model": text_model})


@pytest.mark.parametrize(("cosine", "text_model", "warned"), [(0.8, "m", True), (0.95, "m", False), (0.8, None, False)])
def test_a_text_model_that_no_longer_fits_is_warned_of(
    config: RunConfig, capsys: pytest.CaptureFixture[str], cosine: float, text_model: str | None, warned: bool
) -> None:
    kept = EmbeddingDrift(images=24, mean=cosine, low=cosine, lowest=cosine, start={}, lost={}, confidence=0.95)
    print(report_of(config, kept, text_model=text_model))
    lines = capsys.readouterr().out.splitlines()
    assert (
        f"embedding drift from the initial weights: cosine of 24 images {cosine:.3f} on average, 5 % below "
        f"{cosine:.3f}, lowest {cosine:.3f}" in lines
    )
    warning = (
        "warning: encoder.text_model fits the initial image embeddings, and these have drifted (their cosine is "
        "below 0.9 on "
        "average); find a smaller alpha with simtrain interpolate, or train with a larger objective.keep.distillation"
    )
    assert (warning in lines) is warned


def test_tuning_that_goes_too_far_for_another_text_model_is_noticed(
    make_config: MakeConfig, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift_module, "LEAST_COSINE", 0.999)  # no single epoch of so small a network goes far
    words = make_tiny_multilingual(tmp_path / "words", size=DIMENSIONS)
    config = make_config(
        encoder={"kind": "clip", "model": str(model), "text_model": str(words)},
        trainer={"epochs": 1, "accelerator": "cpu"},
        optimizer={"learning_rate": 1e-3},
    )
    report = evaluate(config, run=fitted(config), split="test", alpha=1.0, console=SILENT)
    assert report.drift is not None
    assert report.drift.mean < 0.999
    assert report.text_model_drift() is not None


def test_an_assembly_of_two_towers_has_no_start_to_stay_near_to(make_config: MakeConfig, tmp_path: Path) -> None:
    image = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}
    config = make_config(
        encoder={"kind": "two_towers", "image": image, "text": str(make_tiny_text(tmp_path / "words"))},
        objective={"kind": "image_text"},
        trainer={"epochs": 1, "accelerator": "cpu"},
    )
    report = evaluate(config, run=fitted(config), split="test", alpha=None, console=SILENT)
    assert report.text is not None
    assert (report.drift, report.alpha) == (None, 1)

"""Ridge maps beside runs that embed texts, against the normal equations and a loop over the texts."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from page_parser import written
from small_runs import copied, train
from tiny_text import WORD_SIZE, make_tiny_text

from simtrain.builders.saved_encoder import load_initial_encoder
from simtrain.catalog.store.reader import open_images
from simtrain.catalog.table import Catalog, write_catalog
from simtrain.commands.compare import compare
from simtrain.comparison.result import ComparisonReport
from simtrain.config import load_compare_config
from simtrain.console import SILENT
from simtrain.data.embedding import EmbeddingSettings, embed_images
from simtrain.encoders.base import Encoder
from simtrain.encoders.ridge_text_map import STRENGTHS
from simtrain.encoders.text import TextEncoder
from simtrain.runs.run import Run, open_run

NETWORK = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}
FEW = ["draws=1000", "workers=0", "robustness_images=0", "pictures.map_points=0", "whitening=null", "starts=false"]


@pytest.fixture(scope="module")
def shop(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """A copy in which the first image of each product has no caption, with columns of other texts."""
    folder = tmp_path_factory.mktemp("own") / "catalog"
    shutil.copytree(catalog.folder, folder)
    first, training = ~catalog.rows["product"].duplicated(), catalog.rows["split"] == "train"
    captions = catalog.rows["caption"].mask(first)
    columns = {"only_tested": captions.mask(training), "one_text": captions.mask(training, "a mug")}
    own = Catalog(rows=catalog.rows.assign(caption=captions, **columns), root=catalog.root, folder=folder)
    write_catalog(own)
    return own


@pytest.fixture(scope="module")
def two_towers(shop: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("towers")
    text = make_tiny_text(folder / "text")
    encoder = {"kind": "two_towers", "image": {**NETWORK, "embedding_size": WORD_SIZE}, "text": str(text)}
    return train(shop, folder, encoder=encoder, objective={"kind": "image_text", "templates": ["{caption}"]})


@pytest.fixture(scope="module")
def report(shop: Catalog, two_towers: Run, tmp_path_factory: pytest.TempPathFactory) -> ComparisonReport:
    return compared(shop, copied(two_towers, tmp_path_factory.mktemp("reported")))


def compared(catalog: Catalog, *runs: Run, settings: tuple[str, ...] = ()) -> ComparisonReport:
    config = load_compare_config(None, [*FEW, "encoders=[pixels]", *settings])
    return compare(catalog.folder, runs, config=config, console=SILENT)


def embedded(encoder: Encoder, catalog: Catalog, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    images = open_images(catalog, smallest=encoder.preprocessing.image_size).reader
    settings = EmbeddingSettings(batch_size=64, workers=0, device=torch.device("cpu"))
    return embed_images(encoder, images, rows.tolist(), settings=settings, console=SILENT).double().numpy()


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def predictions(
    told: NDArray[np.float64], targets: NDArray[np.float64], wanted: NDArray[np.float64], *, strength: float
) -> NDArray[np.float64]:
    """What the normal equations with an intercept give for other texts."""
    centred = told - told.mean(axis=0)
    ridge = strength * np.trace(centred.T @ centred) / told.shape[1]
    columns = np.hstack([told, np.ones((len(told), 1))])
    penalty = np.diag([ridge] * told.shape[1] + [0.0])
    solved = np.linalg.solve(columns.T @ columns + penalty, columns.T @ targets)
    return np.hstack([wanted, np.ones((len(wanted), 1))]) @ solved


def test_scores_are_those_of_the_normal_equations_and_a_loop(
    shop: Catalog, two_towers: Run, report: ComparisonReport
) -> None:
    start = load_initial_encoder(two_towers.config.encoder, two_towers.folder).eval()
    assert isinstance(start, TextEncoder)
    untouched, captions = start.pretrained_encoder(), shop.rows["caption"]
    train_rows = np.array([row for row in shop.rows_of(["train"]) if isinstance(captions[row], str)])
    rows = shop.rows_of(["test"])
    images = embedded(untouched, shop, train_rows)
    told = start.embed_texts([captions[row] for row in train_rows]).double().numpy()
    targets = unit(images - images.mean(axis=0))
    texts = sorted({captions[row] for row in rows if isinstance(captions[row], str)})
    wanted = start.embed_texts(texts).double().numpy()
    errors = []
    for strength in STRENGTHS:
        error = 0.0
        for text in {captions[row] for row in train_rows}:
            out = np.array([captions[row] == text for row in train_rows])
            # The ridge is a share of the variance of all training texts, those left out among them.
            all_of_it = np.trace(np.cov(told.T, bias=True)) * len(told)
            without = np.trace(np.cov(told[~out].T, bias=True)) * (~out).sum()
            found = predictions(told[~out], targets[~out], told[out][:1], strength=strength * all_of_it / without)
            error += out.sum() * ((targets[out].mean(axis=0) - found[0]) ** 2).sum()
        errors.append(error)
    (figures,) = report.text_maps
    assert figures.name == "ridge_map_of_small"
    assert figures.runs == ("small",)
    assert figures.strengths == (STRENGTHS[int(np.argmin(errors))],)
    assert figures.training_images == (len(train_rows),)
    assert figures.training_texts == (len({captions[row] for row in train_rows}),)
    gallery = unit(embedded(untouched, shop, rows) - images.mean(axis=0))
    similar = unit(predictions(told, targets, wanted, strength=figures.strengths[0])) @ gallery.T
    for k in (1, 5, 10):
        hits = [
            any(captions[rows[place]] == text for place in np.argsort(-of_text)[:k])
            for text, of_text in zip(texts, similar, strict=True)
        ]
        assert figures.text[f"text_to_image_recall_at_{k}"].mean == pytest.approx(np.mean(hits))
        with_caption = [place for place, row in enumerate(rows) if isinstance(captions[row], str)]
        hits = [
            captions[rows[place]] in [texts[one] for one in np.argsort(-similar[:, place])[:k]]
            for place in with_caption
        ]
        assert figures.text[f"image_to_text_recall_at_{k}"].mean == pytest.approx(np.mean(hits))


def test_a_run_is_judged_against_its_map(report: ComparisonReport) -> None:
    (verdict,), (figures,) = report.text_verdicts, report.text_maps
    assert (verdict.encoder, verdict.baseline, verdict.relevance) == ("small", "ridge_map_of_small", "captions")
    own, other = report.encoder("small").text, figures.text
    name = "text_to_image_recall_at_1"
    assert verdict.metric == name
    assert verdict.difference.mean == pytest.approx(own[name].mean - other[name].mean)
    assert verdict not in report.verdicts()


def test_it_is_in_the_table_the_file_and_on_the_page(report: ComparisonReport, tmp_path: Path) -> None:
    lines, sentence = str(report).splitlines(), report.text_verdicts[0].sentences[0]
    assert sentence in lines
    row = next(line for line in lines if line.split()[:1] == ["ridge_map_of_small"]).split()
    mean = 100 * report.text_maps[0].text["text_to_image_recall_at_1"].mean
    assert (row[1], row[-1]) == (f"{mean:.1f}", "baseline")
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["texts"] == "captions"
    assert [one["name"] for one in plain["text_maps"]] == ["ridge_map_of_small"]
    assert plain["text_maps"][0]["text"]["text_to_image_recall_at_1"]["mean"] == pytest.approx(mean / 100)
    assert plain["text_verdicts"][0]["sentences"][0] == sentence
    page = written(tmp_path, report)
    assert sentence in page.text
    assert "Linear maps from texts to images ridge_map_of_small" in page.text


def test_runs_with_one_start_share_a_map(shop: Catalog, two_towers: Run, tmp_path: Path) -> None:
    shutil.copytree(two_towers.folder, tmp_path / "other")
    other = open_run("other", checkpoints=tmp_path, overrides=["optimizer.learning_rate=2e-3"])
    found = compared(shop, copied(two_towers, tmp_path), other)
    assert [one.runs for one in found.text_maps] == [("small", "other")]
    assert [(one.encoder, one.comparisons) for one in found.text_verdicts] == [("small", 2), ("other", 2)]


def test_a_clip_run_has_a_map_of_its_own_towers(catalog: Catalog, clip_run: Run) -> None:
    found = compared(catalog, clip_run)
    (figures,) = found.text_maps
    assert figures.runs == ("small",)
    assert set(figures.text) == set(found.encoder("small").text)


@pytest.mark.parametrize("setting", ["text_map=false", "captions='{only_tested}'"])
def test_turned_off_or_without_texts_of_training_images_there_is_no_map(
    shop: Catalog, two_towers: Run, tmp_path: Path, setting: str
) -> None:
    found = compared(shop, copied(two_towers, tmp_path), settings=(setting,))
    assert (found.text_maps, found.text_verdicts) == ([], [])
    assert found.encoder("small").text


def test_too_few_texts_are_listed_with_the_reason(shop: Catalog, two_towers: Run, tmp_path: Path) -> None:
    found = compared(shop, copied(two_towers, tmp_path), settings=("captions='{one_text}'",))
    assert [(one.name, one.reason) for one in found.unavailable] == [
        ("ridge_map_of_small", "ridge map: the training images have 1 different text; needs 3")
    ]

"""Thresholds of a bundle: against a loop over the vectors of its own index, and as a person reads them."""

# Shapes: N images, D features.

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from simtrain import cli
from simtrain.catalog.table import Catalog
from simtrain.commands.export import export
from simtrain.commands.fit import fit
from simtrain.commands.search import search
from simtrain.config import RunConfig
from simtrain.console import SILENT
from simtrain.runs.run import Run, open_run
from simtrain.runs.threshold_calibration import calibrate
from simtrain.serving.bundle import Bundle

MakeConfig = Callable[..., RunConfig]
ASKED = {"precisions": [0.3, 0.9], "neighbours": 3, "minimum_errors": 2}


@pytest.fixture
def run(make_config: MakeConfig) -> Run:
    settings = {"onnx": False, "thresholds": ASKED}
    config = make_config(trainer={"epochs": 1, "accelerator": "cpu"}, relevance="label", export=settings)
    folder = fit(config, resume=False, console=SILENT).folder
    return open_run(str(folder), checkpoints=folder.parent)


@pytest.fixture
def bundle(run: Run, tmp_path: Path) -> Path:
    export(run, out=tmp_path / "bundle", alpha=None, console=SILENT)
    return tmp_path / "bundle"


def looped_pairs(bundle: Bundle, catalog: Catalog, *, neighbours: int) -> list[tuple[float, bool]]:
    """Similarity and relevance of what each query of val finds in the bundle's own index, itself left out."""
    vectors = bundle.index.vectors(np.arange(bundle.index.count)).astype(np.float64)
    labels, ids = bundle.items["label"].tolist(), bundle.items["id"].tolist()
    asking = set(catalog.rows.loc[(catalog.rows["split"] == "val") & catalog.rows["query"], "id"])
    pairs = []
    for row in (row for row, name in enumerate(ids) if name in asking):
        others = sorted((-float(vectors[row] @ vectors[other]), other) for other in range(len(ids)) if other != row)
        pairs += [(-similarity, labels[other] == labels[row]) for similarity, other in others[:neighbours]]
    return pairs


@pytest.mark.slow
def test_thresholds_are_of_val_queries_among_everything_that_the_bundle_finds(bundle: Path, catalog: Catalog) -> None:
    opened = Bundle.open(bundle)
    measured = opened.manifest["thresholds"]
    assert (measured["split"], measured["relevance"], measured["neighbours"]) == ("val", ["label"], 3)
    queries = int(((catalog.rows["split"] == "val") & catalog.rows["query"]).sum())
    assert (measured["queries"], measured["gallery"]) == (queries, 120)
    pairs = looped_pairs(opened, catalog, neighbours=3)
    assert measured["positives"] + measured["negatives"] == len(pairs) == 3 * queries
    assert measured["positives"] == sum(right for _, right in pairs)
    reached, unreached = measured["levels"]
    shown = [right for similarity, right in pairs if similarity >= reached["similarity"] - 1e-6]
    assert (reached["positives"], reached["negatives"]) == (sum(shown), len(shown) - sum(shown))
    assert sum(shown) >= 0.3 * len(shown)
    assert len(shown) >= 3  # 2 / (1 - 0.3)
    assert unreached["similarity"] is None
    assert unreached["reason"].startswith("it needs 20 pairs or more, and of so many at most ")
    assert opened.manifest["no_thresholds"] is None
    [promised] = opened.promises
    assert (promised.precision, promised.similarity, promised.pairs) == (0.3, reached["similarity"], len(shown))


@pytest.mark.slow
def test_export_tells_what_is_similar_enough(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["simtrain", "export", str(run.folder), "--out", str(tmp_path / "bundle")])
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    assert not leaving.value.code
    measured = json.loads((tmp_path / "bundle/manifest.json").read_text(encoding="utf-8"))["thresholds"]
    level, other = measured["levels"]
    shown = capsys.readouterr().out.splitlines()
    pairs = level["positives"] + level["negatives"]
    assert (
        f"similarity thresholds: {level['similarity']:.3f} for 30 % precision ({pairs} pairs); relevant = same label, "
        f"the 3 nearest of {measured['queries']} queries of val among all 120 images"
    ) in shown
    assert f"no similarity for 90 % precision: {other['reason']}" in shown


@pytest.mark.slow
def test_search_shows_what_is_similar_enough(
    bundle: Path, catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = Bundle.open(bundle)
    found = search(bundle, image=opened.image_path(0), text=None, k=120, plot=None)
    [promised] = opened.promises
    similar_enough = [one.similarity >= promised.similarity - 1e-6 for one in found.neighbours]
    assert 1 <= sum(similar_enough) < 120
    assert [one.precision for one in found.neighbours] == [0.3 if enough else None for enough in similar_enough]
    plain = found.to_dict()
    assert plain["thresholds"] == [{"precision": 0.3, "similarity": promised.similarity, "pairs": promised.pairs}]
    assert [one["precision"] for one in plain["neighbours"]] == [one.precision for one in found.neighbours]
    print(found)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["rank", "similarity", "precision", "id", "what"]
    assert sum(">= 0.3" in line for line in lines) == sum(similar_enough)
    assert lines[-1] == (
        "precision: share of results at least so similar that have the same label, on val: "
        f"0.3 from {promised.similarity:.3f}"
    )


@pytest.mark.slow
def test_a_text_is_promised_nothing(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = search(bundle, image=Bundle.open(bundle).image_path(0), text=None, k=2, plot=None)
    asked = replace(found, by_text=True, neighbours=[replace(one, precision=None) for one in found.neighbours])
    assert asked.to_dict()["thresholds"] == []
    print(asked)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["rank", "similarity", "id", "what"]
    assert lines[-1] == "precision is known for image queries only; similarities to texts are on another scale"


def test_without_products_and_labels_there_is_a_reason_and_no_threshold(
    make_config: MakeConfig, catalog: Catalog
) -> None:
    found = calibrate(make_config(), catalog, torch.zeros(len(catalog.rows), 2), scored=False)
    assert found.to_dict() is None
    assert found.reason == "the catalogue has neither products nor labels, so no result is known to be right"


def test_training_images_ask_nothing_and_are_found(make_config: MakeConfig, catalog: Catalog) -> None:
    """Each product of val in a place of its own, where there is a training image as well: one of 4 is wrong."""
    rows = catalog.rows
    places = rows.groupby("product").ngroup().to_numpy().copy()
    held_out = (rows["split"] == "val").to_numpy()
    products = sorted(set(places[held_out]))
    intruders = np.flatnonzero((rows["split"] == "train").to_numpy())[: len(products)]
    places[intruders] = products
    noise = np.random.default_rng(0).normal(0, 1e-3, (len(rows), 64))
    embeddings = normalize(torch.from_numpy(np.eye(64)[places] + noise).float())
    asked = make_config(export={"thresholds": {"precisions": [0.7], "neighbours": 4, "minimum_errors": 1}})
    found = calibrate(asked, catalog, embeddings, scored=True).thresholds
    assert found is not None
    # 4 views of a product: 3 others, and the training image that lies there.
    assert (found.positives, found.negatives) == (3 * held_out.sum(), held_out.sum())
    assert found.thresholds[0].precision == pytest.approx(0.75, abs=0.02)

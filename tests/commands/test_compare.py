"""`compare`: encoders as they come beside runs, on the same queries."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from recording_console import RecordingConsole
from small_runs import copied, train

from simtrain.builders.encoder import build_encoder
from simtrain.catalog.store.reader import open_images
from simtrain.catalog.table import Catalog, write_catalog
from simtrain.commands.compare import compare
from simtrain.commands.evaluate import evaluate
from simtrain.commands.prepare import prepare
from simtrain.comparison import assemble
from simtrain.comparison.files import write_comparison
from simtrain.comparison.result import ComparisonReport
from simtrain.config import CompareConfig, PrepareConfig, encoder_names, load_compare_config
from simtrain.config.encoder_names import OFF_THE_SHELF, named_encoder
from simtrain.console import SILENT
from simtrain.data.embedding import EmbeddingSettings, embed_images
from simtrain.encoders.baseline import HistogramEncoder
from simtrain.errors import CheckpointError, ConfigError
from simtrain.evaluation.named_scores import named_scores
from simtrain.evaluation.protocol import retrieval_task
from simtrain.evaluation.relevance import same
from simtrain.launch import shared_embedding
from simtrain.runs.run import Run, open_run

NETWORK = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32}
FEW = ["draws=1000", "workers=0", "robustness_images=6", "pictures.map_method=pca", "pictures.queries=2"]


def settings(*overrides: str, encoders: str = "[pixels,histogram_hsv]") -> CompareConfig:
    return load_compare_config(None, [*FEW, f"encoders={encoders}", *overrides])


def compared(catalog: Catalog, *runs: Run, config: CompareConfig | None = None) -> ComparisonReport:
    return compare(catalog.folder, runs, config=config or settings(), console=SILENT)


@pytest.fixture(scope="module", autouse=True)
def small_pixels() -> Iterator[None]:
    """The encoder `pixels` at 8 × 8, which has 192 dimensions and not 3,072 to be whitened."""
    with pytest.MonkeyPatch.context() as patched:
        named = {**OFF_THE_SHELF, "pixels": {"kind": "pixels", "image_size": 8}}
        patched.setattr(encoder_names, "OFF_THE_SHELF", named)
        yield


@pytest.fixture(scope="session")
def first_run(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(catalog, tmp_path_factory.mktemp("compared"), encoder=NETWORK)


@pytest.fixture
def run(first_run: Run, tmp_path: Path) -> Run:
    return copied(first_run, tmp_path)


@pytest.fixture(scope="module")
def own_catalog(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """A copy, in which embeddings may be kept."""
    folder = tmp_path_factory.mktemp("own") / "catalog"
    shutil.copytree(catalog.folder, folder)
    return Catalog(rows=catalog.rows, root=catalog.root, folder=folder)


@pytest.fixture(scope="module")
def report(own_catalog: Catalog, first_run: Run, tmp_path_factory: pytest.TempPathFactory) -> ComparisonReport:
    return compared(own_catalog, copied(first_run, tmp_path_factory.mktemp("reported")))


def vectors(catalog: Catalog, name: str, rows: list[int]) -> torch.Tensor:
    encoder = build_encoder(named_encoder(name), load=True)
    images = open_images(catalog, smallest=encoder.preprocessing.image_size).reader
    device = torch.device("cpu")
    return embed_images(
        encoder, images, rows, settings=EmbeddingSettings(batch_size=64, workers=0, device=device), console=SILENT
    )


def figure(report: ComparisonReport, name: str, metric: str, relevance: str = "product") -> float:
    return report.encoder(name).relevances[relevance].metrics[metric].mean


def test_chance_comes_first_then_what_nobody_trained_then_runs(report: ComparisonReport):
    assert [(one.name, one.kind) for one in report.encoders] == [
        ("chance", "chance"),
        ("pixels", "off_the_shelf"),
        ("histogram_hsv", "off_the_shelf"),
        ("start_of_small", "off_the_shelf"),
        ("pixels_whitened", "whitened"),
        ("pixels_half_whitened", "whitened"),
        ("histogram_hsv_whitened", "whitened"),
        ("histogram_hsv_half_whitened", "whitened"),
        ("start_of_small_whitened", "whitened"),
        ("start_of_small_half_whitened", "whitened"),
        ("small", "run"),
    ]


@pytest.mark.parametrize("relevance", ["product", "label"])
def test_figures_are_those_of_the_task_itself(own_catalog: Catalog, report: ComparisonReport, relevance: str):
    task = retrieval_task(own_catalog, split="test", gallery_splits=None, relevance=same([relevance]))
    means = named_scores(task, vectors(own_catalog, "histogram_hsv", task.rows.tolist())).means()
    for metric in ("recall_at_1", "recall_at_5", "r_precision", "map_at_r", "mrr"):
        assert figure(report, "histogram_hsv", metric, relevance) == pytest.approx(means[metric])


def test_a_run_has_the_figures_that_evaluate_tells(report: ComparisonReport, run: Run):
    told = evaluate(run.config, run=run, split="test", alpha=None, console=SILENT).evaluation.metrics
    for metric, interval in told.items():
        relevance = "kind" if metric.startswith("kind_") else "product"
        compared_metric = metric.removeprefix("kind_")
        assert figure(report, "small", compared_metric, relevance) == pytest.approx(interval.mean)


@pytest.mark.parametrize(("name", "power"), [("histogram_hsv_whitened", 0.5), ("histogram_hsv_half_whitened", 0.25)])
def test_whitened_embeddings_have_mean_and_covariance_of_training_images_taken_out(
    own_catalog: Catalog, report: ComparisonReport, name: str, power: float
):
    task = retrieval_task(own_catalog, split="test", gallery_splits=None, relevance=same(["product"]))
    train = vectors(own_catalog, "histogram_hsv", own_catalog.rows_of(["train"]).tolist()).double().numpy()
    values, directions = np.linalg.eigh(np.cov(train.T))
    scale = (0.9 * values.clip(0) + 0.1 * values.sum() / len(values)) ** power
    test = vectors(own_catalog, "histogram_hsv", task.rows.tolist()).double().numpy()
    whitened = (test - train.mean(axis=0)) @ directions / scale
    unit = torch.nn.functional.normalize(torch.tensor(whitened), dim=1).float()
    expected = named_scores(task, unit).means()["map_at_r"]
    assert figure(report, name, "map_at_r") == pytest.approx(expected, abs=1e-6)


def test_runs_are_whitened_if_asked_and_powers_are_a_choice(own_catalog: Catalog, run: Run, tmp_path: Path):
    shutil.copytree(own_catalog.folder, tmp_path / "catalog")  # in which other images of the run are embedded
    its_own = Catalog(rows=own_catalog.rows, root=own_catalog.root, folder=tmp_path / "catalog")
    config = settings("whitening.runs=true", "whitening.power=0.4", "starts=false", encoders="[pixels]")
    found = compared(its_own, run, config=config)
    assert [(one.name, one.kind) for one in found.encoders] == [
        ("chance", "chance"),
        ("pixels", "off_the_shelf"),
        ("pixels_whitened_0.4", "whitened"),
        ("small", "run"),
        ("small_whitened_0.4", "run"),
    ]
    asked = open_run(str(run.folder), checkpoints=Path(), overrides=["encoder.whitening={power: 0.4}"])
    told = evaluate(asked.config, run=asked, split="test", alpha=None, console=SILENT).evaluation.metrics
    assert figure(found, "small_whitened_0.4", "map_at_r") == pytest.approx(told["map_at_r"].mean, abs=1e-6)


def test_the_baseline_is_the_best_on_val(own_catalog: Catalog, report: ComparisonReport):
    task = retrieval_task(own_catalog, split="val", gallery_splits=None, relevance=same(["label"]))
    plain = {
        name: named_scores(task, vectors(own_catalog, name, task.rows.tolist())).means()["map_at_r"]
        for name in ("pixels", "histogram_hsv")
    }
    alone = compared(own_catalog, config=settings("whitening=null", "relevance=[label]"))
    assert alone.baseline == max(plain, key=lambda name: plain[name])
    assert alone.baseline_reason == "highest map_at_r on val of the encoders without fine-tuning"
    assert report.baselines.keys() == {"product", "label", "kind"}


def test_verdicts_are_one_family_of_all_encoders_and_ideas_of_relevance(report: ComparisonReport):
    verdicts = report.verdicts()
    assert len(verdicts) == 3 * (len(report.encoders) - 2)
    assert {verdict.comparisons for verdict in verdicts} == {len(verdicts)}
    assert [verdict.encoder for verdict in verdicts[:2]] == ["small", "small"]
    for verdict in verdicts:
        own, other = (
            figure(report, name, "map_at_r", verdict.relevance) for name in (verdict.encoder, verdict.baseline)
        )
        assert verdict.difference.mean == pytest.approx(own - other)
        assert verdict.baseline == report.baselines[verdict.relevance]


def test_a_second_comparison_embeds_nothing(
    own_catalog: Catalog, run: Run, report: ComparisonReport, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*arguments: Any, **settings: Any) -> torch.Tensor:
        raise AssertionError("embedded again")

    monkeypatch.setattr(shared_embedding, "embed_images", refuse)
    again = compared(own_catalog, run).to_dict()
    first = report.to_dict()
    for one in (*again["encoders"], *first["encoders"]):
        (one["cost"] or {}).pop("search_seconds", None)
        one.pop("export")  # names the folder of the run, which is a copy
    assert again["encoders"] == first["encoders"]
    assert again["verdicts"] == first["verdicts"]


def test_other_weights_are_embedded_anew(own_catalog: Catalog, run: Run, report: ComparisonReport):
    checkpoint = torch.load(run.folder / "best.ckpt", weights_only=True)
    for name, value in checkpoint["state_dict"].items():
        if value.is_floating_point():
            checkpoint["state_dict"][name] = value + 0.05 * torch.randn(value.shape)
    torch.save(checkpoint, run.folder / "best.ckpt")
    changed = compared(own_catalog, run)
    assert changed.encoder("small").details["fingerprint"] != report.encoder("small").details["fingerprint"]
    assert figure(changed, "small", "map_at_r") != figure(report, "small", "map_at_r")


def test_what_cannot_be_had_is_listed(own_catalog: Catalog):
    found = compared(own_catalog, config=settings(encoders="[pixels,simclr_resnet50]"))
    assert [(one.name, one.reason) for one in found.unavailable] == [
        ("simclr_resnet50", "checkpoints/simclr_imagenet.ckpt: no such weights file")
    ]
    assert "simclr_resnet50" not in [one.name for one in found.encoders]


def test_two_names_of_one_encoder_are_one(own_catalog: Catalog, tmp_path: Path):
    (tmp_path / "same.yaml").write_text(
        "catalog: x\nencoder: {kind: pixels, image_size: 8}\nobjective: {kind: simclr}\n"
    )
    config = settings(encoders=json.dumps(["pixels", str(tmp_path / "same.yaml")]))
    assert [one.name for one in compared(own_catalog, config=config).encoders] == [
        "chance",
        "pixels",
        "pixels_whitened",
        "pixels_half_whitened",
    ]


def test_readings_of_the_test_split_are_counted_whoever_reads(own_catalog: Catalog, run: Run):
    plain = settings("whitening=null", "starts=false", encoders="[pixels]")
    assert compared(own_catalog, run, config=plain).test_readings == {"small": 1}
    evaluate(run.config, run=run, split="val", alpha=None, console=SILENT)
    compared(own_catalog, run, config=plain.model_copy(update={"split": "val"}))
    evaluated = evaluate(run.config, run=run, split="test", alpha=None, console=SILENT)
    assert evaluated.test_readings == 2
    warning = "the test metrics of this run have been read 2 times; choose no model or setting by them"
    assert warning in str(evaluated).splitlines()
    assert compared(own_catalog, run, config=plain).test_readings == {"small": 3}
    assert json.loads((run.folder / "run.json").read_text())["test_readings"] == 3


def test_a_reading_that_is_broken_off_counts(own_catalog: Catalog, run: Run, monkeypatch: pytest.MonkeyPatch):
    def stop(*arguments: Any, **settings: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("simtrain.commands.compare.assemble_report", stop)
    with pytest.raises(KeyboardInterrupt):
        compared(own_catalog, run)
    assert json.loads((run.folder / "run.json").read_text())["test_readings"] == 1


def test_a_run_without_its_weights_is_told_first(own_catalog: Catalog, run: Run):
    (run.folder / "best.ckpt").unlink()
    with pytest.raises(
        CheckpointError, match=r"small/best\.ckpt: no such checkpoint; resume with: simtrain fit --resume"
    ):
        compared(own_catalog, run)
    assert "test_readings" not in json.loads((run.folder / "run.json").read_text())


def test_what_cannot_be_whitened_is_listed(own_catalog: Catalog, monkeypatch: pytest.MonkeyPatch):
    def alike(self: HistogramEncoder, images: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(images), 512) + 1e-7 * images.mean()

    monkeypatch.setattr(HistogramEncoder, "features", alike)
    found = compared(own_catalog, config=settings(encoders="[pixels,'histogram_lab']"))
    assert [one.name for one in found.unavailable] == ["histogram_lab_whitened", "histogram_lab_half_whitened"]
    assert "are all the same; needs 2 that differ" in found.unavailable[0].reason
    assert "histogram_lab" in [one.name for one in found.encoders]


def test_embeddings_that_vanish_meanwhile_are_made_again(
    own_catalog: Catalog, report: ComparisonReport, monkeypatch: pytest.MonkeyPatch
):
    real = assemble.collect_report_images

    def emptied(*arguments: Any, **settings: Any) -> Any:
        for path in (own_catalog.folder / "embeddings").iterdir():
            path.unlink()
        return real(*arguments, **settings)

    monkeypatch.setattr(assemble, "collect_report_images", emptied)
    found = compared(own_catalog)
    assert found.pictures.alike == compared(own_catalog).pictures.alike


def test_report_is_plain_json(report: ComparisonReport):
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = json.dumps(report.to_dict())
    plain = json.loads(text, parse_constant=refuse)
    assert [one["name"] for one in plain["encoders"]] == [one.name for one in report.encoders]
    assert plain["encoders"][-1]["relevances"]["product"]["verdict"]["word"] in (
        "better", "not shown to be better", "worse",
    )  # fmt: skip


def test_every_encoder_shows_what_it_finds_for_the_same_queries(report: ComparisonReport):
    names = {one.name for one in report.encoders if one.kind != "chance"}
    assert len(report.pictures.queries) == 2
    for query in report.pictures.queries:
        assert query.found.keys() == names
        assert all(found.row != query.row for of in query.found.values() for found in of)
        assert query.row in report.pictures.captions


def test_changed_pictures_find_their_source_or_do_not(report: ComparisonReport):
    for one in report.encoder("pixels").robustness:
        assert 0 <= one.share.mean <= 1
        assert one.queries <= 6
    by_name = {one.name: one.share.mean for one in report.encoder("pixels").robustness}
    assert by_name["jpeg_40"] == 1.0


@pytest.mark.slow
def test_seeds_of_one_training_are_one_row(own_catalog: Catalog, run: Run, tmp_path: Path):
    other = train(own_catalog, tmp_path, encoder=NETWORK, run="other", seed=1)
    found = compared(own_catalog, run, other, config=settings("starts=false", encoders="[pixels]"))
    alone = [
        evaluate(one.config, run=one, split="test", alpha=None, console=SILENT).evaluation.metrics["map_at_r"].mean
        for one in (run, other)
    ]
    row = found.encoders[-1]
    assert (row.name, row.seeds) == ("small", 2)
    assert figure(found, "small", "map_at_r") == pytest.approx(np.mean(alone))
    verdict = row.relevances["product"].verdict
    assert verdict is not None
    assert verdict.seed_means == pytest.approx(alone)
    assert verdict.seed_spread == pytest.approx(np.std(alone, ddof=1))


def test_the_same_training_twice_is_refused(own_catalog: Catalog, run: Run, tmp_path: Path):
    shutil.copytree(run.folder, tmp_path / "twin")
    message = (
        "--run: small and twin are the same training with seed 0; "
        "compare one of them, or train again with another --set seed"
    )
    with pytest.raises(CheckpointError, match=f"^{message}$"):
        compared(own_catalog, run, open_run("twin", checkpoints=tmp_path))


def test_a_run_of_another_catalogue_is_refused(tmp_path: Path, run: Run):
    config = PrepareConfig.model_validate({"synthetic": {"views": 2, "image_size": 32}, "workers": 1})
    other = prepare("synthetic:12", out=tmp_path / "other", config=config).catalog
    with pytest.raises(
        CheckpointError, match=r"^--run small: trained on .* its training images may be among the queries$"
    ):
        compared(other, run)


def test_a_baseline_that_takes_no_part_is_told_with_the_nearest(own_catalog: Catalog):
    message = (
        "baseline: 'pixel' is not compared; did you mean 'pixels'?; allowed: pixels, histogram_hsv, pixels_whitened"
    )
    with pytest.raises(ConfigError, match=rf"^{message.replace('?', r'.')}"):
        compared(own_catalog, config=settings("baseline=pixel"))


def test_too_few_draws_for_so_many_verdicts_are_told(own_catalog: Catalog):
    with pytest.raises(
        ConfigError, match=r"^draws: got 1000; 20 verdicts corrected together at a confidence of 0.999 need 20000 or"
    ):
        compared(own_catalog, config=settings("confidence=0.999"))


@pytest.fixture(scope="session")
def in_folds(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    config = PrepareConfig.model_validate(
        {"synthetic": {"views": 3, "image_size": 32}, "split": {"folds": 3}, "workers": 1}
    )
    return prepare("synthetic:18", out=tmp_path_factory.mktemp("folds") / "catalog", config=config).catalog


def chained(run: Run, checkpoints: Path, **changes: Any) -> Run:
    """A run that says it began from another; its weights are that one's."""
    folder = checkpoints / "chained"
    shutil.copytree(run.folder, folder)
    tree = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**tree, "init_from": str(run.folder), **changes}))
    return open_run("chained", checkpoints=checkpoints)


def test_the_start_of_a_chained_run_counts_as_trained(own_catalog: Catalog, run: Run, tmp_path: Path):
    found = compared(own_catalog, chained(run, tmp_path), config=settings("whitening=null"))
    assert found.encoder("start_of_chained").kind == "run"
    assert found.baseline in ("pixels", "histogram_hsv")


def test_a_run_that_goes_back_to_other_data_is_refused(own_catalog: Catalog, run: Run, tmp_path: Path):
    record = json.loads((run.folder / "run.json").read_text())
    later = chained(run, tmp_path)
    (run.folder / "run.json").write_text(json.dumps({**record, "data": {"sha256": "0" * 64, "catalog": "elsewhere"}}))
    message = "^--run chained: began from small, which was trained on elsewhere as it was then, which is not what "
    with pytest.raises(CheckpointError, match=message):
        compared(own_catalog, later)


def test_a_run_that_goes_back_to_another_fold_is_refused(own_catalog: Catalog, run: Run, tmp_path: Path):
    later = chained(run, tmp_path)
    tree = yaml.safe_load((run.folder / "config.yaml").read_text())
    (run.folder / "config.yaml").write_text(yaml.safe_dump({**tree, "fold": 1}))
    message = "^--run chained: began from small, which was trained with fold 1, whose training images may be among"
    with pytest.raises(CheckpointError, match=message):
        compared(own_catalog, later)


def test_a_run_whose_origin_is_gone_is_compared_with_a_word_of_it(own_catalog: Catalog, run: Run, tmp_path: Path):
    later, said = chained(run, tmp_path), []
    shutil.rmtree(run.folder)
    compare(
        own_catalog.folder, [later], config=settings("whitening=null"), console=RecordingConsole(on_line=said.append)
    )
    assert f"chained: began from {run.folder}, which is gone: what that was trained on is not known" in said


def test_encoders_are_judged_on_all_folds_if_asked(in_folds: Catalog):
    found = compared(in_folds, config=settings("folds=true", "relevance=[product]", encoders="[pixels]"))
    assert (found.folds, found.queries) == ((0, 1, 2), len(in_folds.rows))


@pytest.mark.slow
def test_folds_ask_every_image_once(in_folds: Catalog, tmp_path: Path):
    small = {"encoder": NETWORK, "data": {"batch_size": 4, "workers": 0}}
    runs = [train(in_folds, tmp_path, run=f"fold{fold}", fold=fold, **small) for fold in range(3)]
    found = compared(in_folds, *runs, config=settings("relevance=[product]", encoders="[pixels]"))
    alone = [evaluate(run.config, run=run, split="test", alpha=None, console=SILENT).evaluation for run in runs]
    assert (found.folds, found.queries) == ((0, 1, 2), len(in_folds.rows))
    assert [one.name for one in found.encoders if one.kind == "run"] == ["fold0"]
    pooled = sum(one.metrics["map_at_r"].mean * one.queries for one in alone) / sum(one.queries for one in alone)
    assert figure(found, "fold0", "map_at_r") == pytest.approx(pooled)
    with pytest.raises(
        CheckpointError, match=r"^--run: fold1: seed 0 has no run of fold 0; allowed: one run of each fold$"
    ):
        compared(in_folds, runs[1], train(in_folds, tmp_path, run="odd", seed=3, fold=0, **small))


def test_where_umap_cannot_be_used_the_map_is_made_by_pca_which_is_told(
    own_catalog: Catalog, monkeypatch: pytest.MonkeyPatch
):
    def refuse() -> None:
        raise ConfigError("umap: cannot be compiled here")

    monkeypatch.setattr("simtrain.commands.compare.umap_available", lambda: True)
    monkeypatch.setattr("simtrain.commands.compare.load_umap", refuse)
    console = RecordingConsole()
    overrides = ("whitening=null", "relevance=[product]", "pictures.map_method=auto")
    found = compare(own_catalog.folder, [], config=settings(*overrides, encoders="[pixels]"), console=console)
    assert console.lines[0] == "umap: cannot be compiled here; the map is made by PCA"
    (drawn,) = found.pictures.maps
    assert drawn.method.startswith("PCA")
    rows = list(drawn.rows)
    images = vectors(own_catalog, "pixels", rows).double().numpy()
    _, _, axes = np.linalg.svd(images - images.mean(axis=0), full_matrices=False)
    for axis, coordinates in zip(axes[:2], (drawn.x, drawn.y), strict=True):
        along = (images - images.mean(axis=0)) @ axis
        assert abs(np.corrcoef(along, coordinates)[0, 1]) == pytest.approx(1, abs=1e-3)
    with pytest.raises(ConfigError, match=r"^umap: cannot be compiled here$"):
        compared(own_catalog, config=settings("pictures.map_method=umap", encoders="[pixels]"))


def stored(catalog: Catalog, folder: Path, rows: pd.DataFrame) -> Catalog:
    folder.mkdir()
    found = Catalog(rows=rows.reset_index(drop=True), root=catalog.root, folder=folder)
    write_catalog(found)
    return found


def lines_of(report: ComparisonReport) -> list[str]:
    return str(report).splitlines()


def test_one_class_says_nothing(own_catalog: Catalog, tmp_path: Path):
    shop = stored(own_catalog, tmp_path / "shop", own_catalog.rows.assign(label="mug"))
    told = lines_of(compared(shop, config=settings("whitening=null", "relevance=[product,label]")))
    assert [line for line in told if line.startswith("warning: ")] == [
        "warning: by label every gallery image is relevant to every query: nothing wrong can be found, and 100 % says "
        "nothing; take another definition with --set relevance=COLUMN"
    ]


def test_one_product_says_nothing_and_is_counted_in_the_singular(own_catalog: Catalog, tmp_path: Path):
    test, product = own_catalog.rows["split"] == "test", own_catalog.rows["product"]
    shop = stored(own_catalog, tmp_path / "shop", own_catalog.rows[~test | (product == product[test].iloc[0])])
    found = compared(shop, config=settings("whitening=null", "relevance=[product]"))
    assert lines_of(found)[0] == "split test: 4 queries of 1 product among 4 images"
    assert lines_of(found)[1].startswith("warning: by product every gallery image is relevant to every query: ")
    assert found.recommendation is None
    (verdict,) = found.verdicts()
    assert verdict.sentences[1] == "Both have the same result at every product."


def test_one_query_gives_no_verdict(own_catalog: Catalog, tmp_path: Path):
    test = own_catalog.rows["split"] == "test"
    asked = test & (test.cumsum() == 1)
    shop = stored(own_catalog, tmp_path / "shop", own_catalog.rows.assign(query=~test | asked, gallery=~test | ~asked))
    found = compared(shop, config=settings("whitening=null", "relevance=[product]"))
    assert lines_of(found)[0].startswith("keep ")
    assert "split test: 1 query of 1 product among 23 images" in lines_of(found)
    assert found.warnings() == []
    assert found.resolvable_words[0] == (
        "Relevance product, estimated beforehand: the split has too few products to detect a difference."
    )
    (verdict,) = found.verdicts()
    assert verdict.word == "not shown to be better"
    assert verdict.sentences[1] in (
        "Both have the same result at every product.",
        "They differ at 1 product; that is too few for a verdict at this confidence.",
    )


def test_pictures_alone_are_compared_by_changed_copies_of_them(catalog: Catalog, tmp_path: Path) -> None:
    rows = catalog.rows.assign(product=None, label=None)
    write_catalog(Catalog(rows=rows, root=catalog.root, folder=tmp_path))
    console = RecordingConsole()
    report = compare(tmp_path, [], config=settings(), console=console)
    assert "judged by whether a changed copy of a picture finds it" in console.lines[0]
    assert (report.relevance, report.data["images"]) == (["picture"], len(rows))
    assert report.queries == report.gallery == int((rows["split"] == "test").sum())
    plain, colours = (
        report.encoder(name).relevances["picture"].metrics["recall_at_1"].mean for name in ("pixels", "histogram_hsv")
    )
    assert {plain, colours} != {0.0}
    write_comparison(report, json_file=tmp_path / "c.json", page=tmp_path / "c.html")
    assert (tmp_path / "c.html").stat().st_size > 0


def test_changed_pictures_and_folds_do_not_go_together(catalog: Catalog) -> None:
    with pytest.raises(ConfigError, match=r"^relevance: picture does not go with folds; allowed: "):
        compare(catalog.folder, [], config=settings("relevance=[picture]", "folds=true"), console=SILENT)

"""Figures of mixed weights, against those of each mixed encoder."""

import pytest
from recording_console import RecordingConsole
from small_runs import again, sweep

from simtrain.catalog.store.reader import open_images
from simtrain.catalog.table import Catalog
from simtrain.console import SILENT
from simtrain.errors import SimtrainError
from simtrain.evaluation.protocol import retrieval_task
from simtrain.evaluation.relevance import same
from simtrain.evaluation.text_task import text_tasks
from simtrain.runs.evaluation import embed_rows
from simtrain.runs.run import Run
from simtrain.runs.tuned_encoder import tuned_encoder


def test_figures_are_those_of_the_mixed_encoders(clip_run: Run, catalog: Catalog):
    report = sweep(clip_run)
    task = retrieval_task(catalog, split="val", gallery_splits=None, relevance=same(["product"]))
    texts = text_tasks(catalog, task.rows, captions="{caption}", templates=[])
    images = open_images(catalog, smallest=32).reader
    for mix, alpha in zip(report.mixes, (0, 0.5, 1), strict=True):
        encoder = tuned_encoder(clip_run.config, clip_run.folder, alpha=alpha)
        embeddings = embed_rows(encoder, images, task.rows.tolist(), config=clip_run.config, console=SILENT)
        assert mix.alpha == alpha
        of_images = {name: figure.mean for name, figure in mix.image.items() if name != "balanced"}
        assert of_images == task.score(embeddings).means()
        assert {name: figure.mean for name, figure in mix.text.items()} == texts.query_scores(
            embeddings, encoder
        ).means()
    assert (report.text_kind, report.norms, report.metric) == ("captions", 0, "map_at_r")
    assert report.text_metric == "text_to_image_recall_at_5"


def test_gain_and_loss_are_differences_to_the_start(clip_run: Run):
    report = sweep(clip_run, text_metric="image_to_text_recall_at_1", metric="mrr", bound=100.0)
    first, best = report.mixes[0], report.mixes[report.chosen]
    assert report.gain.mean == pytest.approx(best.image["mrr"].mean - first.image["mrr"].mean)
    kept, had = best.text["image_to_text_recall_at_1"].mean, first.text["image_to_text_recall_at_1"].mean
    assert report.loss.mean == pytest.approx(had - kept)
    assert report.loss.low <= report.loss.mean <= report.loss.high


def test_large_catalogues_are_read_for_each_mix(norms_run: Run, monkeypatch: pytest.MonkeyPatch):
    once = sweep(norms_run)
    monkeypatch.setattr("simtrain.interpolation.sweep.MOST_BYTES", 1000)
    assert sweep(norms_run).to_dict() == once.to_dict()


def test_progress_says_what_it_is_for(norms_run: Run):
    console = RecordingConsole()
    sweep(norms_run, steps=3, console=console)
    assert console.descriptions == [
        "reading images",
        "alpha 0: embedding images",
        "alpha 0.5: estimating BatchNorm's statistics",
        "alpha 0.5: embedding images",
        "alpha 1: embedding images",
    ]


def test_a_run_without_texts_says_so(norms_run: Run):
    report = sweep(norms_run, steps=2)
    assert (report.text_metric, report.loss, report.no_texts) == (
        None, None, "an encoder of kind timm does not embed texts",
    )  # fmt: skip


def test_images_without_words_say_so(clip_run: Run):
    run = again(clip_run, "evaluation.captions=null", "evaluation.label_templates=[]")
    reason = "no image of split 'val' has the columns of evaluation.captions or evaluation.label_templates"
    assert sweep(run, steps=2).no_texts == reason
    with pytest.raises(SimtrainError, match=rf"^--text-metric text_to_image_map_at_r: {reason}$"):
        sweep(run, text_metric="text_to_image_map_at_r")

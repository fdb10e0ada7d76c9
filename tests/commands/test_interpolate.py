"""The sweep over a run's mixes: its figures, its choice, and the run's folder whatever comes in between."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from recording_console import RecordingConsole
from small_runs import again, sweep

from simtrain.catalog.store.reader import open_images, source_images
from simtrain.catalog.table import Catalog
from simtrain.console import SILENT
from simtrain.data.preloaded_images import prepare_images
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.errors import CatalogError, CheckpointError, SimtrainError
from simtrain.evaluation.protocol import retrieval_task
from simtrain.evaluation.text_task import text_task
from simtrain.interpolation.plot import TradeOffPoint
from simtrain.interpolation.result import best_within
from simtrain.runs import interpolation_record
from simtrain.runs.evaluation import embed_rows
from simtrain.runs.run import Run, write_json
from simtrain.runs.tuned_encoder import tuned_encoder

ENDS = {"interpolation.json", "interpolation.png"}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_best_within_the_bound_is_chosen():
    points = [
        TradeOffPoint(alpha=alpha, gain=gain, loss=loss)
        for alpha, gain, loss in [(0, 0, 0), (0.25, 2, -1), (0.5, 4, 1), (0.75, 5, 1.01), (1, 9, 7)]
    ]
    assert [best_within(points, bound=bound) for bound in (0.0, 1.0, 1.01, 6.9, 7.0)] == [1, 2, 3, 3, 4]


def test_a_loss_of_the_bound_itself_is_within_it_however_it_is_rounded():
    points = [TradeOffPoint(alpha=0, gain=0, loss=0), TradeOffPoint(alpha=1, gain=1, loss=100 * (0.81 - 0.8))]
    assert points[1].loss > 1
    assert best_within(points, bound=1.0) == 1


def test_of_equal_mixes_the_smaller_alpha_is_chosen():
    points = [TradeOffPoint(alpha=alpha / 3, gain=gain, loss=0.0) for alpha, gain in enumerate([0, 2, 2 + 1e-13, 1])]
    assert best_within(points, bound=1.0) == 1


def test_without_texts_the_best_image_figure_is_chosen():
    points = [TradeOffPoint(alpha=alpha / 2, gain=gain, loss=None) for alpha, gain in enumerate([0, 3, 2])]
    assert best_within(points, bound=0.0) == 1


def test_pictures_are_prepared_once_as_an_encoder_sees_them(catalog: Catalog):
    preprocessing = Preprocessing(
        image_size=32, resize="pad", interpolation="bicubic", mean=(0, 0, 0), std=(1, 1, 1), flip_averaging=False
    )
    reader = source_images(catalog)
    settings = {"preprocessing": preprocessing, "workers": 0, "console": SILENT}
    found = prepare_images(reader, [7, 3], most_bytes=2 * 32 * 32 * 3, **settings)
    assert found is not None
    for row in (3, 7):
        expected = preprocessing.pixels(reader.read(row, at_least=None))
        np.testing.assert_array_equal(preprocessing.pixels(found.read(row, at_least=None)), expected)
    assert prepare_images(reader, [7, 3], most_bytes=2 * 32 * 32 * 3 - 1, **settings) is None


def test_figures_are_those_of_the_mixed_encoders(clip_run: Run, catalog: Catalog):
    report = sweep(clip_run)
    task = retrieval_task(catalog, split="val", gallery_splits=None, relevance=["product"])
    texts = text_task(catalog, task.rows, captions="{caption}", templates=[])
    images = open_images(catalog, smallest=32).reader
    for mix, alpha in zip(report.mixes, (0, 0.5, 1), strict=True):
        encoder = tuned_encoder(clip_run.config, clip_run.folder, alpha=alpha)
        embeddings = embed_rows(encoder, images, task.rows.tolist(), config=clip_run.config, console=SILENT)
        assert mix.alpha == alpha
        assert {name: figure.mean for name, figure in mix.image.items()} == task.means(embeddings)
        assert {name: figure.mean for name, figure in mix.text.items()} == texts.score(embeddings, encoder)
    assert (report.words, report.norms, report.metric) == ("captions", 0, "map_at_r")
    assert report.text_metric == "text_to_image_recall_at_5"


def test_gain_and_loss_are_differences_to_the_start(clip_run: Run):
    report = sweep(clip_run, text_metric="image_to_text_recall_at_1", metric="mrr", bound=100.0)
    first, best = report.mixes[0], report.mixes[report.chosen]
    assert report.gain.mean == pytest.approx(best.image["mrr"].mean - first.image["mrr"].mean)
    kept, had = best.text["image_to_text_recall_at_1"].mean, first.text["image_to_text_recall_at_1"].mean
    assert report.loss.mean == pytest.approx(had - kept)
    assert report.loss.low <= report.loss.mean <= report.loss.high


def test_a_monitor_of_texts_is_not_what_images_are_chosen_by(clip_run: Run):
    run = again(clip_run, "evaluation.monitor=text_to_image_recall_at_1")
    assert sweep(run, steps=2).metric == "map_at_r"


def test_a_monitor_of_images_is(clip_run: Run):
    run = again(clip_run, "evaluation.monitor=r_precision")
    assert sweep(run, steps=2).metric == "r_precision"


def test_file_says_what_was_found(clip_run: Run):
    report = sweep(clip_run)
    written = json.loads((clip_run.folder / "interpolation.json").read_text())
    assert written["checkpoint"]["sha256"] == hashlib.sha256((clip_run.folder / "best.ckpt").read_bytes()).hexdigest()
    assert {name: written[name] for name in report.to_dict()} == report.to_dict()
    assert [mix["alpha"] for mix in written["mixes"]] == [0, 0.5, 1]
    assert (written["alpha"], written["statistics"], written["split"]) == (report.alpha, None, "val")
    assert Image.open(clip_run.folder / "interpolation.png").format == "PNG"


def test_a_second_sweep_replaces_the_first(norms_run: Run):
    before = {path.name for path in norms_run.folder.iterdir()}
    for steps in (4, 3):
        sweep(norms_run, steps=steps)
        record = json.loads((norms_run.folder / "interpolation.json").read_text())
        assert {path.name for path in norms_run.folder.iterdir()} - before == ENDS | {record["statistics"]}
        assert len(record["mixes"]) == steps


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
        None, None, "an encoder of kind timm reads no texts",
    )  # fmt: skip


def test_images_without_words_say_so(clip_run: Run):
    run = again(clip_run, "evaluation.captions=null", "evaluation.label_templates=[]")
    reason = "no image of split 'val' has what evaluation.captions or evaluation.label_templates are made of"
    assert sweep(run, steps=2).no_texts == reason
    with pytest.raises(SimtrainError, match=rf"^--text-metric text_to_image_map_at_r: {reason}$"):
        sweep(run, text_metric="text_to_image_map_at_r")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"metric": "map_at_t"}, "--metric: no figure 'map_at_t' here; did you mean 'map_at_r'?; allowed: map_at_r, "),
        ({"text_metric": "map_at_r"}, "--text-metric: no figure 'map_at_r' here"),
        ({"bound": float("nan")}, "--bound nan: allowed: 0 or more points"),
        ({"bound": -1.0}, "--bound -1: allowed: 0 or more points"),
    ],
)
def test_a_mistake_is_told(clip_run: Run, settings: dict[str, Any], expected: str):
    with pytest.raises(SimtrainError) as caught:
        sweep(clip_run, **settings)
    assert str(caught.value).startswith(expected)


def test_a_run_without_a_checkpoint_is_told(clip_run: Run):
    (clip_run.folder / "best.ckpt").unlink()
    with pytest.raises(CheckpointError) as caught:
        sweep(clip_run)
    assert str(caught.value) == f"{clip_run.folder}/best.ckpt: no such checkpoint"


def test_an_unfinished_run_is_told(clip_run: Run):
    write_json(clip_run.folder / "run.json", {**clip_run.record, "status": "interrupted"})
    with pytest.raises(CheckpointError) as caught:
        sweep(again(clip_run))
    assert str(caught.value) == (
        f"{clip_run.folder}: this run is interrupted, not finished; go on with it first: "
        f"simtrain fit --resume {clip_run.folder}"
    )


def test_a_run_of_before_starts_were_kept_is_told(norms_run: Run):
    shutil.rmtree(norms_run.folder / "encoder")
    with pytest.raises(CheckpointError, match="encoder") as caught:
        sweep(norms_run)
    assert "\n" not in str(caught.value)
    tuned_encoder(norms_run.config, norms_run.folder, alpha=None)


def test_a_catalogue_with_nothing_to_find_is_told(clip_run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("simtrain.commands.interpolate.build_validation", lambda config, catalog: None)
    with pytest.raises(CatalogError, match=r": neither products nor labels in it; there is nothing to choose"):
        sweep(clip_run)


@pytest.mark.parametrize("parts", [0, 3])
def test_stopped_half_way_it_leaves_the_run_as_it_was(norms_run: Run, parts: int):
    sweep(norms_run, steps=3)
    before = contents(norms_run.folder)
    begun: list[str] = []

    def stop(description: str) -> None:
        begun.append(description)
        if len(begun) > parts:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(norms_run, steps=5, console=RecordingConsole(on_bar=stop))
    assert contents(norms_run.folder) == before


def test_a_folder_that_cannot_be_written_stays_as_it_was(norms_run: Run, monkeypatch: pytest.MonkeyPatch):
    sweep(norms_run, steps=3)
    before = contents(norms_run.folder)

    def full(path: Path, content: dict[str, Any]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(interpolation_record, "write_json", full)
    with pytest.raises(CheckpointError) as caught:
        sweep(norms_run, steps=4)
    assert str(caught.value) == f"{norms_run.folder}: cannot be written: No space left on device"
    assert contents(norms_run.folder) == before

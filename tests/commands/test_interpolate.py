"""The sweep over a run's mixes: its figures, its choice, and the run's folder whatever comes in between."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from recording_console import RecordingConsole
from small_runs import again, sweep

from simtrain.errors import CatalogError, CheckpointError, SimtrainError
from simtrain.runs import interpolation_record
from simtrain.runs.run import Run, write_run_record
from simtrain.runs.tuned_encoder import tuned_encoder

ENDS = {"interpolation.json", "interpolation.png"}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_run_that_was_monitored_by_texts_is_mixed_by_them(clip_run: Run):
    """By pictures alone, training on captions would be undone."""
    report = sweep(again(clip_run, "evaluation.monitor=text_to_image_recall_at_1"), steps=3, bound=100.0)
    assert report.metric == "text_to_image_recall_at_1"
    means = [mix.text["text_to_image_recall_at_1"].mean for mix in report.mixes]
    assert report.chosen == means.index(max(means))
    assert report.gain.mean == pytest.approx(max(means) - means[0])


def test_without_texts_in_val_pictures_decide(norms_run: Run):
    run = again(norms_run)
    evaluation = run.config.evaluation.model_copy(update={"monitor": "text_to_image_recall_at_1"})
    run = replace(run, config=run.config.model_copy(update={"evaluation": evaluation}))
    assert sweep(run, steps=2).metric == "map_at_r"


def test_a_monitor_of_images_is(clip_run: Run):
    run = again(clip_run, "evaluation.monitor=r_precision")
    assert sweep(run, steps=2).metric == "r_precision"


def test_the_balanced_monitor_weighs_products_and_their_kind(clip_run: Run):
    report = sweep(again(clip_run, "evaluation.monitor=balanced"), steps=2, bound=100.0)
    assert report.metric == "balanced"
    for mix in report.mixes:
        parts = [mix.image[name].mean for name in mix.image if name.endswith(("map_at_r", "recall_at_1"))]
        assert len(parts) >= 2
        assert mix.image["balanced"].mean == pytest.approx(np.prod(np.maximum(parts, 0.001)) ** (1 / len(parts)))
    gains = [point.gain for point in report.points()]
    assert report.chosen == int(gains[1] > 0)
    assert "balanced %" in str(report)


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


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"metric": "map_at_t"}, "--metric: no metric 'map_at_t' here; did you mean 'map_at_r'?; allowed: map_at_r, "),
        ({"text_metric": "map_at_r"}, "--text-metric: no metric 'map_at_r' here"),
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
    write_run_record(clip_run.folder, {**clip_run.record, "status": "interrupted"})
    with pytest.raises(CheckpointError) as caught:
        sweep(again(clip_run))
    assert str(caught.value) == (
        f"{clip_run.folder}: this run is interrupted, not finished; resume it first: simtrain fit --resume "
        f"{clip_run.folder}"
    )


def test_a_run_of_before_starts_were_kept_is_told(norms_run: Run):
    shutil.rmtree(norms_run.folder / "encoder")
    with pytest.raises(CheckpointError, match="encoder") as caught:
        sweep(norms_run)
    assert "\n" not in str(caught.value)
    tuned_encoder(norms_run.config, norms_run.folder, alpha=None)


def test_a_catalogue_with_nothing_to_find_is_told(clip_run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("simtrain.commands.interpolate.build_validation", lambda config, catalog: None)
    with pytest.raises(CatalogError, match=r": neither products nor labels, so there is no metric to choose"):
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

    def full(contents: dict[Path, bytes], *, error: type[Exception]) -> None:
        raise error(f"{next(iter(contents))}: cannot be written: No space left on device")

    monkeypatch.setattr(interpolation_record, "write_together", full)
    with pytest.raises(CheckpointError) as caught:
        sweep(norms_run, steps=4)
    assert str(caught.value) == f"{norms_run.folder}/interpolation.json: cannot be written: No space left on device"
    assert contents(norms_run.folder) == before

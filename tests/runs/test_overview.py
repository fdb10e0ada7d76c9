"""The overview of runs in a folder."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_checkpoints import FIRST_FORMAT, made_run

from simtrain.runs.overview import Figure, overviews

SHA = "fe9e209ee82ad7d0aa9340dccb6ab438599b5258682768ed9309c30a8bc2fb80"


def evaluated(folder: Path, *, split: str = "test", data: str = SHA, newer: bool = True, **metrics: Any) -> None:
    name = "evaluation.json" if split == "test" else f"evaluation_{split}.json"
    path = folder / name
    path.write_text(json.dumps({"metrics": metrics, "data": {"sha256": data}}))
    best = (folder / "best.ckpt").stat().st_mtime_ns
    stamp = best + 10**9 if newer else best - 10**9
    os.utime(path, ns=(stamp, stamp))


def test_a_run_of_an_earlier_version(tmp_path: Path) -> None:
    shutil.copytree(FIRST_FORMAT / "finished", tmp_path / "finished")
    (found,) = overviews(tmp_path)
    assert (found.name, found.state, found.reason) == ("finished", "finished", None)
    assert found.epochs == (2, 2)
    assert found.best_epoch == 0
    assert found.metric == "map_at_r"
    assert found.zero_shot == pytest.approx(2 / 3)
    assert found.val == Figure(mean=0.666667, low=None, high=None, stale=False)
    assert found.test is None
    assert (found.data, found.images, found.version, found.git) == (SHA, 48, "0.1.0", None)
    assert (found.seconds, found.test_readings) == (0.3, 1)


def test_figures_of_evaluate_have_intervals(tmp_path: Path) -> None:
    folder = made_run(tmp_path, "one")
    evaluated(folder, map_at_r={"mean": 0.5, "low": 0.4, "high": 0.6})
    evaluated(folder, split="val", map_at_r={"mean": 0.55, "low": None, "high": None})
    (found,) = overviews(tmp_path)
    assert found.test == Figure(mean=0.5, low=0.4, high=0.6, stale=False)
    assert found.val == Figure(mean=0.55, low=None, high=None, stale=False)


@pytest.mark.parametrize(("data", "newer"), [("0" * 64, True), (SHA, False)])
def test_figures_of_other_data_or_of_an_earlier_checkpoint_are_stale(tmp_path: Path, data: str, newer: bool) -> None:
    evaluated(made_run(tmp_path, "one"), data=data, newer=newer, map_at_r={"mean": 0.5, "low": 0.4, "high": 0.6})
    (found,) = overviews(tmp_path)
    assert found.test is not None
    assert found.test.stale


@pytest.mark.parametrize("content", ["", "{", "[]", '{"metrics": {}}', '{"metrics": {"map_at_r": 3}, "data": {}}'])
def test_a_broken_file_of_figures_is_no_figure(tmp_path: Path, content: str) -> None:
    (made_run(tmp_path, "one") / "evaluation.json").write_text(content)
    assert overviews(tmp_path)[0].test is None


def test_runs_stand_in_the_order_of_their_beginning_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    made_run(tmp_path, "b", started="2026-01-02T00:00:00+00:00")
    made_run(tmp_path, "a", started="2026-01-03T00:00:00+00:00")
    (made_run(tmp_path, "c") / "run.json").write_text("{")
    shutil.copytree(tmp_path / "a", tmp_path / ".a.1.tmp")
    (tmp_path / "no_run").mkdir()
    found = overviews(tmp_path)
    assert [(one.name, one.state) for one in found] == [("c", "damaged"), ("b", "finished"), ("a", "finished")]
    assert found[0].reason is not None
    assert found[0].reason.startswith(f"{tmp_path / 'c' / 'run.json'}: ")


def test_a_run_that_no_process_trains_any_more_was_killed(tmp_path: Path) -> None:
    made_run(tmp_path, "one", status="running")
    assert overviews(tmp_path)[0].state == "killed"


def test_the_commit_with_a_mark_of_changes(tmp_path: Path) -> None:
    made_run(tmp_path, "one", git={"commit": "0123456789abcdef", "dirty": True})
    assert overviews(tmp_path)[0].git == "01234567+"


def test_encoder_and_objective_in_words(tmp_path: Path) -> None:
    made_run(tmp_path, "one")
    found = overviews(tmp_path)[0]
    assert found.encoder == "timm test_efficientnet 32 px"
    assert found.objective == "metric_learning MultiSimilarityLoss product"


def test_no_folder_has_no_runs(tmp_path: Path) -> None:
    assert overviews(tmp_path / "nowhere") == []

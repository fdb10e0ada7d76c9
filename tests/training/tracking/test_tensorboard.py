"""Event files, read back by TensorBoard."""

# Shapes: none.

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from simtrain.errors import SimtrainError
from simtrain.training.tracking.tensorboard import TensorBoardTracker
from simtrain.training.tracking.worst_queries import WorstQuery, show_queries


def read_back(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return events


def tracker_from(folder: Path, *, step: int) -> TensorBoardTracker:
    tracker = TensorBoardTracker(folder=folder)
    tracker.begin(step=step)
    return tracker


def test_figures_become_curves(tmp_path: Path) -> None:
    tracker = tracker_from(tmp_path, step=0)
    tracker.figures({"loss": 0.5}, step=1)
    tracker.figures({"loss": 0.25, "val_map_at_r": 0.75}, step=2)
    tracker.end(None)
    events = read_back(tmp_path)
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 0.5), (2, 0.25)]
    assert [(event.step, event.value) for event in events.Scalars("val_map_at_r")] == [(2, 0.75)]


def test_histograms_keep_their_counts(tmp_path: Path) -> None:
    tracker = tracker_from(tmp_path, step=0)
    tracker.histograms({"positive_similarity": (0,) * 48 + (3, 1)}, step=1)
    tracker.end(None)
    (event,) = read_back(tmp_path).Histograms("positive_similarity")
    assert (event.histogram_value.num, event.histogram_value.bucket[-2:]) == (4, [3, 1])
    assert event.histogram_value.bucket_limit[-2:] == pytest.approx([0.96, 1])


def test_worst_queries_become_a_picture(tmp_path: Path) -> None:
    tracker = tracker_from(tmp_path, step=0)
    query = WorstQuery(row=1, average_precision=0.0, neighbours=(2, 3), relevant=(True, False))
    shown = show_queries([query], picture=lambda row: np.full((4, 4, 3), row, np.uint8), ids=str)
    tracker.queries(shown, step=7)
    tracker.end(None)
    (event,) = read_back(tmp_path).Images("worst_queries")
    assert (event.step, event.width, event.height) == (7, 420, 140)


def test_a_resumed_run_takes_back_later_steps(tmp_path: Path) -> None:
    tracker = tracker_from(tmp_path, step=0)
    for step in (1, 2, 3):
        tracker.figures({"loss": float(step)}, step=step)
    tracker.end(None)
    tracker = tracker_from(tmp_path, step=1)
    tracker.figures({"loss": 20.0}, step=2)
    tracker.end(None)
    assert [(event.step, event.value) for event in read_back(tmp_path).Scalars("loss")] == [(1, 1), (2, 20)]


def test_ending_twice_is_ending_once(tmp_path: Path) -> None:
    tracker = tracker_from(tmp_path, step=0)
    tracker.end(None)
    tracker.end(ValueError())
    tracker.figures({"loss": 1.0}, step=1)
    assert read_back(tmp_path).Tags()["scalars"] == []


def test_without_the_package_there_is_an_error_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(SimtrainError) as raised:
        TensorBoardTracker(folder=tmp_path)
    assert str(raised.value) == "tensorboard: needs the extra: pip install 'simtrain[tensorboard]'"

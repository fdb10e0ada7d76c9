"""What single steps and epochs leave in `steps.csv` and in the trackers."""

# Shapes: N embeddings, D features.

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from typing_extensions import override
from watched_points import PointModule, Points, RememberingTracker, batch_hard, fit_points, pairs_of_views

from simtrain.training.tracking import step_log
from simtrain.training.tracking.embedding_statistics import embedding_statistics, histograms
from simtrain.training.tracking.run_tracking import CatalogueImages, RunTracking
from simtrain.training.tracking.step_log import StepLog, gradient_norm, learning_rates
from simtrain.training.tracking.step_table import STEPS_FILE, StepTable, read_steps

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]
POINTS = Points(groups=4, per_group=2, blur=0.5, batches=5)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is half a second after the one before."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    ticks = iter(range(10_000))
    monkeypatch.setattr(step_log, "time", SimpleNamespace(perf_counter=lambda: next(ticks) / 2))


def point_module(**changes: object) -> PointModule:
    return PointModule(batch_hard, **{"learning_rate": 0.1, **changes})


def log_of(folder: Path, *, every_steps: int = 2, trackers: tuple[RememberingTracker, ...] = ()) -> StepLog:
    return StepLog(folder=folder, every_steps=every_steps, trackers=trackers)


class Keeps(pl.Callback):
    """The record and the gradients of each step, as they are before the optimizer."""

    def __init__(self) -> None:
        self.records = []
        self.norms: list[float] = []

    @override
    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: object) -> None:
        squares = sum(float(weights.grad.square().sum()) for weights in pl_module.parameters())
        self.norms.append(squares**0.5)
        self.records.append(pl_module.last_step)


def test_the_first_step_and_every_second_one_are_taken(tmp_path: Path) -> None:
    fit_points(point_module(), POINTS, tmp_path, callbacks=[log_of(tmp_path)], epochs=2)
    rows = read_steps(tmp_path / STEPS_FILE)
    assert [(row["step"], row["epoch"]) for row in rows] == [
        ("1", "1"),
        ("2", "1"),
        ("4", "1"),
        ("6", "2"),
        ("8", "2"),
        ("10", "2"),
    ]


def test_the_figures_of_a_step(tmp_path: Path) -> None:
    keeps = Keeps()
    fit_points(point_module(temperature=0.25), POINTS, tmp_path, callbacks=[log_of(tmp_path), keeps])
    row, record = read_steps(tmp_path / STEPS_FILE)[2], keeps.records[3]
    expected = {
        "loss": float(record.loss),
        "loss_triplet": float(record.loss),
        "temperature": 0.25,
        "mined": 8,
        "active_share": float(record.active_share),
        "gradient_norm": keeps.norms[3],
        "learning_rate_body": 0.1,
        "learning_rate_head": 1.0,
        **embedding_statistics(record.embeddings, record.groups).figures(),
    }
    assert {name: float(row[name]) for name in expected} == pytest.approx(expected, rel=1e-5)
    assert set(row) == {"step", "epoch", "images_per_second", *expected}


def test_the_norm_is_that_before_clipping(tmp_path: Path) -> None:
    keeps = Keeps()
    fit_points(point_module(), POINTS, tmp_path, callbacks=[log_of(tmp_path), keeps], gradient_clip_val=1e-3)
    assert float(read_steps(tmp_path / STEPS_FILE)[0]["gradient_norm"]) == pytest.approx(keeps.norms[0], rel=1e-5)
    assert keeps.norms[0] > 1e-2


def test_a_loss_without_tuples_has_no_columns_of_them(tmp_path: Path) -> None:
    module = PointModule(pairs_of_views, learning_rate=0.1)
    fit_points(module, POINTS, tmp_path, callbacks=[log_of(tmp_path)])
    assert not {"mined", "active_share", "temperature", "gpu_memory_gib"} & set(read_steps(tmp_path / STEPS_FILE)[0])


def test_the_rate_of_images_leaves_out_what_lies_between_epochs(tmp_path: Path) -> None:
    # 8 images a step. The clock is looked at as training and each epoch begin, and at the end of each step twice: the
    # second look, after the figures are taken, is where the next step begins.
    fit_points(point_module(), POINTS, tmp_path, callbacks=[log_of(tmp_path, every_steps=10)], epochs=2)
    first, tenth = read_steps(tmp_path / STEPS_FILE)
    assert float(first["images_per_second"]) == pytest.approx(8 / 0.5)
    assert float(tenth["images_per_second"]) == pytest.approx(9 * 8 / (9 * 0.5))


def test_trackers_are_told_what_the_table_holds(tmp_path: Path) -> None:
    tracker, keeps = RememberingTracker(), Keeps()
    fit_points(point_module(), POINTS, tmp_path, callbacks=[log_of(tmp_path, trackers=(tracker,)), keeps])
    for row, (step, figures) in zip(read_steps(tmp_path / STEPS_FILE), tracker.of("figures"), strict=True):
        assert int(row.pop("step")) == step
        assert {name: float(text) for name, text in row.items()} == pytest.approx(figures, rel=1e-5)
    steps = [0, 1, 3]
    found = [embedding_statistics(keeps.records[step].embeddings, keeps.records[step].groups) for step in steps]
    assert tracker.of("histograms") == [(step + 1, histograms(one)) for step, one in zip(steps, found, strict=True)]


def test_another_process_than_the_first_writes_nothing(tmp_path: Path) -> None:
    second = SimpleNamespace(is_global_zero=False, global_step=1, current_epoch=0)
    log, module = log_of(tmp_path), SimpleNamespace(last_step=object())
    log.on_train_start(second, module)
    log.on_before_optimizer_step(second, module, None)
    log.on_train_batch_end(second, module, None, None, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_run_leaves_the_table_of_an_uninterrupted_one(tmp_path: Path) -> None:
    class Saves(pl.Callback):
        @override
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            trainer.save_checkpoint(tmp_path / f"{trainer.current_epoch}.ckpt")

    def without_rate(folder: Path) -> list[dict[str, str]]:
        rows = read_steps(folder / STEPS_FILE)
        return [{name: text for name, text in row.items() if name != "images_per_second"} for row in rows]

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    fit_points(point_module(), POINTS, tmp_path, callbacks=[log_of(whole)], epochs=3)
    fit_points(point_module(), POINTS, tmp_path, callbacks=[log_of(broken), Saves()], epochs=2)
    assert without_rate(broken)[-1]["step"] == "10"  # beyond the state that the run goes on from
    fit_points(point_module(), POINTS, tmp_path, callbacks=[log_of(broken)], epochs=3, resume_from=tmp_path / "0.ckpt")
    assert without_rate(broken) == without_rate(whole)


def test_a_line_that_a_kill_cut_short_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / STEPS_FILE
    path.write_text("step,loss\n1,0.5\n2,0.4\n3,0.")
    table = StepTable(path)
    table.go_on_from(3)
    table.append({"step": 3, "loss": 0.25})
    assert path.read_text() == "step,loss\n1,0.5\n2,0.4\n3,0.25\n"


def test_a_figure_that_comes_later_gets_its_column(tmp_path: Path) -> None:
    table = StepTable(tmp_path / STEPS_FILE)
    table.append({"step": 1, "loss": 0.5})
    table.append({"step": 2, "loss": 0.4, "loss_label": 0.1})
    table.append({"step": 3, "loss": 0.3})
    assert (tmp_path / STEPS_FILE).read_text() == "step,loss,loss_label\n1,0.5,\n2,0.4,0.1\n3,0.3,\n"


def test_a_run_that_begins_keeps_no_row_of_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / STEPS_FILE
    path.write_text("step,loss\n1,0.5\n")
    StepTable(path).go_on_from(0)
    assert not path.exists()


def test_without_gradients_the_norm_is_zero() -> None:
    assert gradient_norm([torch.nn.Parameter(torch.ones(2))]) == 0


def test_groups_without_a_name_go_by_number() -> None:
    weights = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:], "lr": 0.5}], lr=0.1)
    assert learning_rates(optimizer) == {"learning_rate_0": 0.1, "learning_rate_1": 0.5}


def tracked(folder: Path, tracker: RememberingTracker, module: PointModule, **settings: object) -> None:
    tracking = RunTracking(
        trackers=[tracker],
        monitor="val_map_at_r",
        first={"map_at_r": 0.3},
        images=CatalogueImages(picture=lambda row: np.full((4, 6, 3), row, np.uint8), ids=lambda row: f"i{row}"),
    )
    fit_points(module, POINTS, folder, callbacks=[tracking], **settings)


def test_zero_shot_figures_stand_beside_those_of_every_epoch(tmp_path: Path) -> None:
    tracker = RememberingTracker()
    tracked(tmp_path, tracker, point_module(validated=(0.25, 0.5)), epochs=2)
    shown = [
        (step, {name: figures.get(name) for name in ("epoch", "val_map_at_r", "zero_shot_map_at_r")})
        for step, figures in tracker.of("figures")
    ]
    assert shown == [
        (0, {"epoch": 0, "val_map_at_r": 0.3, "zero_shot_map_at_r": 0.3}),
        (5, {"epoch": 1, "val_map_at_r": 0.25, "zero_shot_map_at_r": 0.3}),
        (10, {"epoch": 2, "val_map_at_r": 0.5, "zero_shot_map_at_r": 0.3}),
    ]
    assert "train_loss" in tracker.of("figures")[1][1]


def test_trackers_begin_first_and_end_last_without_a_failure(tmp_path: Path) -> None:
    tracker = RememberingTracker()
    tracked(tmp_path, tracker, point_module(validated=(0.25,)))
    assert (tracker.told[0], tracker.told[-1]) == (("begin", 0), ("end", None))


def test_worst_queries_are_shown_at_each_better_epoch(tmp_path: Path) -> None:
    tracker = RememberingTracker()
    tracked(tmp_path, tracker, point_module(validated=(0.25, 0.5, 0.4, 0.6)), epochs=4)
    assert [(step, queries[0].image.name) for step, queries in tracker.of("queries")] == [(10, "i1"), (20, "i3")]


def test_worst_queries_of_a_run_that_never_got_better_are_shown_at_its_end(tmp_path: Path) -> None:
    tracker = RememberingTracker()
    tracked(tmp_path, tracker, point_module(validated=(0.25, 0.2)), epochs=2)
    ((step, queries),) = tracker.of("queries")
    assert (step, queries[0].image.name) == (10, "i1")
    assert [(one.name, one.relevant) for one in queries[0].neighbours] == [("i7", True), ("i8", False)]


def test_trackers_learn_what_has_ended_the_run(tmp_path: Path) -> None:
    tracker = RememberingTracker()
    with pytest.raises(IndexError):
        tracked(tmp_path, tracker, point_module(validated=(0.25,)), epochs=2)  # no figure for the second epoch
    ((failure,),) = tracker.of("end")
    assert isinstance(failure, IndexError)

"""What single steps and epochs leave in `steps.csv` and in the trackers."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from typing_extensions import override
from watched_points import PointModule, Points, RememberingTracker, batch_hard, fit_points, pairs_of_views

from simtrain.training.tracking import step_log
from simtrain.training.tracking.embedding_statistics import embedding_statistics, histograms
from simtrain.training.tracking.step_log import StepLog, gradient_norm, learning_rates
from simtrain.training.tracking.step_table import STEPS_FILE, read_steps

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


def test_without_gradients_the_norm_is_zero() -> None:
    assert gradient_norm([torch.nn.Parameter(torch.ones(2))]) == 0


def test_groups_without_a_name_go_by_number() -> None:
    weights = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:], "lr": 0.5}], lr=0.1)
    assert learning_rates(optimizer) == {"learning_rate_0": 0.1, "learning_rate_1": 0.5}

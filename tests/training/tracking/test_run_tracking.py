"""What trackers are told of a whole run."""

from pathlib import Path

import numpy as np
import pytest
from pytorch_lightning.callbacks import LambdaCallback
from watched_points import PointModule, Points, RememberingTracker, batch_hard, fit_points

from simtrain.training.epoch_choice import EpochChoice
from simtrain.training.tracking.run_tracking import CatalogueImages, RunTracking

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]
POINTS = Points(groups=4, per_group=2, blur=0.5, batches=5)


def point_module(**changes: object) -> PointModule:
    return PointModule(batch_hard, **{"learning_rate": 0.1, **changes})


def tracked(folder: Path, tracker: RememberingTracker, module: PointModule, **settings: object) -> None:
    choice = EpochChoice(first_value=0.3, tolerance=0)
    choosing = LambdaCallback(
        on_train_epoch_end=lambda trainer, _module: choice.takes(
            trainer.current_epoch + 1, float(trainer.callback_metrics["val_map_at_r"]), None
        )
    )
    tracking = RunTracking(
        trackers=[tracker],
        choice=choice,
        first={"map_at_r": 0.3},
        images=CatalogueImages(picture=lambda row: np.full((4, 6, 3), row, np.uint8), ids=lambda row: f"i{row}"),
    )
    fit_points(module, POINTS, folder, callbacks=[choosing, tracking], **settings)


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

"""What a sweep has found."""

import signal
from pathlib import Path

from simtrain.runs.study import TrialResult
from simtrain.runs.sweep_result import SweepResult, best_of


def trial(index: int, value: float | None, *, state: str = "complete") -> TrialResult:
    return TrialResult(index=index, overrides=[], state=state, value=value, best_epoch=1, readings=4, reason=None)


def test_the_best_is_of_those_that_ran_through_and_the_earlier_of_equal_ones() -> None:
    trials = [trial(0, None, state="failed"), trial(1, 0.5), trial(2, 0.5), trial(3, 0.9, state="pruned")]
    assert best_of(trials) == trials[1]
    assert best_of(trials[3:]) == trials[3]
    assert best_of(trials[:1]) is None


def test_all_readings_of_val_are_counted_and_told() -> None:
    result = SweepResult(
        folder=Path("checkpoints/shop_sweep"), metric="map_at_r", trials=[trial(0, 0.5), trial(1, 0.25)], wanted=2,
        own_first=True, ended_by=None,
    )  # fmt: skip
    assert result.readings == 8
    assert str(result).splitlines()[-5:] == [
        "2 trials (2 complete); trial 0 has the configuration's own settings",
        "val has been read 8 times by this sweep, so its best figure flatters; test has not been read",
        "settings: checkpoints/shop_sweep/best.yaml",
        "next: simtrain fit checkpoints/shop_sweep/best.yaml",
        "or take the trial's own run: simtrain evaluate checkpoints/shop_sweep/trial_000",
    ]


def test_an_interrupted_sweep_says_that_it_goes_on() -> None:
    trials = [trial(0, 0.5)]
    result = SweepResult(
        folder=Path("a"), metric="map_at_r", trials=trials, wanted=5, own_first=True, ended_by=signal.SIGTERM
    )
    assert str(result).splitlines()[0] == "interrupted by SIGTERM after 1 trial of 5; the same command goes on"

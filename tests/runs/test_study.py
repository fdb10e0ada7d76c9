"""The study of a sweep: the same trials, however often it is killed."""

import math
from pathlib import Path

import pytest

from simtrain.config.sweep import Range, ValueList
from simtrain.errors import CheckpointError
from simtrain.runs.study import JOURNAL_FILE, Study, TrialResult

RATE = Range(key="optimizer.learning_rate", low=1e-5, high=1e-3, log=True, whole=False)
PRESET = ValueList(key="augmentation.preset", values=("affine", "color_sensitive"))
SIZE = Range(key="data.batch_size", low=8, high=64, log=False, whole=True)
OWN = {"optimizer.learning_rate": 3e-4, "augmentation.preset": "affine", "data.batch_size": 32}


def study(folder: Path, *, seed: int = 3) -> Study:
    return Study(folder=folder, space=[RATE, PRESET, SIZE], seed=seed, first=OWN)


def figure(overrides: list[str]) -> float:
    """Best at a rate of 1e-4."""
    return 1 - abs(math.log10(float(overrides[0].partition("=")[2])) + 4) / 2


def search(folder: Path, count: int, *, killed_at: int | None = None, epochs: int = 4) -> list[TrialResult]:
    """Trials of so many epochs; None of the trial `killed_at` is told but its first epoch."""
    studied = study(folder)
    while len(studied.results()) < count:
        trial = studied.ask()
        value = figure(trial.tried.overrides)
        for epoch in range(1, epochs + 1):
            if trial.told(epoch, value * epoch / epochs):
                break
            if trial.tried.index == killed_at:
                return studied.results()
        trial.ended(value=value * epoch / epochs, best_epoch=epoch, readings=epoch + 1)
    return studied.results()


def test_the_first_trial_has_the_configurations_own_settings(tmp_path: Path) -> None:
    trial = study(tmp_path).ask()
    assert trial.tried.index == 0
    assert trial.tried.overrides == [
        "optimizer.learning_rate=0.0003",
        "augmentation.preset=affine",
        "data.batch_size=32",
    ]


def test_a_search_that_was_killed_twice_tries_the_same(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    expected = search(whole, 10)
    assert len(search(parts, 10, killed_at=3)) == 3
    assert len(search(parts, 10, killed_at=8)) == 8
    assert search(parts, 10) == expected
    assert [result.index for result in expected] == list(range(10))


def test_bad_trials_are_given_up_after_two_epochs(tmp_path: Path) -> None:
    found = search(tmp_path, 12)
    pruned = [result for result in found if result.state == "pruned"]
    assert pruned
    assert min(result.readings for result in pruned) == 3  # the untouched encoder and two epochs
    assert [result.state for result in found[:4]] == ["complete"] * 4


def test_another_seed_tries_other_settings(tmp_path: Path) -> None:
    tried = []
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        studied = study(folder, seed=seed)
        for _ in range(2):
            trial = studied.ask()
            trial.ended(value=0.5, best_epoch=1, readings=2)
        tried.append(trial.tried.overrides)
    assert tried[0] != tried[1]


def test_a_failed_trial_counts_and_says_why(tmp_path: Path) -> None:
    studied = study(tmp_path)
    studied.ask().failed("the loss is not finite", readings=1)
    (found,) = studied.results()
    assert (found.state, found.value, found.reason, found.readings) == ("failed", None, "the loss is not finite", 1)
    assert studied.ask().tried.index == 1


def test_a_damaged_study_is_told(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_FILE).write_text("no journal\nat all\n")
    with pytest.raises(CheckpointError) as caught:
        study(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / JOURNAL_FILE}: cannot be used as the study of a sweep: ")

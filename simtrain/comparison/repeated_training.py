"""Trainings that were repeated with several seeds and on several folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simtrain.config import differences
from simtrain.errors import CheckpointError
from simtrain.runs.run import Run

_KEYS_FREE_WITHIN_TRAINING = (
    "run:",
    "checkpoints:",
    "catalog:",
    "seed:",
    "fold:",
    "tracking.",
    "data.workers:",
    "evaluation.batch_size:",
)
"""Configuration keys in which runs of one training may differ: seed, fold, folders, tracking and loading."""


@dataclass
class RepeatedTraining:
    """Runs that differ in seed and fold alone."""

    runs: list[Run] = field(default_factory=list)


def grouped_by_training(runs: Sequence[Run]) -> list[RepeatedTraining]:
    """Runs grouped by training, in the order of each training's first run."""
    trainings: list[RepeatedTraining] = []
    for run in runs:
        for training in trainings:
            if _differ_in_seed_or_fold_only(training.runs[0], run):
                training.runs.append(run)
                break
        else:
            trainings.append(RepeatedTraining(runs=[run]))
    return trainings


def _differ_in_seed_or_fold_only(one: Run, other: Run) -> bool:
    """Whether two runs are the same training with another seed or on another fold."""
    changed = differences(one.config, other.config)
    repeated = any(line.startswith(("seed:", "fold:")) for line in changed)
    # Each fold has a chain of its own.
    own_chain = ("init_from:",) if repeated else ()
    ignored_keys = (*_KEYS_FREE_WITHIN_TRAINING, *own_chain)
    return all(line.startswith(ignored_keys) for line in changed)


def check_seeds_and_folds(training: RepeatedTraining, *, folds: Sequence[int]) -> None:
    """Check that each seed of a training has one run, or one of each fold.

    Raises:
        CheckpointError: if a fold is missing or there are several runs of it.
    """
    name = training.runs[0].folder.name
    for seed, runs in runs_by_seed(training).items():
        trained_folds = [run.config.fold for run in runs]
        missing = [fold for fold in folds if fold not in trained_folds]
        if missing:
            raise CheckpointError(
                f"--run: {name}: seed {seed} has no run of fold {missing[0]}; allowed: one run of each fold"
            )
        if len(set(trained_folds)) < len(trained_folds):
            raise CheckpointError(
                f"--run: {' and '.join(run.folder.name for run in runs)} are the same training with seed {seed}; "
                "compare one of them, or train again with another --set seed"
            )


def runs_by_seed(training: RepeatedTraining) -> dict[int, list[Run]]:
    """Seed -> the runs of a training with that seed."""
    seeds: dict[int, list[Run]] = {}
    for run in training.runs:
        seeds.setdefault(run.config.seed, []).append(run)
    return seeds

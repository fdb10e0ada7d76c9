"""What a sweep has found: its trials, the best of them, how often val was read, and the next command."""

import shlex
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simtrain.phrases import counted, joined, percent
from simtrain.runs.study import TrialResult
from simtrain.tables import Alignment, text_table

BEST_FILE = "best.yaml"
"""Below a sweep's folder: the settings that were best on val."""

_SHOWN = 5
_OWN = "trial 0 has the configuration's own settings"
_NOT_OWN = "the configuration's own settings lie outside of the space and were not tried"


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """What a sweep has found so far. `print` shows it.

    Attributes:
        folder: Folder of the sweep: its study, a run for each trial, and `best.yaml`.
        metric: Validation metric that it goes by.
        trials: What each trial gave, in their order.
        wanted: Number of trials that were asked for.
        own_first: Whether trial 0 has the configuration's own settings; else they lie outside of the space.
        ended_by: Signal that ended it early, and the same command goes on; None: it ran through.
    """

    folder: Path
    metric: str
    trials: list[TrialResult]
    wanted: int
    own_first: bool
    ended_by: signal.Signals | None

    @property
    def best(self) -> TrialResult | None:
        """The trial of the highest figure on val, the earlier of equal ones; None: none has one yet."""
        return best_of(self.trials)

    @property
    def readings(self) -> int:
        """How often val was read by all trials together: each epoch of each, and each untouched encoder, is one."""
        return sum(trial.readings for trial in self.trials)

    def run_of(self, trial: TrialResult) -> Path:
        """The run's folder of a trial."""
        return self.folder / run_name(trial.index)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "folder": str(self.folder),
            "metric": self.metric,
            "wanted": self.wanted,
            "ended_by": None if self.ended_by is None else self.ended_by.name,
            "val_readings": self.readings,
            "test_readings": 0,
            "best": None if self.best is None else self.best.index,
            "trials": [trial.to_dict() for trial in self.trials],
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.ended_by is not None:
            done = counted(len(self.trials), "trial")
            yield f"interrupted by {self.ended_by.name} after {done} of {self.wanted}; the same command goes on"
        if self.best is None:
            yield from (f"trial {one.index}: failed: {one.reason}" for one in self.trials[:_SHOWN])
            return
        ranked = sorted((one for one in self.trials if one.value is not None), key=lambda one: -(one.value or 0.0))
        columns: list[tuple[str, Alignment]] = [
            ("trial", "right"),
            ("state", "left"),
            (f"val {self.metric} %", "right"),
            ("best epoch", "right"),
            ("settings", "left"),
        ]
        yield text_table(
            columns,
            [
                [str(one.index), one.state, percent(one.value), str(one.best_epoch), " ".join(one.overrides)]
                for one in ranked[:_SHOWN]
            ],
        )
        states = {state: sum(one.state == state for one in self.trials) for state in ("complete", "pruned", "failed")}
        told = joined([f"{count} {state}" for state, count in states.items() if count])
        yield f"{counted(len(self.trials), 'trial')} ({told}); {_OWN if self.own_first else _NOT_OWN}"
        yield (
            f"val has been read {counted(self.readings, 'time')} by this sweep, so its best figure flatters; test has "
            "not been read"
        )
        yield f"settings: {self.folder / BEST_FILE}"
        yield f"next: simtrain fit {shlex.quote(str(self.folder / BEST_FILE))}"
        yield f"or take the trial's own run: simtrain evaluate {shlex.quote(str(self.run_of(self.best)))}"


def best_of(trials: Sequence[TrialResult]) -> TrialResult | None:
    """The trial of the highest figure, of those that ran through if there is one; the earlier of equal ones."""
    ended = [one for one in trials if one.value is not None]
    complete = [one for one in ended if one.state == "complete"]
    return max(complete or ended, key=lambda one: (one.value, -one.index), default=None)


def run_name(index: int) -> str:
    """The run's name of a trial."""
    return f"trial_{index:03d}"

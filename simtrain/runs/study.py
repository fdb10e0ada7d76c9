"""Study of a sweep: which settings are tried next, what each trial gave, and when one is given up; kept in a file.

The door of Optuna. A trial that a killed process has left half done is begun again, and its settings are the same; what
is tried next depends on the seed, the number of the trial and the trials before it, not on how often the sweep was
interrupted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simtrain.config.sweep import Dimension, ValueList
from simtrain.errors import CheckpointError, SimtrainError, first_line

if TYPE_CHECKING:
    import optuna

JOURNAL_FILE = "study.journal"
"""Below a sweep's folder."""

_NAME = "sweep"
_INDEX, _READINGS, _REASON, _BEST_EPOCH = "index", "readings", "reason", "best_epoch"
_RANDOM_TRIALS = 6
_COMPLETE_BEFORE_PRUNING = 4
_EPOCHS_BEFORE_PRUNING = 2
_SEEDS_APART = 1000


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Settings that are tried.

    Attributes:
        index: Its number, from 0; 0 has the settings of the configuration itself.
        overrides: Its settings as `--set` takes them.
    """

    index: int
    overrides: list[str]


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What a trial gave.

    Attributes:
        index: Its number, from 0.
        overrides: Its settings as `--set` takes them.
        state: `complete`, `pruned` or `failed`.
        value: Best figure on val, 0 to 1; None: it failed.
        best_epoch: Epoch of that figure; 0 is the untouched encoder; None: it failed.
        readings: How often val was read.
        reason: Why it failed; None: it did not.
    """

    index: int
    overrides: list[str]
    state: str
    value: float | None
    best_epoch: int | None
    readings: int
    reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return vars(self)


class Study:
    """A study in a folder; one process at a time.

    Args:
        folder: Folder of the sweep, which exists.
        space: The settings that are tried.
        seed: Seed of what is tried.
        first: Values of the configuration itself by key, which are tried first; empty: they lie outside of the space.

    Raises:
        SimtrainError: if Optuna is not installed, or the study's file is damaged.
    """

    def __init__(self, *, folder: Path, space: Sequence[Dimension], seed: int, first: Mapping[str, Any]) -> None:
        optuna = _optuna()
        self._space, self._seed = space, seed
        path = folder / JOURNAL_FILE
        pruner = optuna.pruners.MedianPruner(
            n_startup_trials=_COMPLETE_BEFORE_PRUNING, n_warmup_steps=_EPOCHS_BEFORE_PRUNING
        )
        try:
            storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
            self._study = optuna.create_study(
                study_name=_NAME, storage=storage, direction="maximize", pruner=pruner, load_if_exists=True
            )
            self._begin_again_what_was_left()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path}: cannot be used as the study of a sweep: {first_line(error)}") from None
        if first and not self._study.trials:
            self._study.enqueue_trial(dict(first), user_attrs={_INDEX: 0})

    def results(self) -> list[TrialResult]:
        """What the trials that have ended gave, in their order."""
        state = _optuna().trial.TrialState
        ended = [trial for trial in self._study.trials if trial.state in (state.COMPLETE, state.PRUNED)]
        ended += [trial for trial in self._study.trials if trial.state == state.FAIL and _REASON in trial.user_attrs]
        return sorted((self._result(trial) for trial in ended), key=lambda result: result.index)

    def ask(self) -> "RunningTrial":
        """The next settings to try."""
        optuna = _optuna()
        index = 1 + max((trial.user_attrs.get(_INDEX, -1) for trial in self._study.trials), default=-1)
        waiting = [trial for trial in self._study.trials if trial.state == optuna.trial.TrialState.WAITING]
        if waiting:
            index = waiting[0].user_attrs[_INDEX]
        self._study.sampler = optuna.samplers.TPESampler(
            seed=self._seed * _SEEDS_APART + index, n_startup_trials=_RANDOM_TRIALS
        )
        trial = self._study.ask()
        trial.set_user_attr(_INDEX, index)
        overrides = [dimension.override(_suggested(trial, dimension)) for dimension in self._space]
        return RunningTrial(study=self._study, trial=trial, tried=Trial(index=index, overrides=overrides))

    def _begin_again_what_was_left(self) -> None:
        """Trials that a killed process has left: their settings are the next to be tried, under their numbers."""
        state = _optuna().trial.TrialState
        for trial in [trial for trial in self._study.trials if trial.state == state.RUNNING]:
            self._study.tell(trial.number, state=state.FAIL)
            if _INDEX in trial.user_attrs:
                self._study.enqueue_trial(trial.params, user_attrs={_INDEX: trial.user_attrs[_INDEX]})

    def _result(self, trial: "optuna.trial.FrozenTrial") -> TrialResult:
        attributes = trial.user_attrs
        return TrialResult(
            index=attributes[_INDEX],
            overrides=[dimension.override(trial.params[dimension.key]) for dimension in self._space],
            state={"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[trial.state.name],
            value=attributes.get("value"),
            best_epoch=attributes.get(_BEST_EPOCH),
            readings=int(attributes.get(_READINGS, 0)),
            reason=attributes.get(_REASON),
        )


class RunningTrial:
    """A trial that is being run.

    Args:
        study: Optuna's study.
        trial: Optuna's trial.
        tried: Its settings.
    """

    def __init__(self, *, study: "optuna.Study", trial: "optuna.Trial", tried: Trial) -> None:
        self._study, self._trial = study, trial
        self.tried = tried
        self.pruned = False

    def told(self, epoch: int, value: float) -> bool:
        """Take the figure of an epoch, from 1; True if the trial shall be given up after it."""
        self._trial.report(value, step=epoch)
        self.pruned = self.pruned or bool(self._trial.should_prune())
        return self.pruned

    def ended(self, *, value: float, best_epoch: int, readings: int) -> None:
        """The trial ran through, or was given up."""
        state = _optuna().trial.TrialState
        self._note({"value": value, _BEST_EPOCH: best_epoch, _READINGS: readings})
        if self.pruned:
            self._study.tell(self._trial, state=state.PRUNED)
        else:
            self._study.tell(self._trial, value)

    def failed(self, reason: str, *, readings: int) -> None:
        """The trial could not be run to its end."""
        self._note({_REASON: reason, _READINGS: readings})
        self._study.tell(self._trial, state=_optuna().trial.TrialState.FAIL)

    def _note(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            self._trial.set_user_attr(name, value)


def _suggested(trial: "optuna.Trial", dimension: Dimension) -> Any:
    if isinstance(dimension, ValueList):
        return trial.suggest_categorical(dimension.key, dimension.values)
    if dimension.whole:
        return trial.suggest_int(dimension.key, int(dimension.low), int(dimension.high), log=dimension.log)
    return trial.suggest_float(dimension.key, dimension.low, dimension.high, log=dimension.log)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise SimtrainError("sweep needs Optuna: pip install 'simtrain[sweep]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna

"""`simtrain sweep`: a search for settings by the validation figures of short runs; test is never read."""

import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from typing_extensions import override

from simtrain.builders.processes import run_process_count
from simtrain.builders.validation import build_validation
from simtrain.commands.fit import FitResult, fit
from simtrain.config import RunConfig, apply_overrides, dump_yaml, parse_run_config
from simtrain.config.sweep import Dimension, value_of
from simtrain.console import Console, NamedConsole
from simtrain.errors import CatalogError, CheckpointError, ConfigError, SimtrainError, first_line, system_reason
from simtrain.files import read_json, write_json, write_whole
from simtrain.locks import FileLock, LockHeldError
from simtrain.phrases import counted
from simtrain.runs.record import read_record
from simtrain.runs.run import RUN_FILE, configured_catalog, find_run, open_run, write_run_record
from simtrain.runs.run_lock import LOCK_FILE
from simtrain.runs.study import JOURNAL_FILE, RunningTrial, Study, TrialResult
from simtrain.runs.sweep_result import BEST_FILE, SweepResult, best_of, run_name
from simtrain.training.epoch_table import read_metrics
from simtrain.training.file_names import BEST, LAST, METRICS_FILE
from simtrain.training.ranks import launched_ranks

SWEEP_FILE = "sweep.json"
"""Below a sweep's folder: what it is of."""

_HEAVY = (BEST, LAST, "encoder")
_NOT_SETTINGS = ("run", "checkpoints")


def sweep(config: RunConfig, *, space: Sequence[Dimension], trials: int, console: Console) -> SweepResult:
    """Try settings, each by a run of its own, until there are so many trials; a sweep that was begun is gone on with.

    Trials differ in the settings of the space alone: seed, catalogue and the rest are the configuration's. One whose
    figure on val falls below the median of the others at the same epoch is given up. Of all runs but the best one the
    weights are removed; their record and figures stay.

    Args:
        config: The configuration that it begins with; the first trial has its own settings.
        space: What is tried.
        trials: Number of trials of the whole sweep, those of earlier calls among them.
        console: Shows a line for each trial, and what the first run shows.

    Raises:
        SimtrainError: if the configuration itself cannot be trained; a trial that cannot be is told and passed over.
    """
    folder = _sweep_folder(config)
    _check(config, console=console)
    with _held(folder, console=console):
        _write_or_compare(folder, config, space)
        own = _own_values(config, space)
        study = Study(folder=folder, space=space, seed=config.seed, first=own)
        ended_by = None
        while ended_by is None and len(study.results()) < trials:
            ended_by = _run_trial(study.ask(), config, folder, wanted=trials, console=console)
            _keep_best(folder, study.results(), console=console)
        result = SweepResult(
            folder=folder,
            metric=config.evaluation.monitor,
            trials=study.results(),
            wanted=trials,
            own_first=bool(own),
            ended_by=ended_by,
        )
        _write_best(result, config)
        return result


def _check(config: RunConfig, *, console: Console) -> None:
    if launched_ranks() is not None:
        raise ConfigError("sweep: begins its runs itself; start it as one process, without torchrun or srun")
    if build_validation(config, configured_catalog(config)) is None:
        raise CatalogError(
            f"{config.catalog}: has neither products nor labels, so that val cannot tell which settings are better"
        )
    if run_process_count(config) > 1 and not config.trainer.freeze_encoder:
        console.line("several processes: no trial is given up early")


def _sweep_folder(config: RunConfig) -> Path:
    if config.run is None:
        raise ConfigError("run: missing; name the sweep with --set run=NAME")
    return Path(config.checkpoints).expanduser() / f"{config.run}_sweep"


@contextmanager
def _held(folder: Path, *, console: Console) -> Iterator[None]:
    """The folder of the sweep, which no other process works in meanwhile."""
    lock = FileLock(path=folder / LOCK_FILE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(without=lambda _: console.line(f"{folder}: no locks here: run this sweep once at a time"))
    except LockHeldError as error:
        raise CheckpointError(f"{folder}: this sweep is being run by {error}") from None
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be written to: {system_reason(error)}") from None
    try:
        yield
    finally:
        lock.release()


def _write_or_compare(folder: Path, config: RunConfig, space: Sequence[Dimension]) -> None:
    """Write what the sweep is of; refuse to go on with one of other settings."""
    settings = {key: value for key, value in config.model_dump(mode="json").items() if key not in _NOT_SETTINGS}
    about = {"settings": settings, "space": [str(dimension) for dimension in space]}
    path = folder / SWEEP_FILE
    if not path.exists():
        if (folder / JOURNAL_FILE).exists():
            raise CheckpointError(f"{path}: is missing beside a study; name another sweep with --set run=NAME")
        write_json(path, about, error=CheckpointError)
        return
    before = read_json(path, error=CheckpointError)
    differing = [key for key, value in settings.items() if before.get("settings", {}).get(key) != value]
    if before.get("space") != about["space"]:
        differing.append("the space")
    if differing:
        raise CheckpointError(
            f"{folder}: this sweep was begun with other settings ({', '.join(differing)}); go on with those, or name "
            "another sweep with --set run=NAME"
        )


def _own_values(config: RunConfig, space: Sequence[Dimension]) -> dict[str, Any]:
    """The configuration's own values, for the first trial; empty where one lies outside of the space."""
    tree = config.model_dump(mode="json")
    own = {dimension.key: dimension.own(value_of(tree, dimension.key)) for dimension in space}
    return own if all(value is not None for value in own.values()) else {}


def _run_trial(
    trial: RunningTrial, config: RunConfig, folder: Path, *, wanted: int, console: Console
) -> signal.Signals | None:
    """Train with a trial's settings and tell the study; the signal that interrupted it, if one did."""
    tried = trial.tried
    name = f"trial {tried.index} of {wanted}: {' '.join(tried.overrides)}"
    run_folder = folder / run_name(tried.index)
    try:
        own = _trial_config(config, folder, trial)
        for epoch, value in _earlier_epochs(run_folder, own.evaluation.monitor):
            trial.told(epoch, value)
        resume = find_run(run_folder.name, checkpoints=folder) is not None
        shown = console if tried.index == 0 else _TrialConsole(console, name=f"trial {tried.index}")
        result = fit(own, resume=resume, console=shown, watch=trial.told)
    except SimtrainError as error:
        if tried.index == 0:
            raise
        trial.failed(first_line(error), readings=_readings(run_folder))
        console.line(f"{name}: failed: {first_line(error)}")
        return None
    if result.ended_by is not None:
        return result.ended_by
    _tell(trial, result, run_folder, name=name, console=console)
    return None


def _tell(trial: RunningTrial, result: FitResult, run_folder: Path, *, name: str, console: Console) -> None:
    assert result.best is not None
    readings = _readings(run_folder)
    record = read_record(run_folder / RUN_FILE)
    state = "pruned" if trial.pruned else "complete"
    write_run_record(run_folder, {**record, "sweep": {"trial": trial.tried.index, "state": state}})
    trial.ended(value=result.best, best_epoch=result.best_epoch, readings=readings)
    given_up = f", given up after epoch {readings - 1}" if trial.pruned else ""
    console.line(f"{name}: {result.monitor} {result.best:.3f} in epoch {result.best_epoch}{given_up}")


def _trial_config(config: RunConfig, folder: Path, trial: RunningTrial) -> RunConfig:
    """The configuration of a trial's run, in the sweep's folder."""
    tree = {**config.model_dump(mode="json"), "run": run_name(trial.tried.index), "checkpoints": str(folder)}
    if config.init_from is not None:
        source = open_run(config.init_from, checkpoints=Path(config.checkpoints).expanduser())
        tree["init_from"] = str(source.folder.resolve())
    return parse_run_config(apply_overrides(tree, trial.tried.overrides), where=run_name(trial.tried.index))


def _earlier_epochs(run_folder: Path, monitor: str) -> list[tuple[int, float]]:
    """Epochs of a run that a killed process has left, with their figures."""
    rows = read_metrics(run_folder / METRICS_FILE)
    return [(int(row["epoch"]), float(row[f"val_{monitor}"])) for row in rows if int(row["epoch"]) > 0]


def _readings(run_folder: Path) -> int:
    """How often a run has read val: its untouched encoder, and each epoch."""
    return len(read_metrics(run_folder / METRICS_FILE))


def _keep_best(folder: Path, trials: Sequence[TrialResult], *, console: Console) -> None:
    """Remove the weights of all trials that have ended but the best one's."""
    best = best_of(trials)
    for trial in trials:
        if best is None or trial.index == best.index:
            continue
        for name in _HEAVY:
            path = folder / run_name(trial.index) / name
            try:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            except OSError as error:
                console.line(f"{path}: cannot be removed: {system_reason(error)}")


def _write_best(result: SweepResult, config: RunConfig) -> None:
    """Write the best settings as a run's YAML, beside the study."""
    best = result.best
    if best is None:
        return
    tree: Mapping[str, Any] = {**config.model_dump(mode="json"), "run": f"{config.run}_best"}
    chosen = parse_run_config(apply_overrides(dict(tree), best.overrides), where=str(result.folder / BEST_FILE))
    count = counted(len(result.trials), "trial")
    head = (
        f"# Best of {count} of simtrain sweep by {result.metric} on val: {best.value:.4f}, trial {best.index}.\n"
        f"# {' '.join(best.overrides)}\n"
    )
    write_whole(result.folder / BEST_FILE, (head + dump_yaml(chosen)).encode(), error=CheckpointError)


class _TrialConsole(NamedConsole):
    """Bars alone: what a trial has in common with the first was told by that one."""

    @override
    def line(self, text: str) -> None:
        return

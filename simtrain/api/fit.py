"""`simtrain.fit` and `simtrain.open_run`: training of an encoder, and the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from simtrain.api.inputs import CatalogSource, RunConfigSource, RunSource, checked_config, opened_run, or_terminal
from simtrain.config import RunConfig
from simtrain.config.overrides import Overrides
from simtrain.console import Console
from simtrain.errors import ConfigError

if TYPE_CHECKING:
    from simtrain.api.run import OpenedRun
    from simtrain.runs.run import Run


def fit(
    config: RunConfigSource | None = None,
    *,
    catalog: CatalogSource | None = None,
    resume: RunSource | None = None,
    overrides: Overrides = (),
    console: Console | None = None,
) -> OpenedRun:
    """Fine-tune an encoder, as `simtrain fit` does; everything is written to `checkpoints/RUN`.

    Args:
        config: A YAML file, its content as a mapping, or a checked configuration. None: the run's own, with `resume`.
        catalog: The catalogue; None: the one that the configuration names.
        resume: An interrupted run to go on with, by its name, folder or as an object; None: a new run.
        overrides: Settings that replace the configuration's, such as `{"trainer.epochs": 3}`.
        console: Shows lines and progress; None: the terminal.

    Returns:
        The run; `print` says how it ended, and `run.ended_by` names the signal that interrupted it.

    Raises:
        SimtrainError: for anything that the user can mend; nothing is left half-written.
    """
    settings = _settings(config, catalog=catalog, resume=resume, overrides=overrides)
    from simtrain.api.run import OpenedRun
    from simtrain.commands.fit import fit
    from simtrain.runs.run import open_run

    folder = fit(settings, resume=resume is not None, console=or_terminal(console)).folder
    return OpenedRun.of(open_run(str(folder), checkpoints=folder.parent))


def open_run(run: str | Path, *, overrides: Overrides = ()) -> OpenedRun:
    """Open a run; `print` says how it ended.

    Args:
        run: Name of the run below `checkpoints`, or its folder.
        overrides: Settings that replace those it was trained with, such as `{"evaluation.batch_size": 32}`.

    Raises:
        CheckpointError: if it is not there, with the nearest name that is.
    """
    from simtrain.api.run import OpenedRun

    return OpenedRun.of(opened_run(run, overrides))


def _settings(
    config: RunConfigSource | None, *, catalog: CatalogSource | None, resume: RunSource | None, overrides: Overrides
) -> RunConfig:
    if resume is None:
        if config is None:
            raise ConfigError("fit: give a CONFIG.yaml, or --resume RUN")
        return checked_config(config, catalog=catalog, overrides=overrides)
    if config is None:
        run = opened_run(resume, overrides)
        return _as_run(checked_config(run.config, catalog=catalog, overrides=()), run)

    settings = checked_config(config, catalog=catalog, overrides=overrides)
    if not isinstance(resume, str | Path):
        return _as_run(settings, resume)
    from simtrain.runs.run import open_run

    return _as_run(settings, open_run(str(resume), checkpoints=Path(settings.checkpoints)))


def _as_run(settings: RunConfig, run: Run) -> RunConfig:
    return settings.model_copy(update={"run": run.folder.name, "checkpoints": str(run.folder.parent)})

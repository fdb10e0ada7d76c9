"""`simtrain.fit` and `simtrain.open_run`: training of an encoder, and the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simtrain.api.handed_over import HandedOver, as_before, check_code
from simtrain.api.inputs import CatalogSource, RunConfigSource, RunSource, checked_config, opened_run, or_terminal
from simtrain.config import RunConfig
from simtrain.config.overrides import Overrides, override_lines
from simtrain.console import Console
from simtrain.errors import ConfigError
from simtrain.own_code import code_allowed
from simtrain.training.launch_environment import told_once_a_machine

if TYPE_CHECKING:
    from torch import nn

    from simtrain.api.run import OpenedRun
    from simtrain.runs.loaded_encoder import LoadedEncoder
    from simtrain.runs.run import Run


def fit(
    config: RunConfigSource | None = None,
    *,
    catalog: CatalogSource | None = None,
    resume: RunSource | None = None,
    encoder: nn.Module | LoadedEncoder | None = None,
    objective: Callable[..., Any] | None = None,
    overrides: Overrides = (),
    allow_code: bool = False,
    console: Console | None = None,
) -> OpenedRun:
    """Fine-tune an encoder, as `simtrain fit` does; everything is written to `checkpoints/RUN`.

    A network or loss of one's own that is handed over as an object is recorded as `kind: python` with the path of its
    class and `instance: true`: its weights are in the run, its code is not, and its arguments are not known. The run
    that is returned still has it. A run that is opened later needs it again, with `open_run` or `resume`, and so does
    a bundle with `open_bundle` (its ONNX needs nothing). What shall be made again from its name is named instead, as
    `encoder: {kind: python, target: "package.module:Name", parameters: {…}}`; so is, by itself, a loss that is a
    function of a module.

    Args:
        config: A YAML file, its content as a mapping, or a checked configuration. None: the run's own, with `resume`.
        catalog: The catalogue; None: the one that the configuration names.
        resume: An interrupted run to go on with, by its name, folder or as an object; None: a new run.
        encoder: A network of one's own in the place of the configuration's encoder: from (N, 3, S, S) normalised
            images to (N, D) vectors. How images are prepared for it: as `load_encoder(module, image_size=…)` was told,
            else as `encoder` in the configuration says, if its kind is python; else its attribute `preprocessing`.
        objective: A loss of one's own in the place of the configuration's: from (N, D) embeddings and (N,) labels to a
            scalar; how batches are made for it says `objective` in the configuration, if its kind is python.
        overrides: Settings that replace the configuration's, such as `{"trainer.epochs": 3}`.
        allow_code: Whether code that a file or mapping names (`kind: python`) may be imported.
        console: Shows lines and progress; None: the terminal.

    Returns:
        The run; `print` says how it ended, and `run.ended_by` names the signal that interrupted it.

    Raises:
        SimtrainError: for anything that the user can mend; nothing is left half-written.
    """
    given = HandedOver(encoder=encoder, objective=objective)
    with code_allowed(allow_code):
        with told_once_a_machine():
            settings = _settings(config, catalog=catalog, resume=resume, overrides=overrides, given=given)
            check_code(settings)
        from simtrain.api.run import OpenedRun
        from simtrain.commands.fit import fit
        from simtrain.runs.run import open_run

        folder = fit(settings, resume=resume is not None, console=or_terminal(console)).folder
        run = open_run(str(folder), checkpoints=folder.parent)
        return OpenedRun.of(replace(run, config=as_before(run.config, settings)))


def open_run(
    run: str | Path,
    *,
    encoder: nn.Module | LoadedEncoder | None = None,
    objective: Callable[..., Any] | None = None,
    overrides: Overrides = (),
    allow_code: bool = False,
) -> OpenedRun:
    """Open a run; `print` says how it ended.

    Args:
        run: Name of the run below `checkpoints`, or its folder.
        encoder: The network again, where it was handed over to `fit` as an object; its weights are the run's. None: the
            run is opened by itself.
        objective: The loss again, likewise; only `resume` needs it.
        overrides: Settings that replace those it was trained with, such as `{"evaluation.batch_size": 32}`.
        allow_code: Whether code that the run names (`kind: python`) may be imported, now and later with this object.

    Raises:
        CheckpointError: if it is not there, with the nearest name that is.
    """
    from simtrain.api.run import OpenedRun

    given = HandedOver(encoder=encoder, objective=objective)
    with code_allowed(allow_code):
        opened = opened_run(run, overrides)
    return OpenedRun.of(replace(opened, config=given.held_by(opened.config)))


def _settings(
    config: RunConfigSource | None,
    *,
    catalog: CatalogSource | None,
    resume: RunSource | None,
    overrides: Overrides,
    given: HandedOver,
) -> RunConfig:
    if resume is None:
        if config is None:
            raise ConfigError("fit: give a CONFIG.yaml, or --resume RUN")
        return checked_config(config, catalog=catalog, overrides=overrides, given=given)
    _refuse_renaming(overrides, resume)
    if config is None:
        run = opened_run(resume, overrides)
        return _as_run(given.held_by(checked_config(run.config, catalog=catalog, overrides=())), run)

    settings = checked_config(config, catalog=catalog, overrides=overrides, given=given)
    if not isinstance(resume, str | Path):
        return _as_run(settings, resume)
    from simtrain.runs.run import open_run

    return _as_run(settings, open_run(str(resume), checkpoints=Path(settings.checkpoints)))


def _refuse_renaming(overrides: Overrides, resume: RunSource) -> None:
    """Refuse another name or place for a run that goes on: it would be passed over."""
    for line in override_lines(overrides):
        key, _, value = line.partition("=")
        if key.strip() in ("run", "checkpoints"):
            name = resume if isinstance(resume, str | Path) else resume.argument
            raise ConfigError(
                f"--set {key.strip()}={value}: --resume goes on with {name}, under its name; leave one of them out, "
                f"or start a new run from its weights with --set init_from={name}"
            )


def _as_run(settings: RunConfig, run: Run) -> RunConfig:
    return settings.model_copy(update={"run": run.folder.name, "checkpoints": str(run.folder.parent)})

"""`simtrain fit`: arguments and output."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simtrain.cli.arguments import SetOption, open_named_run, shown
from simtrain.cli.console import TERMINAL
from simtrain.errors import SimtrainError

if TYPE_CHECKING:
    from simtrain.config import RunConfig


def fit(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG.yaml", help="The run; see `simtrain config`.")
    ] = None,
    overrides: SetOption = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with an interrupted run.")] = None,
) -> None:
    """Fine-tune an encoder; writes checkpoints/RUN."""
    settings = _fit_config(config, overrides or [], resume=resume)
    from simtrain.commands.fit import fit as run_fit

    with closing(TERMINAL):
        result = run_fit(settings, resume=resume is not None, console=TERMINAL)
    if result.ended_by is not None:
        TERMINAL.line(f"interrupted; go on with: simtrain fit --resume {shown(result.folder)}")
        raise typer.Exit(128 + result.ended_by)
    if result.best is not None and result.zero_shot is not None:
        verdict = "" if result.best_epoch else "  (no epoch was better than the untouched encoder, which is kept)"
        TERMINAL.line(
            f"best {result.monitor} on val: {result.best:.3f} in epoch {result.best_epoch}, "
            f"zero-shot {result.zero_shot:.3f}{verdict}"
        )
    TERMINAL.line(f"run: {result.folder}")
    TERMINAL.line(f"next: simtrain evaluate {shown(result.folder)}")


def _fit_config(config: Path | None, overrides: list[str], *, resume: str | None) -> "RunConfig":
    from simtrain.config import load_run_config

    if resume is None:
        if config is None:
            raise SimtrainError("fit: give a CONFIG.yaml, or --resume RUN")
        return load_run_config(config, overrides)
    if config is None:
        run = open_named_run(resume, overrides)
        return run.config.model_copy(update={"run": run.folder.name, "checkpoints": str(run.folder.parent)})
    settings = load_run_config(config, overrides)
    run = open_named_run(resume, [], checkpoints=Path(settings.checkpoints))
    return settings.model_copy(update={"run": run.folder.name, "checkpoints": str(run.folder.parent)})

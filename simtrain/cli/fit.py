"""`simtrain fit`: arguments and output."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import AllowCodeOption, RecipeOption, SetOption, expanded, named_config
from simtrain.cli.console import TERMINAL
from simtrain.cli.output import WORK, show


def fit(
    config: Annotated[
        Path | None,
        typer.Argument(
            callback=expanded, metavar="CONFIG.yaml", help="YAML file of the run; simtrain config shows every setting."
        ),
    ] = None,
    recipe: RecipeOption = None,
    overrides: SetOption = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with an interrupted run.")] = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Fine-tune an encoder; writes checkpoints/RUN."""
    from simtrain.api.fit import fit

    with closing(TERMINAL):
        run = fit(
            named_config(config, recipe),
            resume=resume,
            overrides=overrides or [],
            allow_code=allow_code,
            console=WORK,
        )
    from simtrain.training.launch_environment import is_first_process  # with torch, which a mistake does not wait for

    if is_first_process():  # torchrun and SLURM start the command several times
        show(run)
    if run.ended_by is not None:
        raise typer.Exit(128 + run.ended_by)

"""`simtrain sweep`: arguments and output."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import AllowCodeOption, RecipeOption, SetOption, expanded, named_config
from simtrain.cli.console import TERMINAL
from simtrain.cli.output import WORK, show
from simtrain.errors import SimtrainError


def sweep(
    config: Annotated[
        Path | None, typer.Argument(callback=expanded, metavar="CONFIG.yaml", help="YAML file of the run.")
    ] = None,
    recipe: RecipeOption = None,
    over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUES",
            help="Setting to search over: optimizer.learning_rate=1e-5..1e-3:log, "
            "augmentation.preset=affine,color_sensitive, encoder.image_size=160,224; repeatable. Default: learning "
            "rate, temperature or margin, augmentation.",
        ),
    ] = None,
    space: Annotated[
        Path | None, typer.Option(callback=expanded, metavar="FILE.yaml", help="YAML file of such settings.")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Number of trials of the whole sweep.")] = 20,
    overrides: SetOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Search for settings by figures on val, never on test; the same command goes on with what was interrupted."""
    from simtrain.api.sweep import sweep

    path = named_config(config, recipe)
    if path is None:
        raise SimtrainError("sweep: give a CONFIG.yaml, or --recipe NAME")
    with closing(TERMINAL):
        found = sweep(
            path,
            over=over or [],
            space=space,
            trials=trials,
            overrides=overrides or [],
            allow_code=allow_code,
            console=WORK,
        )
    show(found)
    if found.ended_by is not None:
        raise typer.Exit(128 + found.ended_by)

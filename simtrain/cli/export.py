"""`simtrain export`: arguments and output."""

from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import (
    AllowCodeOption,
    AlphaOption,
    EmbeddingsOption,
    SetOption,
    SignOption,
    alpha_of,
    expanded,
    open_named_run,
)
from simtrain.cli.console import TERMINAL


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run of simtrain fit.")],
    out: Annotated[Path, typer.Option(callback=expanded, help="Folder for the bundle.")],
    alpha: AlphaOption = None,
    relocatable: Annotated[
        bool,
        typer.Option(help="Whether it can be given away: no path of this machine is in it."),
    ] = True,
    sign: SignOption = None,
    embeddings: EmbeddingsOption = None,
    overrides: SetOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Write encoder, preprocessing, index and items as one bundle, and check it."""
    opened = open_named_run(run, overrides or [])
    share = alpha_of(opened, alpha)
    from simtrain.api.export import export

    exported = export(
        opened,
        out,
        alpha=share,
        relocatable=relocatable,
        sign=sign,
        embeddings=embeddings,
        allow_code=allow_code,
        console=TERMINAL,
    )
    TERMINAL.line(str(exported))

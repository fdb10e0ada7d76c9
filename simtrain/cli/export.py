"""`simtrain export`: arguments and output."""

from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import (
    DEFAULT_CHECKPOINTS,
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
from simtrain.cli.output import WORK, show


def export(
    encoder: Annotated[
        str,
        typer.Argument(
            metavar="RUN|ENCODER",
            help="A run of simtrain fit, or an untouched encoder: a name or .yaml as simtrain compare takes it, or "
            "start_of_RUN; _whitened or _half_whitened may follow.",
        ),
    ],
    out: Annotated[Path, typer.Option(callback=expanded, help="Folder for the bundle.")],
    catalog: Annotated[
        Path | None,
        typer.Option(callback=expanded, metavar="FOLDER", help="Catalogue. Default: that of the run or .yaml."),
    ] = None,
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
    from simtrain.api.export import export
    from simtrain.runs.run import find_run

    if find_run(encoder, checkpoints=DEFAULT_CHECKPOINTS) is not None:
        alpha = alpha_of(open_named_run(encoder, overrides or []), alpha)
    try:
        exported = export(
            encoder,
            out,
            catalog=catalog,
            alpha=alpha,
            relocatable=relocatable,
            sign=sign,
            embeddings=embeddings,
            overrides=overrides or [],
            allow_code=allow_code,
            console=WORK,
        )
    except KeyboardInterrupt:
        TERMINAL.aside(f"interrupted; {out} is as it was, or whole where the check was over")
        raise
    show(exported)

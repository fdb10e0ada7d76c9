"""`simtrain prepare`: arguments and output."""

from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import AllowCodeOption, SetOption, expanded
from simtrain.cli.output import WORK, show


def prepare(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder of images, table (.csv, .tsv, .jsonl, .parquet, .xlsx), synthetic[:PRODUCTS], "
            "kaggle:OWNER/NAME, digikala, fashion-mnist[:FOLDER], python:MODULE:FUNCTION."
        ),
    ],
    out: Annotated[Path, typer.Option(callback=expanded, help="Folder for the catalogue.")],
    config: Annotated[
        Path | None, typer.Option(callback=expanded, help="YAML file with settings; default: none.")
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Apply the safe fixes: near duplicates are grouped.")] = False,
    overrides: SetOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Read, verify, deduplicate, split and store images as a catalogue."""
    from simtrain.api.prepare import prepare

    made = prepare(
        source,
        out,
        config=config,
        overrides=overrides or [],
        fix=fix,
        allow_code=allow_code,
        console=WORK,
    )
    show(made)

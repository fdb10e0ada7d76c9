"""`simtrain embed`: arguments and output."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import AllowCodeOption, SetOption, expanded
from simtrain.cli.output import WORK, show


class Precision(StrEnum):
    """Of the numbers that are kept."""

    FLOAT16 = "float16"
    FLOAT32 = "float32"


class Engine(StrEnum):
    """What runs the work."""

    LOCAL = "local"
    RAY = "ray"


def embed(
    bundle: Annotated[Path, typer.Argument(callback=expanded, help="Bundle folder, written by simtrain export.")],
    source: Annotated[
        str,
        typer.Argument(help="Catalogue of simtrain prepare, or folder of images, table, Parquet with images inside."),
    ],
    out: Annotated[Path, typer.Option(callback=expanded, help="Folder for the shards.")],
    precision: Annotated[Precision, typer.Option(help="Of the numbers that are kept.")] = Precision.FLOAT32,
    shard_size: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Images of a shard; what a kill can cost.")
    ] = 10_000,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine; default: one for each GPU, or each core.")
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="local, or ray: the cluster that RAY_ADDRESS names, or this machine.")
    ] = Engine.LOCAL,
    overrides: SetOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Embed any collection of images with a bundle's encoder, as Parquet shards; an ended call goes on."""
    from simtrain.api.embed import embed

    report = embed(
        bundle,
        source,
        out,
        precision=precision.value,
        shard_size=shard_size,
        processes=processes,
        engine=engine.value,
        overrides=overrides or [],
        allow_code=allow_code,
        console=WORK,
    )
    show(report)

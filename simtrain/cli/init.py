"""`simtrain init`: arguments and output."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from simtrain.cli.arguments import SetOption, expanded
from simtrain.cli.output import show


class RouteChoice(StrEnum):
    """What an encoder can be trained by."""

    PRODUCTS = "products"
    LABELS = "labels"
    CAPTIONS = "captions"
    PICTURES = "pictures"


def init(
    catalog: Annotated[
        Path,
        typer.Argument(callback=expanded, metavar="CATALOG", help="Catalogue folder, written by simtrain prepare."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(callback=expanded, metavar="FILE.yaml", help="File to write; default: the catalogue's name."),
    ] = None,
    route: Annotated[
        RouteChoice | None,
        typer.Option(help="What to train by; default: the most that the catalogue knows."),
    ] = None,
    overrides: SetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a configuration for a catalogue and this machine, with the reason for each choice."""
    from simtrain.api.init import init

    chosen: Any = None if route is None else route.value
    show(init(catalog, out, route=chosen, overrides=overrides or [], force=force))

"""`simtrain list`: arguments and output."""

from enum import StrEnum
from typing import Annotated

import typer

from simtrain.cli.output import show


class Listed(StrEnum):
    """What can be listed."""

    RECIPES = "recipes"
    ENCODERS = "encoders"
    LOSSES = "losses"
    MINERS = "miners"
    AUGMENTATIONS = "augmentations"


def show_list(what: Annotated[Listed, typer.Argument(help="What to list.")]) -> None:
    """List recipes, kinds of encoders, losses, miners or augmentations, with how each is set."""
    from simtrain.commands.list import choices

    show(choices(what.value))

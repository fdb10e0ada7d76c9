"""`simtrain list`: arguments and output."""

from enum import StrEnum
from typing import Annotated

import typer


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

    found = choices(what.value)
    width = max(map(len, found.entries))
    for name, meaning in found.entries.items():
        print(f"{name:{width}}  {meaning}".rstrip())
    print(f"\n{found.use}")

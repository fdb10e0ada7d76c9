"""What several verbs take: a run by its name, overrides of its configuration."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from simtrain.commands.runs import Run

DEFAULT_CHECKPOINTS = Path("checkpoints")

SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a configuration key; repeatable.")
]


def open_named_run(name: str, overrides: list[str], *, checkpoints: Path = DEFAULT_CHECKPOINTS) -> "Run":
    """The run of a name below `checkpoints`, or of a folder."""
    from simtrain.commands.runs import open_run

    return open_run(name, checkpoints=checkpoints, overrides=overrides)


def shown(folder: Path) -> str:
    """How the run is called on the next command line."""
    return folder.name if folder.parent == DEFAULT_CHECKPOINTS else str(folder)

"""`simtrain runs`: arguments and output."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import DEFAULT_CHECKPOINTS, expanded, open_named_run
from simtrain.cli.output import WORK, show, verb, with_output_options
from simtrain.errors import SimtrainError

app = typer.Typer(help="Show the runs in checkpoints/, two beside each other, or delete one.")

CheckpointsOption = Annotated[
    Path, typer.Option("--checkpoints", callback=expanded, metavar="FOLDER", help="Folder that holds the runs.")
]


def show_runs(context: typer.Context, checkpoints: CheckpointsOption = DEFAULT_CHECKPOINTS) -> None:
    """Show the runs of a folder: state, encoder, objective, epochs, figures of val and test, time, data, code."""
    if context.invoked_subcommand is not None:
        return
    from simtrain.commands.runs import list_runs

    show(list_runs(checkpoints))


app.callback(invoke_without_command=True)(with_output_options(show_runs, as_json=True))


@verb(app, "diff")
def diff(
    first: Annotated[str, typer.Argument(metavar="RUN", help="A run: its name or folder.")],
    second: Annotated[str, typer.Argument(metavar="RUN", help="Another one.")],
    checkpoints: CheckpointsOption = DEFAULT_CHECKPOINTS,
) -> None:
    """Show which settings of two runs differ, their figures, and whether they saw the same data."""
    from simtrain.commands.runs import compare_settings

    runs = [open_named_run(name, [], checkpoints=checkpoints) for name in (first, second)]
    show(compare_settings(*runs))


@verb(app, "delete")
def delete(
    name: Annotated[str, typer.Argument(metavar="RUN", help="Name of the run in the folder.")],
    checkpoints: CheckpointsOption = DEFAULT_CHECKPOINTS,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a run that nobody trains, with all its checkpoints; bundles that were exported from it stay."""
    from simtrain.commands.runs import run_to_delete

    with run_to_delete(name, checkpoints=checkpoints) as run:
        WORK.line(str(run))
        if not yes:
            if not sys.stdin.isatty():
                raise SimtrainError(f"{run.folder}: not deleted: nobody can be asked here; add --yes")
            typer.confirm("delete it?", abort=True)
        run.delete()
    show(Deleted(deleted=run.folder))


@dataclass(frozen=True, kw_only=True)
class Deleted:
    """A run that is gone.

    Attributes:
        deleted: Its folder.
    """

    deleted: Path

    def __str__(self) -> str:
        return f"deleted: {self.deleted}"

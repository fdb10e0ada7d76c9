"""What several verbs take: a run by its name, overrides of its configuration."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simtrain.cli.console import TERMINAL
from simtrain.errors import SimtrainError

if TYPE_CHECKING:
    from simtrain.runs.run import Run

DEFAULT_CHECKPOINTS = Path("checkpoints")

SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a configuration key; repeatable.")
]


AlphaOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Share of the tuned weights, the rest is of the start; default: what interpolate chose.",
    ),
]


class SplitChoice(StrEnum):
    """The splits of a catalogue."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


def open_named_run(name: str, overrides: list[str], *, checkpoints: Path = DEFAULT_CHECKPOINTS) -> "Run":
    """The run of a name below `checkpoints`, or of a folder."""
    from simtrain.runs.run import open_run

    return open_run(name, checkpoints=checkpoints, overrides=overrides)


def shown(folder: Path) -> str:
    """How the run is called on the next command line."""
    return folder.name if folder.parent == DEFAULT_CHECKPOINTS else str(folder)


def alpha_of(run: "Run", asked: float | None) -> float:
    """The share of the tuned weights that a command takes, which is told unless it is all."""
    from simtrain.runs.interpolation_record import chosen_alpha

    share = chosen_alpha(run.folder) if asked is None else asked
    if share != 1:
        whose = "" if asked is not None else ", which simtrain interpolate chose; --alpha 1 takes the tuned ones alone"
        TERMINAL.line(f"weights: alpha {share:g} between the start's (0) and the tuned ones (1){whose}")
    return share


def check_json_folder(path: Path) -> None:
    """Refuse a --json file whose folder does not exist, before anything long is run."""
    if not path.parent.is_dir():
        raise SimtrainError(f"--json {path}: the folder {path.parent} does not exist")

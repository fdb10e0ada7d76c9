"""Arguments that several commands share: run names, overrides, splits, alpha."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simtrain.cli.output import WORK
from simtrain.errors import SimtrainError
from simtrain.output_folders import output_folder

if TYPE_CHECKING:
    from simtrain.runs.run import Run

DEFAULT_CHECKPOINTS = Path("checkpoints")  # as in runs.run, which imports more

SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a configuration key; repeatable.")
]


RecipeOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A recipe of the package instead of a CONFIG.yaml; simtrain list recipes."),
]


def named_config(path: Path | None, recipe: str | None) -> Path | None:
    """The YAML file that a command was given, by its path or as a recipe; None: neither.

    Raises:
        SimtrainError: if both were given, or there is no such recipe.
    """
    from simtrain.config.recipes import recipe_path

    if recipe is None:
        return path
    if path is not None:
        raise SimtrainError(f"{path} and --recipe {recipe}: give one of both")
    return recipe_path(recipe)


AlphaOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Share of the fine-tuned weights; the rest are initial weights. Default: what interpolate chose, or 1.",
    ),
]


AllowCodeOption = Annotated[
    bool, typer.Option("--allow-code", help="Import code that an opened file names; only for files that you trust.")
]


class SplitChoice(StrEnum):
    """The splits of a catalogue."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


def open_named_run(name: str, overrides: list[str], *, checkpoints: Path = DEFAULT_CHECKPOINTS) -> "Run":
    """Open a run by its name below `checkpoints`, or by its folder; code that it names is not imported by that."""
    from simtrain.runs.run import open_run

    return open_run(name, checkpoints=checkpoints, overrides=overrides)


def shown(folder: Path) -> str:
    """Name or path of a run as the user can type it in the next command."""
    return folder.name if folder.parent == DEFAULT_CHECKPOINTS else str(folder)


def alpha_of(run: "Run", asked: float | None) -> float:
    """The share of the fine-tuned weights that a command uses, 0 to 1, with a message unless it is 1."""
    from simtrain.runs.interpolation_record import chosen_alpha

    share = chosen_alpha(run.folder) if asked is None else asked
    if share != 1:
        chosen = (
            "" if asked is not None else "; chosen by simtrain interpolate, --alpha 1 uses fine-tuned weights alone"
        )
        WORK.line(f"weights: alpha {share:g} (0 = initial, 1 = fine-tuned){chosen}")
    return share


def expanded(path: Path | None) -> Path | None:
    """A path as it was meant: a shell leaves the tilde of `--out=~/x` as it is."""
    return path.expanduser() if path is not None else None


EmbeddingsOption = Annotated[
    Path | None,
    typer.Option(
        callback=expanded,
        metavar="FOLDER",
        help="Shards of simtrain embed by the same encoder: what they hold is not embedded again.",
    ),
]


@contextmanager
def output_file(path: Path) -> Iterator[None]:
    """Make the folder of a file that the block will write, before anything long is run; see `output_folder`.

    Raises:
        SimtrainError: if it cannot be made or written to, or there is something else under the file's name.
    """
    if path.exists() and not path.is_dir() and (not path.is_file() or path.is_relative_to("/dev")):
        raise SimtrainError(f"{path}: is a device or a pipe, which would be replaced; name a file")
    if path.is_dir():
        raise SimtrainError(f"{path}: is a folder; expected the name of a file")
    with output_folder(path.parent, told_as=str(path)):
        yield


ImagesOption = Annotated[
    Path | None,
    typer.Option(
        callback=expanded, metavar="FOLDER", help="Pictures of the items. Default: where the bundle was made."
    ),
]


SignOption = Annotated[
    Path | None,
    typer.Option(callback=expanded, metavar="KEY", help="Sign the manifest with this Ed25519 key (PEM)."),
]


SignedByOption = Annotated[
    Path | None,
    typer.Option(
        callback=expanded, metavar="PUBLIC_KEY", help="Refuse the bundle unless it is signed with this Ed25519 key."
    ),
]

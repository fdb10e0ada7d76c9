"""The command line: verbs only. Everything heavier than the configuration is imported inside each command."""

import errno
import json
import sys
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

from simtrain.cli.arguments import DEFAULT_CHECKPOINTS, SetOption, open_named_run, shown
from simtrain.cli.compared import compare
from simtrain.cli.screen import (
    TrainingBar,
    fail,
    message_of,
    print_diagnosis,
    print_neighbours,
    progress,
    say,
    say_aside,
)
from simtrain.cli.trained import evaluate, export, interpolate
from simtrain.errors import SimtrainError

if TYPE_CHECKING:
    from simtrain.config import RunConfig

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Fine-tune pretrained image encoders for similar-product search: prepare, fit, evaluate, compare, "
    "interpolate, export, search, doctor.",
)
_MENDABLE = {errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS, errno.EDQUOT, errno.ENAMETOOLONG}


class AcceleratorChoice(StrEnum):
    """What a check runs on."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


@app.command()
def prepare(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder of images, .csv or .parquet table, synthetic[:PRODUCTS], kaggle:OWNER/NAME, digikala, "
            "fashion-mnist[:FOLDER]."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the catalogue.")],
    config: Annotated[Path | None, typer.Option(help="YAML with settings; the defaults do without.")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Apply the safe remedies, and record them.")] = False,
    overrides: SetOption = None,
) -> None:
    """Read, verify, deduplicate, split and store images as a catalogue."""
    from simtrain.commands.prepare import prepare as run_prepare
    from simtrain.config import load_prepare_config

    settings = load_prepare_config(config, overrides or [])
    report = run_prepare(source, out=out, config=settings, fix=fix, progress=progress())
    for line in report.lines():
        print(line)


@app.command()
def fit(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG.yaml", help="The run; see `simtrain config`.")
    ] = None,
    overrides: SetOption = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with an interrupted run.")] = None,
) -> None:
    """Fine-tune an encoder; writes checkpoints/RUN."""
    settings = _fit_config(config, overrides or [], resume=resume)
    from simtrain.commands.fit import fit as run_fit

    bar = TrainingBar()
    with closing(bar):
        result = run_fit(settings, resume=resume is not None, say=bar.say, progress=progress(), step=bar.step)
    if result.ended_by is not None:
        say(f"interrupted; go on with: simtrain fit --resume {shown(result.folder)}")
        raise typer.Exit(128 + result.ended_by)
    if result.best is not None and result.zero_shot is not None:
        verdict = "" if result.best_epoch else "  (no epoch was better than the untouched encoder, which is kept)"
        say(
            f"best {result.monitor} on val: {result.best:.3f} in epoch {result.best_epoch}, "
            f"zero-shot {result.zero_shot:.3f}{verdict}"
        )
    say(f"run: {result.folder}")
    say(f"next: simtrain evaluate {shown(result.folder)}")


app.command()(evaluate)
app.command()(compare)
app.command()(interpolate)
app.command()(export)


@app.command()
def search(
    bundle: Annotated[Path, typer.Argument(help="A bundle of simtrain export.")],
    image: Annotated[Path | None, typer.Option(help="Query image.")] = None,
    text: Annotated[str | None, typer.Option(help="Query text, for encoders that read text.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Neighbours.")] = 5,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw query and neighbours.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """The products nearest to an image or to a text."""
    from simtrain.commands.search import search as run_search

    result = run_search(bundle, image=image, text=text, k=k, plot=plot)
    if as_json:
        print(json.dumps(result.to_dict(), indent=2, ensure_ascii=False))
    else:
        print_neighbours(result)
        if plot is not None:
            say(f"picture: {plot}")
    if result.tokens_read:
        say_aside(f"the text is longer than the encoder reads: only its first {result.tokens_read} tokens count")
    if plot is not None and result.missing_pictures:
        say_aside(
            f"{result.missing_pictures} of {len(result.neighbours)} pictures are no longer where the bundle saw them"
        )


@app.command()
def doctor(
    devices: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Processes to compare with one; none named: one per GPU.")
    ] = None,
    accelerator: Annotated[AcceleratorChoice, typer.Option(help="What they run on.")] = AcceleratorChoice.AUTO,
    timeout: Annotated[int, typer.Option(min=5, help="Seconds to wait for a process that does not answer.")] = 120,
) -> None:
    """What this machine can do; whether N processes give the loss, gradients and metrics of one."""
    from simtrain.commands.doctor import bounds
    from simtrain.commands.doctor import doctor as run_doctor

    found = run_doctor(devices=devices, accelerator=accelerator.value, folder=DEFAULT_CHECKPOINTS, timeout=timeout)
    print_diagnosis(found, bounds=bounds())
    if not found.healthy:
        raise typer.Exit(2)


@app.command("config")
def show_config(
    config: Annotated[Path | None, typer.Argument(metavar="CONFIG.yaml", help="The run's YAML.")] = None,
    overrides: SetOption = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema, for editors.")] = False,
) -> None:
    """Print a configuration with every default filled in, or its JSON schema."""
    from simtrain.config import RunConfig, dump_yaml, load_run_config

    if schema:
        print(json.dumps(RunConfig.model_json_schema(), indent=2))
    elif config is None:
        raise SimtrainError("config: give a CONFIG.yaml, or --schema")
    else:
        print(dump_yaml(load_run_config(config, overrides or [])), end="")


def main() -> None:
    """Run the command line; what a user can mend is told in a line or two, with exit status 2."""
    try:
        status = app(standalone_mode=False)
    except SimtrainError as error:
        fail(message_of(error))
    except TyperException as error:
        misuse = " ".join(error.format_message().split())
        if not misuse:  # a bare `simtrain` has shown its help
            sys.exit(2)
        fail(f"{misuse}{'' if misuse.endswith(('.', '?')) else '.'} See: simtrain --help")
    except (typer.Abort, KeyboardInterrupt):
        say_aside("interrupted")
        sys.exit(130)
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror))
    sys.exit(status if isinstance(status, int) else 0)


def _fit_config(config: Path | None, overrides: list[str], *, resume: str | None) -> "RunConfig":
    from simtrain.config import load_run_config

    if resume is None:
        if config is None:
            raise SimtrainError("fit: give a CONFIG.yaml, or --resume RUN")
        return load_run_config(config, overrides)
    if config is None:
        run = open_named_run(resume, overrides)
        return run.config.model_copy(update={"run": run.folder.name, "checkpoints": str(run.folder.parent)})
    settings = load_run_config(config, overrides)
    run = open_named_run(resume, [], checkpoints=Path(settings.checkpoints))
    return settings.model_copy(update={"run": run.folder.name, "checkpoints": str(run.folder.parent)})

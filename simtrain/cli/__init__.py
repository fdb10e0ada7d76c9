"""The command line: one file for each verb. Everything heavier than the configuration is imported inside the verb."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from simtrain.cli import (
    compare,
    config,
    doctor,
    embed,
    evaluate,
    export,
    fit,
    index,
    init,
    interpolate,
    listing,
    prepare,
    publish,
    runs,
    search,
    serve,
    sweep,
)
from simtrain.cli.console import TERMINAL, fail, set_up_output
from simtrain.cli.host_memory import keep_freed_memory
from simtrain.cli.output import verb
from simtrain.cli.wall import CLOSED_PIPE, INTERRUPTED, end_with
from simtrain.errors import SimtrainError
from simtrain.version import VERSION

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Fine-tune pretrained image encoders for similar-product search: prepare, init, fit, evaluate, compare, "
    "interpolate, export, search, serve, index, embed, publish, runs, sweep, doctor, config, list.",
    epilog="Exit status: 0 done; 2 something that you can mend, told in a line; 1 a bug of simtrain, with its log; "
    "128 + N ended by signal N, as by Ctrl-C (130).",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"simtrain {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Nothing but what the options do."""


verb(app, "prepare")(prepare.prepare)
verb(app, "init")(init.init)
verb(app, "fit")(fit.fit)
verb(app, "sweep")(sweep.sweep)
verb(app, "evaluate", as_json=False)(evaluate.evaluate)
verb(app, "compare")(compare.compare)
verb(app, "interpolate", as_json=False)(interpolate.interpolate)
verb(app, "export")(export.export)
verb(app, "search")(search.search)
verb(app, "serve", as_json=False)(serve.serve)
verb(app, "embed")(embed.embed)
verb(app, "publish")(publish.publish)
app.add_typer(index.app, name="index")
app.add_typer(runs.app, name="runs")
verb(app, "doctor")(doctor.doctor)
verb(app, "config", as_json=False)(config.show_config)
verb(app, "list")(listing.show_list)


def _verb_of(error: TyperException) -> str:
    """The command that was misused, as it is typed."""
    names = list[str]()
    context = getattr(error, "ctx", None)
    while context is not None and context.parent is not None:
        names.insert(0, str(context.info_name))
        context = context.parent
    return " ".join(["simtrain", *names])


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Refuse an empty argument, which would stand for the working folder."""
    for place, argument in enumerate(arguments):
        if not argument:
            after = f" after {arguments[place - 1]}" if place else ""
            raise SimtrainError(f"an argument{after} is empty, as where a shell's variable is not set")


def main() -> None:
    """Run the command line; an error that the user can fix is one or two lines, with exit status 2."""
    set_up_output()
    keep_freed_memory()
    try:
        _refuse_empty(sys.argv[1:])
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        misuse = " ".join(error.format_message().split())
        if not misuse:  # a bare `simtrain` has shown its help
            sys.exit(2)
        fail(f"{misuse}{'' if misuse.endswith(('.', '?')) else '.'} See: {_verb_of(error)} --help")
    except (typer.Abort, KeyboardInterrupt):
        TERMINAL.aside("interrupted")
        sys.exit(INTERRUPTED)
    except SystemExit as leaving:  # with 1 typer leaves where nobody reads the output any more
        sys.exit(CLOSED_PIPE if leaving.code == 1 else leaving.code)
    except Exception as error:  # the wall: whatever the world or a library did
        end_with(error)
    sys.exit(status if isinstance(status, int) else 0)

"""The command line: one file for each verb. Everything heavier than the configuration is imported inside the verb."""

import sys

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
from simtrain.cli.wall import CLOSED_PIPE, end_with

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Fine-tune pretrained image encoders for similar-product search: prepare, init, fit, evaluate, compare, "
    "interpolate, export, search, serve, index, embed, publish, runs, sweep, doctor, config, list.",
)
app.command("prepare")(prepare.prepare)
app.command("init")(init.init)
app.command("fit")(fit.fit)
app.command("sweep")(sweep.sweep)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("interpolate")(interpolate.interpolate)
app.command("export")(export.export)
app.command("search")(search.search)
app.command("serve")(serve.serve)
app.command("embed")(embed.embed)
app.command("publish")(publish.publish)
app.add_typer(index.app, name="index")
app.add_typer(runs.app, name="runs")
app.command("doctor")(doctor.doctor)
app.command("config")(config.show_config)
app.command("list")(listing.show_list)


def main() -> None:
    """Run the command line; an error that the user can fix is one or two lines, with exit status 2."""
    set_up_output()
    keep_freed_memory()
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        misuse = " ".join(error.format_message().split())
        if not misuse:  # a bare `simtrain` has shown its help
            sys.exit(2)
        fail(f"{misuse}{'' if misuse.endswith(('.', '?')) else '.'} See: simtrain --help")
    except (typer.Abort, KeyboardInterrupt):
        TERMINAL.aside("interrupted")
        sys.exit(130)
    except SystemExit as leaving:  # with 1 typer leaves where nobody reads the output any more
        sys.exit(CLOSED_PIPE if leaving.code == 1 else leaving.code)
    except Exception as error:  # the wall: whatever the world or a library did
        end_with(error)
    sys.exit(status if isinstance(status, int) else 0)

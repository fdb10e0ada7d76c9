"""`simtrain compare`: arguments and output."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import SetOption, SplitChoice, open_named_run
from simtrain.cli.console import TERMINAL
from simtrain.errors import SimtrainError

_JSON, _PAGE = "comparison.json", "comparison.html"


def compare(
    catalog: Annotated[Path, typer.Argument(metavar="CATALOG", help="A folder of simtrain prepare.")],
    encoders: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Encoders as they come, by name, timm:MODEL[=WEIGHTS], resnet:MODEL[=WEIGHTS], clip:MODEL or a .yaml; "
            "none: runs alone. Default: all that simtrain knows.",
        ),
    ] = None,
    run: Annotated[list[str] | None, typer.Option("--run", metavar="RUN", help="A run; repeatable.")] = None,
    split: Annotated[SplitChoice | None, typer.Option(help="The split that is judged; default: test.")] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the others are judged against; default: the best on val.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help=f"Where {_JSON} and {_PAGE} go.")] = Path(),
    config: Annotated[Path | None, typer.Option(help="YAML with settings; the defaults do without.")] = None,
    overrides: SetOption = None,
) -> None:
    """Off-the-shelf encoders beside runs: figures, verdicts, and a page to look at."""
    from simtrain.config import load_compare_config

    _check_out(out)
    chosen = list(overrides or [])
    if split is not None:
        chosen.append(f"split={split.value}")
    if encoders is not None:
        named = [] if encoders.strip() == "none" else [one.strip() for one in encoders.split(",")]
        chosen.append(f"encoders={json.dumps(named)}")
    if baseline is not None:
        chosen.append(f"baseline={json.dumps(baseline)}")
    settings = load_compare_config(config, chosen)
    runs = [open_named_run(name, []) for name in run or []]
    if not runs and not settings.encoders:
        raise SimtrainError("compare: neither encoders nor runs to compare; name some with --encoders or --run")
    from simtrain.commands.compare import compare as run_compare
    from simtrain.comparison.files import write_comparison

    report = run_compare(catalog, runs, config=settings, console=TERMINAL)
    TERMINAL.line(str(report))
    for one in report.unavailable:
        TERMINAL.aside(f"not there: {one.name}: {one.reason}")
    write_comparison(report, json_file=out / _JSON, page=out / _PAGE)
    TERMINAL.line(f"written: {out / _JSON}")
    TERMINAL.line(f"page: {out / _PAGE}")


def _check_out(folder: Path) -> None:
    """Refuse an output folder that cannot be used, before images are embedded and test metrics computed."""
    import tempfile

    if not folder.is_dir():
        raise SimtrainError(f"--out {folder}: no such folder")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise SimtrainError(f"--out {folder}: cannot be written to: {error.strerror}") from None

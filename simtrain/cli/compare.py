"""`simtrain compare`: arguments and output."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import AllowCodeOption, SetOption, SplitChoice, open_named_run
from simtrain.cli.console import TERMINAL

_JSON, _PAGE = "comparison.json", "comparison.html"


def compare(
    catalog: Annotated[Path, typer.Argument(metavar="CATALOG", help="A folder of simtrain prepare.")],
    encoders: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Encoders as they come, by name, timm:MODEL[=WEIGHTS], resnet:MODEL[=WEIGHTS], clip:MODEL, "
            "python:MODULE:NAME or a .yaml; none: runs alone. Default: all that simtrain knows.",
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
    allow_code: AllowCodeOption = False,
) -> None:
    """Off-the-shelf encoders beside runs: figures, verdicts, and a page to look at."""
    from simtrain.api.compare import compare
    from simtrain.config import load_compare_config

    chosen = list(overrides or [])
    if split is not None:
        chosen.append(f"split={split.value}")
    if encoders is not None:
        names = [] if encoders.strip() == "none" else [one.strip() for one in encoders.split(",")]
        chosen.append(f"encoders={json.dumps(names)}")
    if baseline is not None:
        chosen.append(f"baseline={json.dumps(baseline)}")
    settings = load_compare_config(config, chosen)
    runs = [open_named_run(name, []) for name in run or []]
    report = compare(
        catalog,
        [*settings.encoders, *runs],
        out=out,
        config=settings,
        allow_code=allow_code,
        console=TERMINAL,
    )
    TERMINAL.line(str(report))
    for one in report.unavailable:
        TERMINAL.aside(f"unavailable: {one.name}: {one.reason}")
    TERMINAL.line(f"written: {out / _JSON}")
    TERMINAL.line(f"page: {out / _PAGE}")

"""`simtrain compare`: arguments and output."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import AllowCodeOption, SetOption, SplitChoice, expanded, open_named_run
from simtrain.cli.console import TERMINAL
from simtrain.cli.output import WORK, show
from simtrain.comparison.file_names import JSON_FILE, PAGE_FILE


def compare(
    catalog: Annotated[
        Path,
        typer.Argument(callback=expanded, metavar="CATALOG", help="Catalogue folder, written by simtrain prepare."),
    ],
    encoders: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Off-the-shelf encoders: names, timm:MODEL[=WEIGHTS], resnet:MODEL[=WEIGHTS], clip:MODEL, "
            "python:MODULE:NAME or a .yaml; none: only runs. Default: all that simtrain knows.",
        ),
    ] = None,
    run: Annotated[
        list[str] | None, typer.Option("--run", metavar="RUN", help="Run to compare: its name or folder; repeatable.")
    ] = None,
    split: Annotated[SplitChoice | None, typer.Option(help="Split to evaluate; default: test.")] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Encoder that the others are compared with; default: the best on val."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Only the few that decide: the runs, what they began with (plain and whitened), a colour histogram.",
        ),
    ] = False,
    out: Annotated[
        Path, typer.Option(callback=expanded, metavar="FOLDER", help=f"Folder for {JSON_FILE} and {PAGE_FILE}.")
    ] = Path(),
    config: Annotated[
        Path | None, typer.Option(callback=expanded, help="YAML file with settings; default: none.")
    ] = None,
    overrides: SetOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Compare off-the-shelf encoders and runs: metrics, verdicts and an HTML page."""
    from simtrain.api.compare import compare
    from simtrain.config import load_compare_config, quick_config

    chosen = list(overrides or [])
    if split is not None:
        chosen.append(f"split={split.value}")
    if encoders is not None:
        names = [] if encoders.strip() == "none" else [one.strip() for one in encoders.split(",")]
        chosen.append(f"encoders={json.dumps(names)}")
    if baseline is not None:
        chosen.append(f"baseline={json.dumps(baseline)}")
    settings = load_compare_config(config, chosen)
    if quick:
        settings = quick_config(settings, with_runs=bool(run))
    runs = [open_named_run(name, []) for name in run or []]
    try:
        report = compare(
            catalog,
            [*settings.encoders, *runs],
            out=out,
            config=settings,
            allow_code=allow_code,
            console=WORK,
        )
    except KeyboardInterrupt:
        from simtrain.data.embedding_cache import FOLDER

        kept = catalog / FOLDER
        if kept.is_dir():
            TERMINAL.aside(f"interrupted; the embeddings in {kept} are kept: the same command goes on from there")
        raise
    for one in report.unavailable:
        WORK.aside(f"unavailable: {one.name}: {one.reason}")
    show(report, also=[f"written: {out / JSON_FILE}", f"page: {out / PAGE_FILE}"])

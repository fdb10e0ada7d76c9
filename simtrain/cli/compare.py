"""`simtrain compare`: arguments and output."""

import json
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simtrain.cli.arguments import SetOption, SplitChoice, open_named_run
from simtrain.cli.console import print_table, progress, say, say_aside
from simtrain.errors import SimtrainError

if TYPE_CHECKING:
    from simtrain.comparison.result import ComparisonReport, EncoderFigures
    from simtrain.evaluation.statistics import Interval

_JSON, _PAGE = "comparison.json", "comparison.html"
_BASELINE = "the baseline"


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

    report = run_compare(catalog, runs, config=settings, say=say, progress=progress())
    print_comparison(report)
    write_comparison(report, json_file=out / _JSON, page=out / _PAGE)
    say(f"written: {out / _JSON}")
    say(f"page: {out / _PAGE}")


def _check_out(folder: Path) -> None:
    """Before anything is embedded, and any test figure read."""
    import tempfile

    if not folder.is_dir():
        raise SimtrainError(f"--out {folder}: no such folder")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise SimtrainError(f"--out {folder}: cannot be written to: {error.strerror}") from None


def print_comparison(report: "ComparisonReport") -> None:
    """The verdicts, then every encoder's main figures, in percent."""
    where = f"folds {', '.join(map(str, report.folds))}" if report.folds else f"split {report.split}"
    say(f"{where}: {report.queries} queries of {report.products} products among {report.gallery} images")
    if report.copies:
        say(f"{report.copies} queries have an exact copy of themselves in the gallery; copies take no part")
    shown = [name for name in ("recall_at_1", "recall_at_5", "map_at_r") if name != report.metric][:2]
    for relevance in report.relevance:
        say(f"relevant = same {relevance}; judged against {report.baselines[relevance]} ({report.baseline_reason})")
        level = f"{100 * report.confidence:g} % interval"
        figures = [(name, "right") for name in (report.metric, level, *shown)]
        columns = [("encoder", "left"), *figures, ("verdict", "left")]
        print_table(columns, [_row(report, one, relevance, shown) for one in report.encoders])
    for verdict in report.verdicts():
        if report.encoder(verdict.encoder).kind == "run":
            for sentence in verdict.sentences:
                say(sentence)
    for sentence in report.hints():
        say(sentence)
    for one in report.unavailable:
        say_aside(f"not there: {one.name}: {one.reason}")
    often = {name: count for name, count in report.test_readings.items() if count > 1}
    for name, count in often.items():
        say(f"{name}: its test figures have been read {count} times; choose nothing by them")


def _row(report: "ComparisonReport", figures: "EncoderFigures", relevance: str, shown: list[str]) -> list[str]:
    found = figures.relevances[relevance]
    word: str = "" if found.verdict is None else found.verdict.word
    if figures.name == report.baselines[relevance]:
        word = _BASELINE
    main, *others = (f"{100 * found.metrics[name].mean:.1f}" for name in (report.metric, *shown))
    return [figures.name, main, _interval(found.metrics[report.metric]), *others, word]


def _interval(found: "Interval") -> str:
    return "not known" if isnan(found.low) else f"{100 * found.low:.1f} to {100 * found.high:.1f}"

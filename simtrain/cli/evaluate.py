"""`simtrain evaluate`: arguments and output."""

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simtrain.cli.arguments import AlphaOption, SetOption, SplitChoice, alpha_of, check_json_folder, open_named_run
from simtrain.cli.console import print_table, progress, say
from simtrain.errors import SimtrainError

if TYPE_CHECKING:
    from simtrain.commands.evaluate import EvaluationReport
    from simtrain.evaluation.drift import Kept
    from simtrain.evaluation.statistics import Interval
    from simtrain.evaluation.text_figures import TextEvaluation, WordFigures


def evaluate(
    target: Annotated[str, typer.Argument(metavar="RUN_OR_CONFIG", help="A run, or a YAML: its encoder untouched.")],
    split: Annotated[SplitChoice, typer.Option(help="The split that is judged.")] = SplitChoice.TEST,
    alpha: AlphaOption = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Where the figures go.")] = None,
    overrides: SetOption = None,
) -> None:
    """Retrieval metrics with confidence intervals."""
    from simtrain.config import load_run_config

    run = None if _is_config(target) else open_named_run(target, overrides or [])
    if run is None and alpha is not None:
        raise SimtrainError(f"--alpha {alpha:g}: {target} is a configuration; only a run has tuned weights to mix")
    settings = load_run_config(Path(target), overrides or []) if run is None else run.config
    to = json_file or (Path() if run is None else run.folder) / "evaluation.json"
    check_json_folder(to)
    from simtrain.commands.evaluate import evaluate as run_evaluate
    from simtrain.runs.run import write_json

    share = None if run is None else alpha_of(run, alpha)
    report = run_evaluate(settings, run=run, split=split.value, alpha=share, progress=progress())
    print_evaluation(report)
    write_json(to, report.to_dict())
    say(f"written: {to}")


def _is_config(target: str) -> bool:
    return Path(target).suffix.lower() in (".yaml", ".yml")


def print_evaluation(report: "EvaluationReport") -> None:
    """Each metric with its interval, in percent: of images, then of texts; then how near a run is to its start."""
    found = report.evaluation
    say(
        f"{report.name}, split {report.split}: {found.queries} queries among {found.gallery} images, "
        f"relevant = same {' + '.join(report.relevance)}"
    )
    say(report.images)
    for line in [] if report.weights is None else report.weights.lines():
        say(line)
    rows = [[name, f"{100 * metric.mean:.1f}", _interval(metric)] for name, metric in found.metrics.items()]
    print_table([("metric", "left"), ("%", "right"), (f"{100 * found.confidence:.0f} % interval", "right")], rows)
    if found.lone_queries:
        say(f"{found.lone_queries} queries had nothing to find and were left out")
    if found.copied_queries:
        say(f"{found.copied_queries} queries have an exact copy of themselves in the gallery; copies take no part")
    if report.test_readings is not None and report.test_readings > 1:
        say(f"the test figures of this run have been read {report.test_readings} times; choose nothing by them")
    if report.text is not None:
        _print_text(report.text)
    for line in report.unjudged:
        say(line)
    if report.kept is not None:
        _print_kept(report.kept)
    outgrown = report.outgrown()
    if outgrown is not None:
        say(
            f"warning: encoder.text_model was made for the start, which the images have left ({outgrown}); find a "
            "smaller alpha with simtrain interpolate, or train with a larger objective.keep.distillation"
        )


def _print_text(found: "TextEvaluation") -> None:
    judged = {"captions": found.captions, "classes": found.labels}
    there = {name: figures for name, figures in judged.items() if figures is not None}
    rows = []
    for name, figures in there.items():
        told = figures.text_to_image
        written = ", ".join(f"'{template}'" for template in figures.templates)
        say(f"{name}: {told.queries} among {told.gallery} images, as {written}")
        metrics = _text_metrics(figures)
        rows += [
            [name if place == 0 else "", metric, f"{100 * of.mean:.1f}", _interval(of)]
            for place, (metric, of) in enumerate(metrics.items())
        ]
    level = f"{100 * found.confidence:.0f} % interval"
    print_table([("texts", "left"), ("metric", "left"), ("%", "right"), (level, "right")], rows)
    for name, figures in there.items():
        if figures.truncated:
            say(
                f"{name}: {figures.truncated} texts are longer than the {found.longest_text} tokens that the encoder "
                "reads; their ends do not count"
            )
        if figures.image_to_text.lone_queries:
            say(f"{name}: {figures.image_to_text.lone_queries} images have none, and are wrong wherever they are found")


def _text_metrics(figures: "WordFigures") -> "dict[str, Interval]":
    from simtrain.evaluation.text_task import SCORED

    sides = {"text_to_image": figures.text_to_image, "image_to_text": figures.image_to_text}
    found = {f"{side}_{name}": sides[side].metrics[name] for side, names in SCORED.items() for name in names}
    return found | {f"zero_shot_{name}": metric for name, metric in figures.zero_shot.items()}


def _print_kept(kept: "Kept") -> None:
    from simtrain.evaluation.drift import GUARDED
    from simtrain.evaluation.text_task import SHOWN_AS

    say(
        f"against the start of the run: cosine of {kept.images} images {kept.mean:.3f} on average, 5 % of them below "
        f"{kept.low:.3f}, the lowest {kept.lowest:.3f}"
    )
    for words, of_words in kept.lost.items():
        lost, before = of_words[GUARDED], kept.start[words][GUARDED]
        sure = "one product only" if isnan(lost.low) else f"{_signed(-lost.high)} to {_signed(-lost.low)}"
        say(
            f"{GUARDED} of {SHOWN_AS[words]}: {100 * before:.1f} at the start, {_signed(-lost.mean)} points since "
            f"({100 * kept.confidence:.0f} % interval {sure})"
        )


def _signed(share: float) -> str:
    return f"{round(100 * share, 1) + 0.0:+.1f}"  # no minus before a zero


def _interval(metric: "Interval") -> str:
    return "one product only" if isnan(metric.low) else f"{100 * metric.low:.1f} to {100 * metric.high:.1f}"

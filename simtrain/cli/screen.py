"""What the command line shows: lines, bars, tables, errors."""

import re
import sys
from collections.abc import Iterable
from math import isnan
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from simtrain.errors import SimtrainError

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from simtrain.catalog.progress import Progress
    from simtrain.commands.doctor import Diagnosis
    from simtrain.commands.evaluate import EvaluationReport
    from simtrain.commands.search import SearchResult
    from simtrain.evaluation.closeness import Kept
    from simtrain.evaluation.statistics import Interval
    from simtrain.evaluation.text_figures import TextEvaluation, WordFigures
    from simtrain.training.progress import Step

Item = TypeVar("Item")


def say(line: str) -> None:
    """A line on standard output, at once."""
    print(line, flush=True)


def say_aside(line: str) -> None:
    """A line on standard error."""
    print(line, file=sys.stderr, flush=True)


def fail(message: str) -> NoReturn:
    """A line on standard error and exit status 2."""
    say_aside(f"error: {message}")
    sys.exit(2)


def message_of(error: SimtrainError) -> str:
    """The message itself: a loading process sends its whole traceback, with the message at its end."""
    text = str(error)
    return re.split(r"\nsimtrain\.errors\.\w+: ", text)[-1].strip() if text.startswith("Caught ") else text


def progress() -> "Progress":
    """A bar on a terminal, a line every few seconds elsewhere."""
    return _bar if sys.stderr.isatty() else _lines


class TrainingBar:
    """The batches of an epoch on a terminal; nothing elsewhere. Lines go above it, or stand alone."""

    def __init__(self) -> None:
        self._bar: Bar | None = None

    def say(self, line: str) -> None:
        """A line on standard output, after taking the bar away."""
        self.close()
        say(line)

    def step(self, step: "Step") -> None:
        """Show how far the epoch is."""
        if not sys.stderr.isatty():
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.add_task("")
            self._bar.start()
        text = f"epoch {step.epoch}/{step.epochs} {step.images_per_second:.0f} images/s"
        self._bar.update(self._bar.task_ids[0], description=text, completed=step.batch, total=step.batches)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar(items: Iterable[Item], total: int, description: str, /) -> Iterable[Item]:
    from rich.console import Console
    from rich.progress import track

    return track(items, description=description, total=total, console=Console(stderr=True), transient=True)


def _lines(items: Iterable[Item], total: int, description: str, /) -> Iterable[Item]:
    import time

    told = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - told > 10:
            told = time.monotonic()
            say_aside(f"{description}: {done}/{total}")


def print_table(columns: list[tuple[str, Any]], rows: Iterable[Iterable[str]]) -> None:
    """Columns of a name and a side that their cells lean to, and rows of plain texts."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, justify in columns:
        table.add_column(name, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # brackets in a name are no markup
    Console(width=None if sys.stdout.isatty() else 120, soft_wrap=False).print(table)


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
    from simtrain.evaluation.closeness import GUARDED
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


def print_neighbours(result: "SearchResult") -> None:
    """One line per neighbour, nearest first, with the share of right results that so similar ones have."""
    promised = bool(result.promises) and not result.by_text
    columns: list[tuple[str, Any]] = [("rank", "right"), ("similarity", "right")]
    columns += [("precision", "right")] if promised else []
    rows = []
    for found in result.neighbours:
        share = [f">= {found.precision:g}" if found.precision is not None else ""] if promised else []
        rows.append([str(found.rank), f"{found.similarity:.3f}", *share, found.id, found.caption or found.label or ""])
    print_table([*columns, ("id", "left"), ("what", "left")], rows)
    if promised:
        same = " + ".join(result.relevance)
        levels = ", ".join(f"{each.precision:g} from {each.similarity:.3f}" for each in reversed(result.promises))
        say(f"precision: share of results at least so similar that have the same {same}, on val: {levels}")
    elif result.promises:
        say("precision is told of image queries only; a text's similarities are others")


def print_diagnosis(found: "Diagnosis", *, bounds: str) -> None:
    """The machine, one line each, and the comparison of several processes with one."""
    marks = {"good": "", "note": "note: ", "bad": "error: "}
    for finding in found.findings:
        say(f"{finding.name}: {marks[finding.state]}{finding.told}")
    if found.processes == 1:
        say("one process here; compare several with one: simtrain doctor --devices 2")
        return
    columns: list[tuple[str, Any]] = [
        ("objective", "left"),
        ("loss", "right"),
        ("gradient", "right"),
        ("metrics", "left"),
        ("verdict", "left"),
    ]
    rows = [
        [
            case.name,
            f"{case.loss:.1e}",
            f"{case.gradient:.1e}",
            "same" if case.metrics else "differ",
            "equal" if case.equal else "DIFFERENT",
        ]
        for case in found.comparisons
    ]
    say(f"{found.processes} processes against one ({bounds}):")
    print_table(columns, rows)

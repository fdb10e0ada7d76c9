"""A comparison as lines of text: every encoder's main figures, and the verdicts."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from simtrain.phrases import between, percent
from simtrain.tables import Alignment, text_table

if TYPE_CHECKING:
    from simtrain.comparison.result import ComparisonReport, EncoderFigures

_BASELINE = "baseline"


def report_lines(report: "ComparisonReport") -> Iterator[str]:
    """The verdicts, then every encoder's main figures, in percent."""
    where = f"folds {', '.join(map(str, report.folds))}" if report.folds else f"split {report.split}"
    yield f"{where}: {report.queries} queries of {report.products} products among {report.gallery} images"
    if report.copies:
        yield f"{report.copies} queries have an exact copy in the gallery; copies are left out"
    if report.near_copies:
        yield (
            f"{report.near_copies} queries have a near copy in the gallery; near copies are left out of their ranking"
        )
    shown = [name for name in ("recall_at_1", "recall_at_5", "map_at_r") if name != report.metric][:2]
    for relevance in report.relevance:
        yield (
            f"relevant = {report.relevance_words[relevance]}; baseline: {report.baselines[relevance]} "
            f"({report.baseline_reason})"
        )
        level = f"{100 * report.confidence:g} % interval"
        figures: list[tuple[str, Alignment]] = [(name, "right") for name in (report.metric, level, *shown)]
        columns: Sequence[tuple[str, Alignment]] = [("encoder", "left"), *figures, ("verdict", "left")]
        yield text_table(columns, [_row(report, one, relevance, shown) for one in report.encoders])
    for verdict in report.verdicts():
        if report.encoder(verdict.encoder).kind == "run":
            for sentence in verdict.sentences:
                yield sentence
    for sentence in report.hints():
        yield sentence
    often = {name: count for name, count in report.test_readings.items() if count > 1}
    for name, count in often.items():
        yield f"{name}: evaluated {count} times on the test split; do not choose a run by its test metrics"


def _row(report: "ComparisonReport", figures: "EncoderFigures", relevance: str, shown: list[str]) -> list[str]:
    found = figures.relevances[relevance]
    word: str = "" if found.verdict is None else found.verdict.word
    if figures.name == report.baselines[relevance]:
        word = _BASELINE
    main, *others = (percent(found.metrics[name].mean) for name in (report.metric, *shown))
    interval = found.metrics[report.metric]
    return [figures.name, main, between(interval.low, interval.high, unknown="unknown"), *others, word]

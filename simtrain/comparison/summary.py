"""A comparison as lines of text: every encoder's main figures, and the verdicts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from simtrain.comparison.verdict_sentences import titled
from simtrain.phrases import between, counted, percent
from simtrain.tables import Alignment, text_table

if TYPE_CHECKING:
    from simtrain.comparison.result import ComparisonReport, EncoderFigures
    from simtrain.evaluation.statistics import Interval

_BASELINE = "baseline"
_TEXT_METRICS = ("text_to_image_recall_at_1", "text_to_image_recall_at_5", "image_to_text_recall_at_1")


def report_lines(report: "ComparisonReport") -> Iterator[str]:
    """The recommendation, every encoder's main figures, in percent, and the verdicts."""
    if report.recommendation is not None:
        yield from report.recommendation.lines()
    where = f"folds {', '.join(map(str, report.folds))}" if report.folds else f"split {report.split}"
    yield (
        f"{where}: {counted(report.queries, 'query', 'queries')} of {counted(report.products, 'product')} among "
        f"{counted(report.gallery, 'image')}"
    )
    yield from report.warnings()
    if report.copies:
        yield f"{_queries_with(report.copies)} an exact copy in the gallery; copies are left out"
    if report.near_copies:
        yield (
            f"{_queries_with(report.near_copies)} a near copy in the gallery; near copies are left out of their ranking"
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
    if report.texts is not None:
        yield from _text_lines(report)
    for verdict in report.verdicts():
        if report.encoder(verdict.encoder).kind == "run":
            yield from titled(verdict, report.title).sentences
    for verdict in report.text_verdicts:
        yield from verdict.sentences
    yield from report.hints()
    often = {name: count for name, count in report.test_readings.items() if count > 1}
    for name, count in often.items():
        yield f"{name}: evaluated {count} times on the test split; do not choose a run by its test metrics"


def _queries_with(count: int) -> str:
    return counted(count, "query has", "queries have")


def _text_lines(report: "ComparisonReport") -> Iterator[str]:
    """Text retrieval of every encoder that embeds texts, and of the linear maps, before the runs."""
    yield f"text retrieval: {report.texts} that search images, and images that search {report.texts}"
    for one in report.text_maps:
        yield f"{one.name}: {one.words}"
    level = f"{100 * report.confidence:g} % interval"
    columns: list[tuple[str, Alignment]] = [("encoder", "left")]
    for name in _TEXT_METRICS:
        columns.append((name.replace("_recall", "\nrecall"), "right"))
        columns += [(level, "right")] if name == _TEXT_METRICS[0] else []
    words = {verdict.encoder: verdict.word for verdict in report.text_verdicts}
    with_texts = [one for one in report.encoders if one.text]
    rows = [
        *((one.name, one.text, "") for one in with_texts if one.kind != "run"),
        *((one.name, one.text, _BASELINE) for one in report.text_maps),
        *((one.name, one.text, words.get(one.name, "")) for one in with_texts if one.kind == "run"),
    ]
    yield text_table([*columns, ("verdict", "left")], [_text_row(*row) for row in rows])


def _text_row(name: str, figures: "Mapping[str, Interval]", word: str) -> list[str]:
    main, *others = (percent(figures[metric].mean) for metric in _TEXT_METRICS)
    interval = figures[_TEXT_METRICS[0]]
    return [name, main, between(interval.low, interval.high, unknown="unknown"), *others, word]


def _row(report: "ComparisonReport", figures: "EncoderFigures", relevance: str, shown: list[str]) -> list[str]:
    found = figures.relevances[relevance]
    word: str = "" if found.verdict is None else found.verdict.word
    if figures.name == report.baselines[relevance]:
        word = _BASELINE
    main, *others = (percent(found.metrics[name].mean) for name in (report.metric, *shown))
    interval = found.metrics[report.metric]
    return [figures.name, main, between(interval.low, interval.high, unknown="unknown"), *others, word]

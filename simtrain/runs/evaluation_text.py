"""Console lines of an evaluation: tables of metrics, warnings and embedding drift."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from simtrain.encoders.arithmetic import FLOAT32
from simtrain.evaluation.drift import GUARDED, EmbeddingDrift
from simtrain.evaluation.statistics import Interval
from simtrain.evaluation.text_figures import TextEvaluation, TextRetrievalFigures
from simtrain.evaluation.text_task import SCORED, TEXT_KIND_NAMES
from simtrain.phrases import between, counted, percent, quoted, signed_points
from simtrain.tables import Alignment, text_table

if TYPE_CHECKING:
    from simtrain.runs.evaluation_report import EvaluationReport


_KIND = {"captions": "a caption", "classes": "a class"}


def report_lines(report: "EvaluationReport") -> Iterator[str]:
    """Each metric with its interval, in percent: of images, then of texts; then the embedding drift."""
    evaluation = report.evaluation
    added = f" ({evaluation.distractors} of them distractors from train)" if evaluation.distractors else ""
    yield (
        f"{report.name}, split {report.split}: {evaluation.queries} queries among {evaluation.gallery} images{added}, "
        f"relevant = {report.relevance_description}"
    )
    yield report.images
    yield from [] if report.arithmetic == FLOAT32 else [str(report.arithmetic)]
    yield from [] if report.weights is None else report.weights.lines()
    yield metric_table(evaluation.metrics, confidence=evaluation.confidence)
    if evaluation.lone_queries:
        yield counted(
            evaluation.lone_queries,
            "query has no relevant image and is left out",
            "queries have no relevant image and are left out",
        )
    if evaluation.copied_queries:
        yield (
            f"{evaluation.copied_queries} queries have an exact copy of themselves in the gallery; copies are left out"
        )
    if evaluation.near_copied_queries:
        yield (
            f"{evaluation.near_copied_queries} queries have a near copy of themselves in the gallery; it counts "
            "neither as a find nor as a miss"
        )
    if report.test_readings is not None and report.test_readings > 1:
        yield (
            f"the test metrics of this run have been read {report.test_readings} times; choose no model or setting by "
            "them"
        )
    if report.text is not None:
        yield from _text_lines(report.text)
    yield from report.not_evaluated
    if report.drift is not None:
        yield from _drift_lines(report.drift)
    text_model_drift = report.text_model_drift()
    if text_model_drift is not None:
        yield (
            "warning: encoder.text_model fits the initial image embeddings, and these have drifted "
            f"({text_model_drift}); find a smaller alpha with simtrain interpolate, or train with a larger "
            "objective.keep.distillation"
        )


def metric_table(metrics: Mapping[str, Interval], *, confidence: float) -> str:
    """A row for each metric: name, mean in percent, interval in percent."""
    rows = [[name, percent(metric.mean), _interval(metric)] for name, metric in metrics.items()]
    columns: Sequence[tuple[str, Alignment]]
    columns = [("metric", "left"), ("%", "right"), (f"{100 * confidence:.0f} % interval", "right")]
    return text_table(columns, rows)


def _text_lines(text: TextEvaluation) -> Iterator[str]:
    by_kind = {"captions": text.captions, "classes": text.labels}
    evaluated = {name: figures for name, figures in by_kind.items() if figures is not None}
    rows = []
    for name, figures in evaluated.items():
        by_text = figures.text_to_image
        templates = ", ".join(map(quoted, figures.templates))
        among = f"{counted(by_text.queries, 'query', 'queries')} among {counted(by_text.gallery, 'image')}"
        yield f"{name}: {among}, texts: {templates}"
        rows += [
            [name if row == 0 else "", metric, percent(of.mean), _interval(of)]
            for row, (metric, of) in enumerate(_text_metrics(figures).items())
        ]
    level = f"{100 * text.confidence:.0f} % interval"
    yield text_table([("texts", "left"), ("metric", "left"), ("%", "right"), (level, "right")], rows)
    for name, figures in evaluated.items():
        if figures.truncated:
            yield (
                f"{name}: {figures.truncated} texts are longer than the {text.longest_text} tokens that the encoder "
                "reads and are truncated"
            )
        without = figures.image_to_text.lone_queries
        if without:
            yield f"{name}: {without} gallery images without {_KIND[name]} count as irrelevant"


def _text_metrics(figures: TextRetrievalFigures) -> dict[str, Interval]:
    directions = {"text_to_image": figures.text_to_image, "image_to_text": figures.image_to_text}
    metrics = {
        f"{direction}_{name}": directions[direction].metrics[name]
        for direction, names in SCORED.items()
        for name in names
    }
    return metrics | {f"zero_shot_{name}": metric for name, metric in figures.zero_shot.items()}


def _drift_lines(drift: EmbeddingDrift) -> Iterator[str]:
    yield (
        f"embedding drift from the initial weights: cosine of {drift.images} images {drift.mean:.3f} on average, 5 % "
        f"below {drift.low:.3f}, lowest {drift.lowest:.3f}"
    )
    for kind, losses in drift.lost.items():
        lost, before = losses[GUARDED], drift.start[kind][GUARDED]
        change = signed_points(-100 * lost.mean)
        interval = between(-100 * lost.high, -100 * lost.low, write=signed_points, unknown="one product or label only")
        yield (
            f"{GUARDED} of {TEXT_KIND_NAMES[kind]}: {percent(before)} with the initial weights, {change} points since "
            f"({100 * drift.confidence:.0f} % interval {interval})"
        )


def _interval(metric: Interval) -> str:
    return between(metric.low, metric.high, unknown="one product or label only")

"""Charts of retrieval quality: ranking with intervals, by category, by k, for altered images, by cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from simtrain.comparison.report.chart import (
    LONGEST_HOVER,
    Chart,
    ChartFrame,
    axis_title,
    draw_chart,
    error_bars,
    legend_of,
    percent_axis,
    rows_axis,
)
from simtrain.comparison.report.encoder_selection import EncoderSelection
from simtrain.comparison.report.palette import LINE, SOFT
from simtrain.comparison.report.wording import plot_text
from simtrain.comparison.result import EncoderFigures, RobustnessFigure
from simtrain.evaluation.breakdown import CategoryFigures
from simtrain.evaluation.statistics import Interval
from simtrain.phrases import between, percent, significant

MOST_ROWS = 30
MOST_CATEGORIES = 15
MOST_BARS = 4
_KS = (1, 2, 3, 5, 10, 20, 50)


def ranking_chart(selection: EncoderSelection) -> Chart:
    """The main metric of the best encoders, best on top, and of chance."""
    shown = [*selection.ranked[:MOST_ROWS], *([selection.chance] if selection.chance else [])]
    metric = selection.report.metric
    traces: list[dict[str, Any]] = []
    for row, one in enumerate(shown):
        found, style = one.relevances[selection.relevance].metrics[metric], selection.styles[one.name]
        traces.append(
            {
                "type": "scatter",
                "x": [percent_of(found.mean)],
                "y": [row],
                "mode": "markers",
                "marker": {
                    "color": style.colour,
                    "symbol": style.symbol,
                    "size": 10,
                    "line": {"width": 2 if style.symbol.endswith("-open") else 0, "color": style.colour},
                },
                "error_x": {**error_bars([found]), "color": style.colour},
                "hovertext": [_hover_text(one.name, found)],
            }
        )
    return draw_chart(
        ChartFrame(
            name="ranking",
            title=f"{metric} of each encoder with its interval",
            height=70 + 25 * len(shown),
            x={**percent_axis(metric), "rangemode": "tozero"},
            y=rows_axis([one.name for one in shown]),
            layout={"shapes": [_baseline_line(selection)]},
        ),
        traces,
    )


def recall_chart(selection: EncoderSelection) -> Chart | None:
    """recall_at_k over k: prominent encoders above thin lines of the others."""
    curves = [one for one in (*selection.ranked, *([selection.chance] if selection.chance else [])) if one.recall_curve]
    if not curves:
        return None
    prominent = {one.name for one in selection.prominent}
    longest = max(len(one.recall_curve) for one in curves)
    traces = [_curve(selection, one, thin=one.name not in prominent) for one in reversed(curves)]
    traces.sort(key=lambda trace: trace["line"]["width"])  # thin ones below
    ticks = [k for k in _KS if k <= longest]
    return draw_chart(
        ChartFrame(
            name="recall",
            title="recall_at_k of the encoders over k",
            height=380,
            x={
                "title": axis_title("first k images"),
                "type": "log",
                "tickmode": "array",
                "tickvals": ticks,
                "ticktext": [str(k) for k in ticks],
            },
            y={"ticksuffix": " %", "rangemode": "tozero"},
        ),
        traces,
        legend=legend_of(selection, [one for one in selection.prominent if one.recall_curve]),
    )


def category_chart(selection: EncoderSelection, *, metric: str, names: Sequence[str]) -> Chart:
    """Bars of the categories, a group each, for the most prominent encoders."""
    shown = [one for one in selection.prominent if one.categories][:MOST_BARS]
    traces: list[dict[str, Any]] = []
    for one in shown:
        found = {category.name: category for category in one.categories}
        rows = [row for row, name in enumerate(names) if name in found]
        categories = [found[names[row]] for row in rows]
        intervals = [category.metrics[metric] for category in categories]
        style = selection.styles[one.name]
        traces.append(
            {
                "type": "bar",
                "x": [percent_of(interval.mean) for interval in intervals],
                "y": rows,
                "orientation": "h",
                "marker": {"color": style.colour},
                "error_x": {**error_bars(intervals), "color": SOFT, "thickness": 1, "width": 2},
                "hovertext": [_category_hover_text(one.name, category, metric) for category in categories],
            }
        )
    return draw_chart(
        ChartFrame(
            name="categories",
            title=f"{metric} by category",
            height=80 + len(names) * (14 + 13 * len(shown)),
            x={**percent_axis(metric), "rangemode": "tozero"},
            y=rows_axis(names, lines=2, pad=0.55),
            layout={"barmode": "group", "bargap": 0.25, "bargroupgap": 0.05},
        ),
        traces,
        legend=legend_of(selection, shown),
    )


def robustness_chart(selection: EncoderSelection, variants: Sequence[RobustnessFigure]) -> Chart:
    """Share of altered copies whose nearest image is their original."""
    shown = [one for one in selection.prominent if one.robustness]
    traces: list[dict[str, Any]] = []
    step = 0.6 / max(1, len(shown))
    for place, one in enumerate(shown):
        found = {variant.name: variant for variant in one.robustness}
        rows = [row for row, variant in enumerate(variants) if variant.name in found]
        shares = [found[variants[row].name].share for row in rows]
        style = selection.styles[one.name]
        traces.append(
            {
                "type": "scatter",
                "x": [percent_of(share.mean) for share in shares],
                "y": [row + (place - (len(shown) - 1) / 2) * step for row in rows],
                "mode": "markers",
                "marker": {"color": style.colour, "symbol": style.symbol, "size": 9},
                "error_x": {**error_bars(shares), "color": style.colour},
                "hovertext": [
                    f"{_hover_text(one.name, share)}<br>{plot_text(variants[row].words, to=LONGEST_HOVER)}"
                    for row, share in zip(rows, shares, strict=True)
                ],
            }
        )
    return draw_chart(
        ChartFrame(
            name="robustness",
            title="share of altered images whose nearest image is their original",
            height=80 + len(variants) * (18 + 9 * len(shown)),
            x=percent_axis("nearest image is the original"),
            y={**rows_axis([variant.words for variant in variants], lines=2), "showgrid": False},
            layout={"shapes": [_divider(row) for row in range(len(variants) - 1)]},
        ),
        traces,
        legend=legend_of(selection, shown),
    )


def cost_chart(selection: EncoderSelection) -> Chart | None:
    """The main metric over the time that 1,000 images take; None where no time is known of two encoders."""
    timed = [(one, one.cost.embedding_seconds) for one in selection.ranked if one.cost and one.cost.embedding_seconds]
    if len(timed) < 2:
        return None
    prominent = {one.name for one in selection.prominent}
    traces: list[dict[str, Any]] = []
    for one, seconds in reversed(timed):
        found, style = one.relevances[selection.relevance].metrics[selection.report.metric], selection.styles[one.name]
        traces.append(
            {
                "type": "scatter",
                "x": [seconds],
                "y": [percent_of(found.mean)],
                "mode": "markers",
                "marker": {"color": style.colour, "symbol": style.symbol, "size": 13 if one.name in prominent else 10},
                "error_y": {**error_bars([found]), "color": style.colour, "thickness": 1},
                "hovertext": [f"{_hover_text(one.name, found)}<br>{significant(seconds, digits=2)} s per 1,000 images"],
            }
        )
    return draw_chart(
        ChartFrame(
            name="cost",
            title=f"{selection.report.metric} over seconds per 1,000 images",
            height=380,
            x={
                "title": axis_title("seconds per 1,000 images"),
                "type": "log",
                **_second_ticks([seconds for _, seconds in timed]),
            },
            y={"ticksuffix": " %"},
        ),
        traces,
        legend=legend_of(selection, [one for one in selection.ranked if one.name in {one.name for one, _ in timed}]),
    )


def percent_of(share: float) -> float:
    """For a chart: 0.7134 -> 71.34."""
    return round(100.0 * share, 3)


def _second_ticks(seconds: Sequence[float]) -> dict[str, Any]:
    """1, 2, 5, 10, 20 … as far as needed, written out."""
    powers = range(math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds))) + 1)
    ticks = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
    return {"tickmode": "array", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def _curve(selection: EncoderSelection, encoder: EncoderFigures, *, thin: bool) -> dict[str, Any]:
    style = selection.styles[encoder.name]
    name = plot_text(encoder.name, to=LONGEST_HOVER)
    return {
        "type": "scatter",
        "x": list(range(1, len(encoder.recall_curve) + 1)),
        "y": [percent_of(share) for share in encoder.recall_curve],
        "mode": "lines",
        "opacity": 0.55 if thin else 1.0,
        "line": {"color": style.colour, "width": 1 if thin else 2.6, "dash": style.dash},
        "hovertext": [
            f"{name}<br>first {k}: {percent(share)} %" for k, share in enumerate(encoder.recall_curve, start=1)
        ],
    }


def _hover_text(name: str, found: Interval) -> str:
    return f"{plot_text(name, to=LONGEST_HOVER)}<br>{percent(found.mean)} % ({between(found.low, found.high)})"


def _category_hover_text(name: str, category: CategoryFigures, metric: str) -> str:
    of = f"{category.queries} queries, {category.products} products"
    return f"{plot_text(category.name, to=LONGEST_HOVER)}<br>{_hover_text(name, category.metrics[metric])}<br>{of}"


def _baseline_line(selection: EncoderSelection) -> dict[str, Any]:
    """Where the baseline stands, from top to bottom."""
    at = percent_of(selection.main(selection.report.encoder(selection.report.baseline)))
    line = {"color": SOFT, "width": 1, "dash": "dot"}
    return {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "line": line, "layer": "below"}


def _divider(row: int) -> dict[str, Any]:
    line = {"color": LINE, "width": 1}
    return {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": row + 0.5, "y1": row + 0.5, "line": line}

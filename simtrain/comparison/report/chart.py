"""Common layout of all charts of the page."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simtrain.comparison.report.encoder_selection import EncoderSelection, LegendEntry
from simtrain.comparison.report.palette import LINE, SOFT
from simtrain.comparison.report.wording import page_text, plot_text
from simtrain.comparison.result import EncoderFigures
from simtrain.evaluation.statistics import Interval

LONGEST_LABEL = 26
"""Characters of a name beside an axis: on a phone more would leave no room for the chart."""
LONGEST_HOVER = 120


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart with its title and legend.

    Attributes:
        name: Unique id on the page, of small letters, digits and hyphens.
        title: Text alternative of the chart.
        height: Height in pixels.
        figure: What `drawing.js.j2` draws, as JSON in light colours: `data`, each entry of type `scatter` or `bar`, and
            `layout`.
        legend: Encoders by colour; empty where the chart names them itself.
    """

    name: str
    title: str
    height: int
    figure: dict[str, Any]
    legend: tuple[LegendEntry, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ChartFrame:
    """Everything of a chart but its data.

    Attributes:
        name: Unique id on the page, as in `Chart`.
        title: Text alternative, as in `Chart`.
        height: Height in pixels.
        x: Settings of the horizontal axis, in addition to the common ones.
        y: Settings of the vertical axis, in addition to the common ones.
        layout: What stands beside the axes: lines, notes, how bars stand.
    """

    name: str
    title: str
    height: int
    x: Mapping[str, Any]
    y: Mapping[str, Any]
    layout: Mapping[str, Any] = field(default_factory=dict)


def draw_chart(frame: ChartFrame, traces: Sequence[Mapping[str, Any]], *, legend: Sequence[LegendEntry] = ()) -> Chart:
    """Draw traces in the page's layout.

    Args:
        frame: Title, size and axes.
        traces: Points, lines and bars.
        legend: Encoders by colour, as in `Chart`.
    """
    plot_layout = {
        "height": frame.height,
        "xaxis": {**_axis(), **frame.x},
        "yaxis": {**_axis(), **frame.y},
        **frame.layout,
    }
    figure = {"data": list(traces), "layout": plot_layout}
    return Chart(name=frame.name, title=frame.title, height=frame.height, figure=plain(figure), legend=tuple(legend))


def plain(figure: dict[str, Any]) -> dict[str, Any]:
    """The figure as JSON's kinds of values."""
    plainly: dict[str, Any] = json.loads(json.dumps(figure, allow_nan=False))
    return plainly


def legend_of(selection: EncoderSelection, encoders: Sequence[EncoderFigures]) -> tuple[LegendEntry, ...]:
    """Legend entries of encoders."""
    return tuple(selection.legend_entry(one.name) for one in encoders)


def error_bars(intervals: Sequence[Interval]) -> dict[str, Any]:
    """Lines of intervals in percent; none where an end is unknown."""
    above = [_length(one.high - one.mean) for one in intervals]
    below = [_length(one.mean - one.low) for one in intervals]
    return {"array": above, "arrayminus": below, "thickness": 1.6, "width": 3}


def rows_axis(names: Sequence[str], *, lines: int = 1, pad: float = 0.6) -> dict[str, Any]:
    """A vertical axis of names, the first on top. Places count, as two names may be the same when shortened."""
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [_label(name, lines=lines) for name in names],
        "range": [len(names) - 1 + pad, -pad],
        "showgrid": False,
    }


def axis_title(text: str) -> dict[str, Any]:
    """The title of an axis."""
    return {"text": text, "font": {"color": SOFT, "size": 13}}


def percent_axis(title: str) -> dict[str, Any]:
    """A horizontal axis in percent."""
    return {"title": axis_title(title), "ticksuffix": " %"}


def _label(name: str, *, lines: int) -> str:
    short = page_text(name, to=lines * LONGEST_LABEL)
    broken = textwrap.wrap(short, LONGEST_LABEL, max_lines=lines, placeholder="…") or [""]
    return "<br>".join(plot_text(line, to=LONGEST_LABEL) for line in broken)


def _axis() -> dict[str, Any]:
    return {
        "gridcolor": LINE,
        "tickfont": {"color": SOFT, "size": 12},
    }


def _length(span: float) -> float | None:
    # A mean may lie outside its interval by rounding.
    return None if math.isnan(span) else round(100.0 * max(0.0, span), 3)

"""Plot of an interpolation sweep: gain in image retrieval against loss in text retrieval."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from simtrain.phrases import counted, signed_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH_INCHES, _HEIGHT_INCHES, _PIXELS_PER_INCH = 7.2, 4.6, 150
_INK, _GREY, _PALE, _LINE, _CHOSEN, _WITHIN = "#1f2328", "#6e7781", "#d0d7de", "#0969da", "#1a7f37", "#eaf5ec"
_LABEL_POINTS = 8.5
_REACH_POINTS = (9.0, 14.0, 20.0, 28.0)  # how far from its mark a label may be put
_DIRECTIONS = ((0, 1), (1, 1), (-1, 1), (1, 0), (-1, 0), (0, -1), (1, -1), (-1, -1))
_MARK_HALF, _LINE_HALF, _LINE_STEP = 4.5, 0.8, 3.0  # what labels keep clear of, in points
_ONE_MARK = 4.0  # marks within so many points share a label
_MOST_NAMED = 2  # alphas in one label; of more, the first and the last
_ROOM = 0.14  # of the range of values, free around them
_FARTHEST_BOUND = 3.0  # times the range of losses, or points; the values would be a dot beside one further off

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class TradeOffPoint:
    """One interpolated encoder of a sweep.

    Attributes:
        alpha: Share of the fine-tuned weights, 0 to 1.
        gain: Gain in the image metric over alpha 0, in points (hundredths).
        loss: Loss in the text metric from alpha 0, in points; None where texts are not evaluated.
    """

    alpha: float
    gain: float
    loss: float | None


def tradeoff_picture(
    points: Sequence[TradeOffPoint], *, chosen: int, bound: float, metric: str, text_metric: str | None
) -> bytes:
    """A PNG with a mark for every mix, joined in the order of alpha; without texts, the gain against alpha.

    Args:
        points: Two or more, in the order of alpha; with a loss where there is a text metric.
        chosen: Index of the chosen point, which is marked.
        bound: Largest loss in the text metric, in points; the area within is tinted.
        metric: Name of the metric that is maximised.
        text_metric: Name of the text metric; None where texts are not evaluated.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second that other commands need not wait
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES), dpi=_PIXELS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.105, 0.125, 0.87, 0.80))
    across = [point.alpha if point.loss is None else point.loss for point in points]
    up = [point.gain for point in points]
    _prepare(axes, across, up, bound=None if text_metric is None else bound)
    axes.plot(across, up, color=_LINE, linewidth=1.2, marker="o", markersize=5, zorder=3)
    axes.plot(
        across[chosen], up[chosen], marker="o", markersize=11, markerfacecolor="none", markeredgecolor=_CHOSEN,
        markeredgewidth=2.0, zorder=4,
    )  # fmt: skip
    axes.set_ylabel(f"gain in {metric} (points)", color=_INK)
    if text_metric is None:
        axes.set_xlabel("alpha: share of the fine-tuned weights", color=_INK)
    else:
        axes.set_xlabel(f"loss in {text_metric} (points)", color=_INK)
        _label(axes, [point.alpha for point in points], across, up, chosen=chosen, bound=bound)
    axes.set_title(_title(points[chosen], text_metric), loc="left", fontsize=10.5, color=_INK)
    written = io.BytesIO()
    figure.savefig(written, format="png", metadata={"Software": None})
    return written.getvalue()


def _title(chosen: TradeOffPoint, text_metric: str | None) -> str:
    lost = "" if chosen.loss is None else f", {signed_points(-chosen.loss)} in text retrieval"
    return f"validation split; chosen: alpha {chosen.alpha:g} ({signed_points(chosen.gain)} in image retrieval{lost})"


def _prepare(axes: "Axes", across: Sequence[float], up: Sequence[float], *, bound: float | None) -> None:
    """Room for marks and labels, the lines of no change, and the bound."""
    reach = max(_FARTHEST_BOUND * (max(across) - min(across)), _FARTHEST_BOUND)
    shown = [*across, 0.0, *([] if bound is None or bound > reach else [bound])]
    for low, high, limit in (
        (min(shown), max(shown), axes.set_xlim),
        (min(*up, 0.0), max(*up, 0.0), axes.set_ylim),
    ):
        margin = _ROOM * ((high - low) or 1.0)
        limit(low - margin, high + margin)
    axes.axhline(0, color=_PALE, linewidth=1, zorder=1)
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
    axes.tick_params(colors=_GREY, labelsize=9)
    if bound is None:
        return
    axes.axvline(0, color=_PALE, linewidth=1, zorder=1)
    left, right = axes.get_xlim()
    axes.axvspan(left, min(bound, right), color=_WITHIN, zorder=0, linewidth=0)
    if bound <= reach:
        axes.axvline(bound, color=_CHOSEN, linewidth=1, linestyle="--", zorder=2)
    axes.annotate(
        f"bound: {counted(bound, 'point')} ", (min(bound, right), 0.012), ha="right", va="bottom",
        xycoords=("data", "axes fraction"), fontsize=_LABEL_POINTS, color=_CHOSEN,
    )  # fmt: skip


def _label(
    axes: "Axes", alphas: Sequence[float], across: Sequence[float], up: Sequence[float], *, chosen: int, bound: float
) -> None:
    """Alpha beside each mark, where it covers neither marks nor lines nor another label; the chosen one comes first."""
    marks = _in_points(axes, across, up)
    taken = [_around(x, y, _MARK_HALF, _MARK_HALF) for x, y in marks]
    taken += _along(marks) + _along(_in_points(axes, [bound, bound], axes.get_ylim()))
    groups = _together(marks)
    for group in sorted(groups, key=lambda group: chosen not in group):
        named = [f"{alphas[index]:g}" for index in group]
        text = ", ".join(named) if len(named) <= _MOST_NAMED else f"{named[0]} … {named[-1]}"
        right, above, box = _free_offset(marks[group[0]], text, taken)
        taken.append(box)
        line = {"arrowstyle": "-", "color": _GREY, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 2}
        axes.annotate(
            text, (across[group[0]], up[group[0]]), xytext=(right, above), textcoords="offset points", ha="center",
            va="center", fontsize=_LABEL_POINTS, color=_CHOSEN if chosen in group else _INK,
            fontweight="bold" if chosen in group else "normal",
            arrowprops=line if abs(above) > _REACH_POINTS[1] else None,
        )  # fmt: skip


def _in_points(axes: "Axes", across: Sequence[float], up: Sequence[float]) -> list[tuple[float, float]]:
    """Where values lie in the picture, in points."""
    pixels = axes.transData.transform(list(zip(across, up, strict=True)))
    return [(float(x) * 72 / _PIXELS_PER_INCH, float(y) * 72 / _PIXELS_PER_INCH) for x, y in pixels]


def _together(marks: Sequence[tuple[float, float]]) -> list[list[int]]:
    """Indices of marks in groups: marks that follow each other at nearly the same point are one group."""
    groups = [[0]]
    for index in range(1, len(marks)):
        if math.dist(marks[index], marks[groups[-1][0]]) <= _ONE_MARK:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _along(corners: Sequence[tuple[float, float]]) -> list[Box]:
    """Small boxes on the lines from corner to corner."""
    boxes = []
    for one, other in pairwise(corners):
        steps = max(1, round(math.dist(one, other) / _LINE_STEP))
        for step in range(steps + 1):
            x, y = (a + (b - a) * step / steps for a, b in zip(one, other, strict=True))
            boxes.append(_around(x, y, _LINE_HALF, _LINE_HALF))
    return boxes


def _free_offset(mark: tuple[float, float], text: str, taken: Sequence[Box]) -> tuple[float, float, Box]:
    """Offset of a label from its mark in points, and the box it fills: the nearest one that covers least."""
    half_width, half_height = 0.32 * _LABEL_POINTS * len(text), 0.6 * _LABEL_POINTS
    best: tuple[float, tuple[float, float, Box]] | None = None
    for reach in _REACH_POINTS:
        for right, above in _DIRECTIONS:
            x, y = right * (reach + half_width - _LABEL_POINTS / 2), above * reach
            box = _around(mark[0] + x, mark[1] + y, half_width, half_height)
            covered = sum(_overlap(box, other) for other in taken)
            if best is None or covered < best[0]:
                best = (covered, (x, y, box))
    assert best is not None
    return best[1]


def _around(x: float, y: float, half_width: float, half_height: float) -> Box:
    return x - half_width, y - half_height, x + half_width, y + half_height


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0

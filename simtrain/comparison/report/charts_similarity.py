"""Charts of embeddings: similarity histograms of right and wrong pairs, and 2-D maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simtrain.comparison.report.chart import Chart, ChartFrame, axis_title, draw_chart
from simtrain.comparison.report.encoder_selection import LegendEntry
from simtrain.comparison.report.page_images import POINT_SIDE, PageImages
from simtrain.comparison.report.palette import INK, OTHER, RIGHT, STRONG, SYMBOLS, WRONG
from simtrain.comparison.report.wording import page_text
from simtrain.comparison.report_images import EmbeddingMap
from simtrain.evaluation.thresholds import SimilarityHistogram, SimilarityThresholds

_MOST_BINS = 60
_GROUP_NAME = 40
MOST_GROUPS = len(STRONG) + 4


@dataclass(frozen=True, kw_only=True)
class CategoryStyle:
    """Colour and symbol of a category on the map."""

    name: str
    colour: str
    symbol: str
    glyph: str


def neighbour_histogram(index: int, thresholds: SimilarityThresholds) -> Chart:
    """Pairs that a search shows, counted, and the calibrated thresholds."""
    traces = _bars(thresholds.neighbour_pairs, shares=False)
    axis_range = _axis_range(thresholds.neighbour_pairs)
    highest = max((height for trace in traces for height in trace["y"]), default=1)
    shapes: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for threshold in thresholds.thresholds:
        if threshold.similarity is None:
            continue
        at = round(threshold.similarity, 4)
        shapes.append({
            "type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper",
            "line": {"color": INK, "width": 1.5, "dash": "dash"},
        })  # fmt: skip
        # Each a line lower, as thresholds often lie near each other.
        notes.append({
            "x": at, "y": 1 - 0.085 * len(notes), "yref": "paper", "xanchor": _label_side(at, axis_range),
            "yanchor": "top",
            "text": f"{100 * threshold.wanted_precision:g} % relevant from {at:.3f}", "showarrow": False,
            "font": {"color": INK, "size": 11},
        })  # fmt: skip
    return draw_chart(
        ChartFrame(
            name=f"neighbours-{index}",
            title="similarities of queries and their nearest images, relevant and other pairs",
            height=260,
            x={"title": axis_title("similarity"), "range": axis_range},
            y={"title": axis_title("pairs"), "nticks": 5, "range": [0, highest * (1.1 + 0.1 * len(notes))]},
            layout={"barmode": "overlay", "bargap": 0, "shapes": shapes, "annotations": notes},
        ),
        traces,
    )


def pair_histogram(index: int, thresholds: SimilarityThresholds) -> Chart:
    """All pairs, each kind as shares of its own."""
    return draw_chart(
        ChartFrame(
            name=f"pairs-{index}",
            title="similarities of all pairs of images, relevant and other pairs",
            height=260,
            x={"title": axis_title("similarity"), "range": _axis_range(thresholds.all_pairs)},
            y={"title": axis_title("share of pairs"), "ticksuffix": " %", "nticks": 5},
            layout={"barmode": "overlay", "bargap": 0},
        ),
        _bars(thresholds.all_pairs, shares=True),
    )


def category_styles(maps: Sequence[EmbeddingMap]) -> tuple[tuple[CategoryStyle, ...], int]:
    """Colours and symbols of the largest categories for all maps, and the number of other categories."""
    sizes = Counter(group for of in maps for group in of.groups if group)
    largest = sorted(sizes, key=lambda group: (-sizes[group], group))
    styles = []
    for index, group in enumerate(largest[:MOST_GROUPS]):
        symbol, glyph = SYMBOLS[(index + index // len(STRONG)) % len(SYMBOLS)]
        styles.append(CategoryStyle(name=group, colour=STRONG[index % len(STRONG)], symbol=symbol, glyph=glyph))
    return tuple(styles), max(0, len(largest) - MOST_GROUPS)


def map_chart(index: int, of: EmbeddingMap, *, styles: Sequence[CategoryStyle], page_images: PageImages) -> Chart:
    """Images on a plane; each point knows its picture, its caption and its category."""
    known = {style.name for style in styles}
    members: dict[str, list[int]] = {"": [], **{style.name: [] for style in styles}}
    for point, group in enumerate(of.groups):
        members[group if group in known else ""].append(point)
    style_of = {
        "": (OTHER if styles else STRONG[0], "circle"),
        **{style.name: (style.colour, style.symbol) for style in styles},
    }
    traces: list[dict[str, Any]] = []
    for group, points in members.items():
        colour, symbol = style_of[group]
        point_data = [_point_data(page_images, of.rows[point], of.groups[point]) for point in points]
        traces.append(
            {
                "type": "scatter",
                "x": [round(of.x[point], 4) for point in points],
                "y": [round(of.y[point], 4) for point in points],
                "mode": "markers",
                "marker": {"color": colour, "symbol": symbol, "size": 6, "opacity": 0.8},
                "customdata": point_data,
            }
        )
    axis = {"showgrid": False, "showticklabels": False}
    return draw_chart(
        ChartFrame(
            name=f"map-{index}",
            title=f"{of.method} map of the embeddings",
            height=420,
            x=axis,
            y=axis,
        ),
        [trace for trace in traces if trace["x"]],
    )


def category_legend(styles: Sequence[CategoryStyle], *, more: int) -> tuple[LegendEntry, ...]:
    """Legend entries of the categories of the maps."""
    found = [
        LegendEntry(name=page_text(style.name, to=_GROUP_NAME), colour=style.colour, glyph=style.glyph, kind="group")
        for style in styles
    ]
    if more:
        point_data = f"{more} smaller categories" if more > 1 else "1 smaller category"
        found.append(LegendEntry(name=point_data, colour=OTHER, glyph="●", kind="group"))
    return tuple(found)


def _point_data(page_images: PageImages, row: int, group: str) -> list[int | str]:
    picture = page_images.index_of(row, side=POINT_SIDE)
    caption, category = page_images.caption(row), page_text(group, to=_GROUP_NAME)
    return [-1 if picture is None else picture, caption, "" if category in caption else category]


def _label_side(at: float, axis_range: Sequence[float]) -> str:
    """Where there is more room for words beside a line."""
    return "right" if at > (axis_range[0] + axis_range[1]) / 2 else "left"


def _bars(pairs: SimilarityHistogram, *, shares: bool) -> list[dict[str, Any]]:
    """Wrong pairs, and right ones in front of them."""
    first, last = _filled_bins(pairs)
    together = max(1, -(-(last - first) // _MOST_BINS))
    starts = range(first, last, together)
    traces: list[dict[str, Any]] = []
    for name, counts, colour, pattern in (
        ("other", pairs.negatives, WRONG, "/"), ("relevant", pairs.positives, RIGHT, ""),
    ):  # fmt: skip
        total = max(1, sum(counts)) / 100 if shares else 1
        heights = [sum(counts[start : start + together]) / total for start in starts]
        ends = [min(start + together, len(counts)) for start in starts]
        edges = [(pairs.edges[start], pairs.edges[end]) for start, end in zip(starts, ends, strict=True)]
        unit = "{:.1f} % of these pairs" if shares else "{:,.0f} pairs"
        traces.append({
            "type": "bar",
            "x": [round((low + high) / 2, 5) for low, high in edges],
            "y": [round(height, 4) for height in heights],
            "width": [round(high - low, 5) for low, high in edges],
            "marker": {"color": colour, "opacity": 0.62, "pattern": {"shape": pattern, "size": 5}},
            "hovertext": [
                f"{name}, {low:.2f} to {high:.2f}<br>{unit.format(height)}"
                for (low, high), height in zip(edges, heights, strict=True)
            ],
        })  # fmt: skip
    return traces


def _filled_bins(pairs: SimilarityHistogram) -> tuple[int, int]:
    """First bin with a pair, and the one behind the last."""
    filled = [index for index, both in enumerate(zip(pairs.positives, pairs.negatives, strict=True)) if any(both)]
    return (filled[0], filled[-1] + 1) if filled else (0, len(pairs.positives))


def _axis_range(pairs: SimilarityHistogram) -> list[float]:
    first, last = _filled_bins(pairs)
    return [round(pairs.edges[first] - 0.01, 3), round(pairs.edges[last] + 0.01, 3)]

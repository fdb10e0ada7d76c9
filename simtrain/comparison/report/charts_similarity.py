"""Charts of embeddings: similarity histograms of right and wrong pairs, and 2-D maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from simtrain.comparison.report.chart import Chart, axis_title, chart
from simtrain.comparison.report.encoder_selection import Player
from simtrain.comparison.report.palette import INK, OTHER, RIGHT, STRONG, SYMBOLS, WRONG
from simtrain.comparison.report.pictures import POINT_SIDE, Album
from simtrain.comparison.report.wording import named
from simtrain.comparison.result import EmbeddingMap
from simtrain.evaluation.thresholds import SimilarityHistogram, SimilarityThresholds

_MOST_BINS = 60
_GROUP_NAME = 40
MOST_GROUPS = len(STRONG) + 4


@dataclass(frozen=True, kw_only=True)
class GroupLook:
    """Colour and symbol of a category on the map."""

    name: str
    colour: str
    symbol: str
    glyph: str


def neighbour_histogram(place: int, thresholds: SimilarityThresholds) -> Chart:
    """Pairs that a search shows, counted, and the calibrated thresholds."""
    traces = _bars(thresholds.neighbour_pairs, shares=False)
    reach = _range(thresholds.neighbour_pairs)
    highest = max((height for trace in traces for height in trace.y), default=1)
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
            "x": at, "y": 1 - 0.085 * len(notes), "yref": "paper", "xanchor": _side(at, reach), "yanchor": "top",
            "text": f"{100 * threshold.wanted_precision:g} % right from {at:.3f}", "showarrow": False,
            "font": {"color": INK, "size": 11},
        })  # fmt: skip
    return chart(
        f"neighbours-{place}",
        traces,
        title="similarities of searches and what they find, right and wrong",
        height=260,
        x={"title": axis_title("similarity"), "range": reach},
        y={"title": axis_title("pairs"), "nticks": 5, "range": [0, highest * (1.1 + 0.1 * len(notes))]},
        layout={"barmode": "overlay", "bargap": 0, "shapes": shapes, "annotations": notes},
    )


def pair_histogram(place: int, thresholds: SimilarityThresholds) -> Chart:
    """All pairs, each kind as shares of its own."""
    return chart(
        f"pairs-{place}",
        _bars(thresholds.all_pairs, shares=True),
        title="similarities of all pairs of images, right and wrong",
        height=260,
        x={"title": axis_title("similarity"), "range": _range(thresholds.all_pairs)},
        y={"title": axis_title("of its kind"), "ticksuffix": " %", "nticks": 5},
        layout={"barmode": "overlay", "bargap": 0},
    )


def group_looks(maps: Sequence[EmbeddingMap]) -> tuple[tuple[GroupLook, ...], int]:
    """Colours and symbols of the largest categories for all maps, and the number of other categories."""
    sizes = Counter(group for of in maps for group in of.groups if group)
    largest = sorted(sizes, key=lambda group: (-sizes[group], group))
    looks = []
    for place, group in enumerate(largest[:MOST_GROUPS]):
        symbol, glyph = SYMBOLS[(place + place // len(STRONG)) % len(SYMBOLS)]
        looks.append(GroupLook(name=group, colour=STRONG[place % len(STRONG)], symbol=symbol, glyph=glyph))
    return tuple(looks), max(0, len(largest) - MOST_GROUPS)


def map_chart(place: int, of: EmbeddingMap, *, looks: Sequence[GroupLook], album: Album) -> Chart:
    """Images on a plane; each point knows its picture, its caption and its category."""
    known = {look.name for look in looks}
    members: dict[str, list[int]] = {"": [], **{look.name: [] for look in looks}}
    for point, group in enumerate(of.groups):
        members[group if group in known else ""].append(point)
    styles = {
        "": (OTHER if looks else STRONG[0], "circle"),
        **{look.name: (look.colour, look.symbol) for look in looks},
    }
    traces = []
    for group, points in members.items():
        colour, symbol = styles[group]
        told = [_about(album, of.rows[point], of.groups[point]) for point in points]
        traces.append(
            go.Scatter(
                x=[round(of.x[point], 4) for point in points],
                y=[round(of.y[point], 4) for point in points],
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 6, "opacity": 0.8},
                customdata=told,
                hoverinfo="none",
            )
        )
    axis = {"showgrid": False, "showline": False, "showticklabels": False, "ticks": "", "fixedrange": False}
    return chart(
        f"map-{place}",
        [trace for trace in traces if trace.x],
        title=f"{of.method} map of the embeddings",
        height=420,
        x={**axis, "automargin": False},
        y={**axis, "automargin": False},
    )


def group_legend(looks: Sequence[GroupLook], *, more: int) -> tuple[Player, ...]:
    """Legend entries of the categories of the maps."""
    found = [
        Player(name=named(look.name, to=_GROUP_NAME), colour=look.colour, glyph=look.glyph, kind="group")
        for look in looks
    ]
    if more:
        told = f"{more} smaller categories" if more > 1 else "1 smaller category"
        found.append(Player(name=told, colour=OTHER, glyph="●", kind="group"))
    return tuple(found)


def _about(album: Album, row: int, group: str) -> list[int | str]:
    picture = album.place(row, side=POINT_SIDE)
    caption, category = album.caption(row), named(group, to=_GROUP_NAME)
    return [-1 if picture is None else picture, caption, "" if category in caption else category]


def _side(at: float, reach: Sequence[float]) -> str:
    """Where there is more room for words beside a line."""
    return "right" if at > (reach[0] + reach[1]) / 2 else "left"


def _bars(pairs: SimilarityHistogram, *, shares: bool) -> list[go.Bar]:
    """Wrong pairs, and right ones in front of them."""
    first, last = _reach(pairs)
    together = max(1, -(-(last - first) // _MOST_BINS))
    starts = range(first, last, together)
    traces = []
    for name, counts, colour, pattern in (
        ("wrong", pairs.negatives, WRONG, "/"), ("right", pairs.positives, RIGHT, ""),
    ):  # fmt: skip
        total = max(1, sum(counts)) / 100 if shares else 1
        heights = [sum(counts[start : start + together]) / total for start in starts]
        ends = [min(start + together, len(counts)) for start in starts]
        edges = [(pairs.edges[start], pairs.edges[end]) for start, end in zip(starts, ends, strict=True)]
        unit = "{:.1f} % of them" if shares else "{:,.0f} pairs"
        traces.append(
            go.Bar(
                x=[round((low + high) / 2, 5) for low, high in edges],
                y=[round(height, 4) for height in heights],
                width=[round(high - low, 5) for low, high in edges],
                marker={
                    "color": colour, "opacity": 0.62, "line": {"width": 0},
                    "pattern": {"shape": pattern, "size": 5, "solidity": 0.35, "fgcolor": colour, "fgopacity": 1},
                },
                hovertext=[
                    f"{name}, {low:.2f} to {high:.2f}<br>{unit.format(height)}"
                    for (low, high), height in zip(edges, heights, strict=True)
                ],
                hoverinfo="text",
            )
        )  # fmt: skip
    return traces


def _reach(pairs: SimilarityHistogram) -> tuple[int, int]:
    """First bin with a pair, and the one behind the last."""
    filled = [place for place, both in enumerate(zip(pairs.positives, pairs.negatives, strict=True)) if any(both)]
    return (filled[0], filled[-1] + 1) if filled else (0, len(pairs.positives))


def _range(pairs: SimilarityHistogram) -> list[float]:
    first, last = _reach(pairs)
    return [round(pairs.edges[first] - 0.01, 3), round(pairs.edges[last] + 0.01, 3)]

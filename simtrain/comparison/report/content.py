"""Content of the page: charts, tables and texts for the template."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from simtrain.comparison.report.chart import Chart
from simtrain.comparison.report.charts_quality import (
    MOST_CATEGORIES,
    MOST_ROWS,
    category_chart,
    cost_chart,
    ranking_chart,
    recall_chart,
    robustness_chart,
)
from simtrain.comparison.report.charts_similarity import (
    group_legend,
    group_looks,
    map_chart,
    neighbour_histogram,
    pair_histogram,
)
from simtrain.comparison.report.encoder_selection import LONGEST_NAME, Cast, Player
from simtrain.comparison.report.image_panels import Looks, looks_of
from simtrain.comparison.report.method import Point, foundations, method, missing, records
from simtrain.comparison.report.pictures import Album
from simtrain.comparison.report.tables import (
    Table,
    category_table,
    cost_table,
    figures_table,
    geometry_table,
    robustness_table,
    text_table,
    variants_of,
)
from simtrain.comparison.report.verdicts import Lead, lead_of
from simtrain.comparison.report.wording import named
from simtrain.comparison.result import EmbeddingMap
from simtrain.evaluation.thresholds import SimilarityThresholds

_MOST_MAPS = 4
_MOST_HISTOGRAMS = 4


@dataclass(frozen=True, kw_only=True)
class Histograms:
    """Similarity histograms of one encoder."""

    player: Player
    neighbours: Chart
    pairs: Chart
    thresholds: SimilarityThresholds


@dataclass(frozen=True, kw_only=True)
class Map:
    """Embedding map of one encoder."""

    player: Player
    method: str
    chart: Chart


@dataclass(frozen=True, kw_only=True)
class Maps:
    """The maps that are shown, their common legend, and the number of maps not shown."""

    shown: tuple[Map, ...]
    legend: tuple[Player, ...]
    not_shown: int


@dataclass(frozen=True, kw_only=True)
class CategorySection:
    """Metrics by category: the largest categories as bars, all of them as a table."""

    metric: str
    chart: Chart
    table: Table
    not_shown: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Content:
    """Sections of the page; None and empty ones are left out."""

    cast: Cast
    lead: Lead
    foundations: tuple[Point, ...]
    ranking: Chart
    not_ranked: int
    figures: tuple[Table, ...]
    categories: CategorySection | None
    recall: Chart | None
    histograms: tuple[Histograms, ...]
    histograms_not_shown: int
    maps: Maps | None
    looks: Looks
    robustness: tuple[Chart, Table] | None
    text: Table | None
    cost_chart: Chart | None
    cost: Table | None
    geometry: Table | None
    unavailable: tuple[tuple[str, str], ...]
    method: tuple[Point, ...]
    records: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]

    @property
    def charts(self) -> tuple[Chart, ...]:
        """All charts of the page."""
        return tuple(self._charts())

    def _charts(self) -> Iterable[Chart]:
        yield self.ranking
        yield from (one for one in (self.recall, self.cost_chart) if one is not None)
        if self.categories is not None:
            yield self.categories.chart
        for histograms in self.histograms:
            yield from (histograms.neighbours, histograms.pairs)
        if self.maps is not None:
            yield from (one.chart for one in self.maps.shown)
        if self.robustness is not None:
            yield self.robustness[0]


def content_of(cast: Cast, album: Album) -> Content:
    """Make all sections. Pictures of searches go into the album before those of the maps."""
    report = cast.report
    looks = looks_of(cast, album)
    calibrated = [one for one in (*cast.prominent, *cast.others(cast.prominent)) if one.thresholds]
    shown = [one for one in cast.prominent if one.thresholds][:_MOST_HISTOGRAMS] or calibrated[:_MOST_HISTOGRAMS]
    variants = variants_of(cast.ranked)
    return Content(
        cast=cast,
        lead=lead_of(cast),
        foundations=foundations(cast),
        ranking=ranking_chart(cast),
        not_ranked=max(0, len(cast.ranked) - MOST_ROWS),
        figures=tuple(figures_table(cast, relevance) for relevance in report.relevance),
        categories=_categories(cast),
        recall=recall_chart(cast),
        histograms=tuple(
            Histograms(
                player=cast.player(one.name),
                neighbours=neighbour_histogram(place, one.thresholds),
                pairs=pair_histogram(place, one.thresholds),
                thresholds=one.thresholds,
            )
            for place, one in enumerate(shown)
            if one.thresholds
        ),
        histograms_not_shown=len(calibrated) - len(shown),
        maps=_maps(cast, album),
        looks=looks,
        robustness=(robustness_chart(cast, variants), robustness_table(cast, variants)) if variants else None,
        text=text_table(cast),
        cost_chart=cost_chart(cast),
        cost=cost_table(cast),
        geometry=geometry_table(cast),
        unavailable=tuple((named(one.name, to=LONGEST_NAME), named(one.reason, to=400)) for one in report.unavailable),
        method=method(cast),
        records=records(cast),
        missing=missing(cast),
    )


def _categories(cast: Cast) -> CategorySection | None:
    """None without categories, and where no prominent encoder has figures of them."""
    report = cast.report
    found = [category for one in cast.prominent for category in one.categories]
    sizes = {category.name: category.queries for category in found}
    if not sizes:
        return None
    metric = report.metric if report.metric in found[0].metrics else next(iter(found[0].metrics))
    names = sorted(sizes, key=lambda name: (-sizes[name], name))
    return CategorySection(
        metric=metric,
        chart=category_chart(cast, metric=metric, names=names[:MOST_CATEGORIES]),
        table=category_table(cast, metric=metric, names=names),
        not_shown=max(0, len(names) - MOST_CATEGORIES),
    )


def _maps(cast: Cast, album: Album) -> Maps | None:
    """Of prominent encoders first; all with the same colours."""
    of: dict[str, EmbeddingMap] = {one.encoder: one for one in cast.report.pictures.maps if one.rows}
    names = [one.name for one in (*cast.prominent, *cast.others(cast.prominent)) if one.name in of]
    shown = [of[name] for name in names[:_MOST_MAPS]]
    if not shown:
        return None
    looks, more = group_looks(shown)
    return Maps(
        shown=tuple(
            Map(
                player=cast.player(one.encoder),
                method=one.method,
                chart=map_chart(place, one, looks=looks, album=album),
            )
            for place, one in enumerate(shown)
        ),
        legend=group_legend(looks, more=more),
        not_shown=len(names) - len(shown),
    )

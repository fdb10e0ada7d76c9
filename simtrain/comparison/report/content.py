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
    category_legend,
    category_styles,
    map_chart,
    neighbour_histogram,
    pair_histogram,
)
from simtrain.comparison.report.encoder_selection import LONGEST_NAME, EncoderSelection, LegendEntry
from simtrain.comparison.report.image_panels import ImagePanels, build_image_panels
from simtrain.comparison.report.method import (
    DescribedTerm,
    encoder_records,
    method_details,
    missing_sections,
    verdict_basis,
)
from simtrain.comparison.report.page_images import PageImages
from simtrain.comparison.report.recommendation_box import RecommendationBox, recommendation_box
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
from simtrain.comparison.report.verdicts import ShownVerdict, VerdictSection, text_verdicts, verdict_section
from simtrain.comparison.report.wording import page_text
from simtrain.comparison.report_images import EmbeddingMap
from simtrain.evaluation.thresholds import SimilarityThresholds

_MOST_MAPS = 4
_MOST_HISTOGRAMS = 4


@dataclass(frozen=True, kw_only=True)
class Histograms:
    """Similarity histograms of one encoder."""

    encoder: LegendEntry
    neighbours: Chart
    pairs: Chart
    thresholds: SimilarityThresholds


@dataclass(frozen=True, kw_only=True)
class Map:
    """Embedding map of one encoder."""

    encoder: LegendEntry
    method: str
    chart: Chart


@dataclass(frozen=True, kw_only=True)
class Maps:
    """The maps that are shown, their common legend, and the number of maps not shown."""

    shown: tuple[Map, ...]
    legend: tuple[LegendEntry, ...]
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

    selection: EncoderSelection
    recommendation: RecommendationBox | None
    verdicts: VerdictSection
    verdict_basis: tuple[DescribedTerm, ...]
    ranking: Chart
    not_ranked: int
    figures: tuple[Table, ...]
    categories: CategorySection | None
    recall: Chart | None
    histograms: tuple[Histograms, ...]
    histograms_not_shown: int
    maps: Maps | None
    panels: ImagePanels
    robustness: tuple[Chart, Table] | None
    text: Table | None
    text_verdicts: tuple[ShownVerdict, ...]
    cost_chart: Chart | None
    cost: Table | None
    geometry: Table | None
    unavailable: tuple[tuple[str, str], ...]
    method: tuple[DescribedTerm, ...]
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


def build_content(selection: EncoderSelection, page_images: PageImages) -> Content:
    """Make all sections. Pictures of searches go into the album before those of the maps."""
    report = selection.report
    panels = build_image_panels(selection, page_images)
    calibrated = [one for one in (*selection.prominent, *selection.others(selection.prominent)) if one.thresholds]
    shown = [one for one in selection.prominent if one.thresholds][:_MOST_HISTOGRAMS] or calibrated[:_MOST_HISTOGRAMS]
    variants = variants_of(selection.ranked)
    return Content(
        selection=selection,
        recommendation=recommendation_box(selection),
        verdicts=verdict_section(selection),
        verdict_basis=verdict_basis(selection),
        ranking=ranking_chart(selection),
        not_ranked=max(0, len(selection.ranked) - MOST_ROWS),
        figures=tuple(figures_table(selection, relevance) for relevance in report.relevance),
        categories=_categories(selection),
        recall=recall_chart(selection),
        histograms=tuple(
            Histograms(
                encoder=selection.legend_entry(one.name),
                neighbours=neighbour_histogram(place, one.thresholds),
                pairs=pair_histogram(place, one.thresholds),
                thresholds=one.thresholds,
            )
            for place, one in enumerate(shown)
            if one.thresholds
        ),
        histograms_not_shown=len(calibrated) - len(shown),
        maps=_maps(selection, page_images),
        panels=panels,
        robustness=(robustness_chart(selection, variants), robustness_table(selection, variants)) if variants else None,
        text=text_table(selection),
        text_verdicts=text_verdicts(selection),
        cost_chart=cost_chart(selection),
        cost=cost_table(selection),
        geometry=geometry_table(selection),
        unavailable=tuple(
            (page_text(one.name, to=LONGEST_NAME), page_text(one.reason, to=400)) for one in report.unavailable
        ),
        method=method_details(selection),
        records=encoder_records(selection),
        missing=missing_sections(selection),
    )


def _categories(selection: EncoderSelection) -> CategorySection | None:
    """None without categories, and where no prominent encoder has figures of them."""
    report = selection.report
    found = [category for one in selection.prominent for category in one.categories]
    sizes = {category.name: category.queries for category in found}
    if not sizes:
        return None
    metric = report.metric if report.metric in found[0].metrics else next(iter(found[0].metrics))
    names = sorted(sizes, key=lambda name: (-sizes[name], name))
    return CategorySection(
        metric=metric,
        chart=category_chart(selection, metric=metric, names=names[:MOST_CATEGORIES]),
        table=category_table(selection, metric=metric, names=names),
        not_shown=max(0, len(names) - MOST_CATEGORIES),
    )


def _maps(selection: EncoderSelection, page_images: PageImages) -> Maps | None:
    """Of prominent encoders first; all with the same colours."""
    of: dict[str, EmbeddingMap] = {one.encoder: one for one in selection.report.pictures.maps if one.rows}
    names = [one.name for one in (*selection.prominent, *selection.others(selection.prominent)) if one.name in of]
    shown = [of[name] for name in names[:_MOST_MAPS]]
    if not shown:
        return None
    styles, more = category_styles(shown)
    return Maps(
        shown=tuple(
            Map(
                encoder=selection.legend_entry(one.encoder),
                method=one.method,
                chart=map_chart(place, one, styles=styles, page_images=page_images),
            )
            for place, one in enumerate(shown)
        ),
        legend=category_legend(styles, more=more),
        not_shown=len(names) - len(shown),
    )

"""Tables of metrics with their confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from simtrain.comparison.report.encoder_selection import EncoderSelection, LegendEntry
from simtrain.comparison.report.verdicts import VERDICT_STYLES
from simtrain.comparison.report.wording import page_text
from simtrain.comparison.result import EncoderFigures, RobustnessFigure, TextMapFigures
from simtrain.evaluation.statistics import Interval
from simtrain.phrases import NOTHING, between, percent, signed_percent, significant

_COLUMNS = ("recall_at_1", "recall_at_5", "recall_at_10", "map_at_r", "r_precision", "mrr")
_KINDS = {
    "run": "Runs",
    "off_the_shelf": "Off the shelf",
    "whitened": "Whitened on the training images",
    "chance": "Chance",
}
_LONGEST_WORDS = 160
_NAME = 80
_LONG = 30
"""Rows that are shown at once."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A number as text, and a smaller line below it."""

    text: str
    below: str = ""
    style: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of an encoder, or of another named thing."""

    name: str
    cells: tuple[Cell, ...]
    encoder: LegendEntry | None = None
    description: str = ""
    baseline: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows in groups; a group's name may be empty."""

    caption: str
    first: str
    """Heading of the column of names."""
    columns: tuple[str, ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]

    @property
    def is_long(self) -> bool:
        """Whether it scrolls within the page, which hides most of it at first."""
        return sum(len(rows) for _, rows in self.groups) > _LONG


def figures_table(selection: EncoderSelection, relevance: str) -> Table:
    """Metrics of all encoders by one definition of relevance, and the verdicts."""
    report = selection.report
    encoders = [*selection.ranked, *([selection.chance] if selection.chance else [])]
    figures = {one.name: one.relevances[relevance] for one in encoders if relevance in one.relevances}
    shown = [one for one in encoders if one.name in figures]
    names = [report.metric, *(name for name in _COLUMNS if name != report.metric)]
    names = [name for name in names if any(name in of.metrics for of in figures.values())]
    macro = any(report.metric in of.macro for of in figures.values())
    grades = sorted({name for one in shown for name in one.grades}) if relevance == selection.relevance else []

    def cells(one: EncoderFigures) -> tuple[Cell, ...]:
        of = figures[one.name]
        texts = [_percents(of.metrics.get(name)) for name in names]
        averaged = [_percents(of.macro.get(report.metric))] if macro else []
        graded = [_percents(one.grades.get(name)) for name in grades]
        return (*_verdict_cells(selection, one, relevance), *texts, *averaged, *graded)

    of_macro = [f"{report.metric}, macro"] if macro else []
    return Table(
        caption=f"Percent, with {100 * report.confidence:g} % intervals; relevant = "
        f"{page_text(report.relevance_words[relevance], to=_NAME)}",
        first="encoder",
        columns=("verdict", "difference", *names, *of_macro, *(f"{name}, graded" for name in grades)),
        groups=tuple(_grouped(selection, shown, cells, baseline=report.baselines[relevance])),
    )


def category_table(selection: EncoderSelection, *, metric: str, names: Sequence[str]) -> Table:
    """Metrics of categories by prominent encoders."""
    shown = [one for one in selection.prominent if one.categories]
    found = {one.name: {category.name: category for category in one.categories} for one in shown}
    rows = []
    for name in names:
        of = [found[one.name].get(name) for one in shown]
        first = next(category for category in of if category is not None)
        cells = [_percents(category.metrics[metric] if category else None) for category in of]
        sizes = Cell(text=f"{first.queries:,}", below=f"{first.products:,} products")
        rows.append(Row(name=page_text(name, to=_NAME), cells=(sizes, *cells)))
    return Table(
        caption=f"{metric} in percent",
        first=page_text(selection.report.category or "category", to=_NAME),
        columns=("queries", *(selection.legend_entry(one.name).name for one in shown)),
        groups=(("", tuple(rows)),),
    )


def robustness_table(selection: EncoderSelection, variants: Sequence[RobustnessFigure]) -> Table:
    """Share of altered images whose nearest image is their original, by all encoders."""

    def cells(one: EncoderFigures) -> tuple[Cell, ...]:
        found = {variant.name: variant.share for variant in one.robustness}
        return tuple(_percents(found.get(variant.name)) for variant in variants)

    shown = [one for one in selection.ranked if one.robustness]
    return Table(
        caption="Percent of altered images whose nearest image is their original",
        first="encoder",
        columns=tuple(page_text(variant.words, to=_NAME) for variant in variants),
        groups=tuple(_grouped(selection, shown, cells, baseline=selection.report.baseline)),
    )


def text_table(selection: EncoderSelection) -> Table | None:
    """Text retrieval metrics; None where no encoder embeds texts."""
    shown = [one for one in selection.ranked if one.text]
    names = list(dict.fromkeys(name for one in shown for name in one.text))
    if not shown:
        return None

    def cells(one: EncoderFigures | TextMapFigures) -> tuple[Cell, ...]:
        return tuple(_percents(one.text.get(name)) for name in names)

    maps = tuple(
        Row(name=page_text(one.name, to=_NAME), cells=cells(one), description=page_text(one.words, to=_LONGEST_WORDS))
        for one in selection.report.text_maps
    )
    return Table(
        caption=f"Percent, with {100 * selection.report.confidence:g} % intervals",
        first="encoder",
        columns=tuple(names),
        groups=(
            *_grouped(selection, shown, cells, baseline=None),
            *((("Linear maps from texts to images", maps),) if maps else ()),
        ),
    )


def cost_table(selection: EncoderSelection) -> Table | None:
    """Cost of each encoder; None where no cost is known."""
    shown = [one for one in selection.ranked if one.cost]
    if not shown:
        return None

    def cells(one: EncoderFigures) -> tuple[Cell, ...]:
        cost = one.cost
        if cost is None:
            return ()
        return (
            _percents(one.relevances[selection.relevance].metrics[selection.report.metric]),
            Cell(text=significant(cost.embedding_seconds, digits=2), below=page_text(cost.device, to=_NAME)),
            Cell(text=significant(cost.search_seconds, digits=2), below=f"in {cost.gallery:,}"),
            Cell(text=NOTHING if one.embedding_size is None else f"{one.embedding_size:,}"),
            Cell(text=f"{cost.embedding_bytes / 1e6:,.2f}"),
        )

    return Table(
        caption="Seconds for 1,000 embedded images and for 1,000 searches",
        first="encoder",
        columns=(f"{selection.report.metric}, %", "embedding, s", "search, s", "dimensions", "MB per 1,000"),
        groups=tuple(_grouped(selection, shown, cells, baseline=selection.report.baseline)),
    )


def geometry_table(selection: EncoderSelection) -> Table | None:
    """Geometry of the embeddings; None where it was not measured."""
    shown = [one for one in selection.ranked if one.geometry]
    if not shown:
        return None

    def cells(one: EncoderFigures) -> tuple[Cell, ...]:
        of = one.geometry
        if of is None:
            return ()
        numbers = (of.effective_rank, of.mean_similarity, of.isotropy, of.uniformity, of.alignment)
        texts = [significant(number, digits=3) for number in numbers]
        return (Cell(text=texts[0], below=f"of {of.features:,}"), *(Cell(text=one) for one in texts[1:]))

    return Table(
        caption="Geometry of the embeddings",
        first="encoder",
        columns=("dimensions in use", "mean similarity", "isotropy", "uniformity", "alignment"),
        groups=tuple(_grouped(selection, shown, cells, baseline=selection.report.baseline)),
    )


def variants_of(encoders: Iterable[EncoderFigures]) -> list[RobustnessFigure]:
    """The alterations that any encoder was tested with, each once, in their order."""
    found: dict[str, RobustnessFigure] = {}
    for one in encoders:
        for variant in one.robustness:
            found.setdefault(variant.name, variant)
    return list(found.values())


def _grouped(
    selection: EncoderSelection,
    encoders: Sequence[EncoderFigures],
    cells: Callable[[EncoderFigures], tuple[Cell, ...]],
    *,
    baseline: str | None,
) -> Iterable[tuple[str, tuple[Row, ...]]]:
    kinds: Mapping[str, str] = _KINDS
    for kind, title in kinds.items():
        rows = tuple(
            Row(
                name=one.name,
                cells=cells(one),
                encoder=selection.legend_entry(one.name),
                description=_description(one),
                baseline=one.name == baseline,
            )
            for one in encoders
            if one.kind == kind
        )
        if rows:
            yield title, rows


def _description(encoder: EncoderFigures) -> str:
    seeds = f"; mean of {encoder.seeds} seeds" if encoder.seeds > 1 else ""
    return f"{page_text(encoder.words, to=_LONGEST_WORDS)}{seeds}"


def _verdict_cells(selection: EncoderSelection, encoder: EncoderFigures, relevance: str) -> tuple[Cell, Cell]:
    verdict = encoder.relevances[relevance].verdict
    if verdict is None:
        return Cell(text="baseline" if encoder.name == selection.report.baselines[relevance] else NOTHING), Cell(
            text=NOTHING
        )
    style, mark = VERDICT_STYLES[verdict.word]
    found = verdict.difference
    ends = between(found.low, found.high, write=signed_percent)
    difference = Cell(text=signed_percent(found.mean), below=ends)
    return Cell(text=f"{mark} {verdict.word}", style=style), difference


def _percents(interval: Interval | None) -> Cell:
    if interval is None:
        return Cell(text=NOTHING)
    return Cell(text=percent(interval.mean), below=between(interval.low, interval.high))

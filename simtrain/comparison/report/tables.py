"""Tables of metrics with their confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from simtrain.comparison.report.encoder_selection import Cast, Player
from simtrain.comparison.report.verdicts import WORDS
from simtrain.comparison.report.wording import named
from simtrain.comparison.result import EncoderFigures, VariantFigure
from simtrain.evaluation.statistics import Interval
from simtrain.phrases import NOTHING, between, percent, signed_percent, significant

_COLUMNS = ("recall_at_1", "recall_at_5", "recall_at_10", "map_at_r", "r_precision", "mrr")
_KINDS = {"run": "Runs", "off_the_shelf": "As they come", "whitened": "Whitened, without labels", "chance": "Chance"}
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
    player: Player | None = None
    words: str = ""
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


def figures_table(cast: Cast, relevance: str) -> Table:
    """Metrics of all encoders by one definition of relevance, and the verdicts."""
    report = cast.report
    everyone = [*cast.ranked, *([cast.chance] if cast.chance else [])]
    figures = {one.name: one.relevances[relevance] for one in everyone if relevance in one.relevances}
    there = [one for one in everyone if one.name in figures]
    names = [report.metric, *(name for name in _COLUMNS if name != report.metric)]
    names = [name for name in names if any(name in of.metrics for of in figures.values())]
    macro = any(report.metric in of.macro for of in figures.values())
    grades = sorted({name for one in there for name in one.grades}) if relevance == cast.relevance else []

    def cells(one: EncoderFigures) -> tuple[Cell, ...]:
        of = figures[one.name]
        told = [_percents(of.metrics.get(name)) for name in names]
        averaged = [_percents(of.macro.get(report.metric))] if macro else []
        graded = [_percents(one.grades.get(name)) for name in grades]
        return (*_verdict_cells(cast, one, relevance), *told, *averaged, *graded)

    of_macro = [f"{report.metric}, macro"] if macro else []
    return Table(
        caption=f"Percent, with {100 * report.confidence:g} % intervals; right = "
        f"{named(report.relevance_words[relevance], to=_NAME)}",
        first="encoder",
        columns=("verdict", "difference", *names, *of_macro, *(f"{name}, graded" for name in grades)),
        groups=tuple(_grouped(cast, there, cells, baseline=report.baselines[relevance])),
    )


def category_table(cast: Cast, *, metric: str, names: Sequence[str]) -> Table:
    """Metrics of categories by prominent encoders."""
    shown = [one for one in cast.prominent if one.categories]
    found = {one.name: {category.name: category for category in one.categories} for one in shown}
    rows = []
    for name in names:
        of = [found[one.name].get(name) for one in shown]
        first = next(category for category in of if category is not None)
        cells = [_percents(category.metrics[metric] if category else None) for category in of]
        sizes = Cell(text=f"{first.queries:,}", below=f"{first.products:,} products")
        rows.append(Row(name=named(name, to=_NAME), cells=(sizes, *cells)))
    return Table(
        caption=f"{metric} in percent",
        first=named(cast.report.category or "category", to=_NAME),
        columns=("searches", *(cast.player(one.name).name for one in shown)),
        groups=(("", tuple(rows)),),
    )


def robustness_table(cast: Cast, variants: Sequence[VariantFigure]) -> Table:
    """Share of altered images whose nearest image is their original, by all encoders."""

    def cells(one: EncoderFigures) -> tuple[Cell, ...]:
        found = {variant.name: variant.share for variant in one.robustness}
        return tuple(_percents(found.get(variant.name)) for variant in variants)

    there = [one for one in cast.ranked if one.robustness]
    return Table(
        caption="Percent of the changed pictures that find their original first",
        first="encoder",
        columns=tuple(named(variant.words, to=_NAME) for variant in variants),
        groups=tuple(_grouped(cast, there, cells, baseline=cast.report.baseline)),
    )


def text_table(cast: Cast) -> Table | None:
    """Text retrieval metrics; None where no encoder embeds texts."""
    there = [one for one in cast.ranked if one.text]
    names = list(dict.fromkeys(name for one in there for name in one.text))
    if not there:
        return None

    def cells(one: EncoderFigures) -> tuple[Cell, ...]:
        return tuple(_percents(one.text.get(name)) for name in names)

    return Table(
        caption="Percent",
        first="encoder",
        columns=tuple(names),
        groups=tuple(_grouped(cast, there, cells, baseline=cast.report.baseline)),
    )


def cost_table(cast: Cast) -> Table | None:
    """Cost of each encoder; None where no cost is known."""
    there = [one for one in cast.ranked if one.cost]
    if not there:
        return None

    def cells(one: EncoderFigures) -> tuple[Cell, ...]:
        cost = one.cost
        if cost is None:
            return ()
        return (
            _percents(one.relevances[cast.relevance].metrics[cast.report.metric]),
            Cell(text=significant(cost.embedding_seconds, digits=2), below=named(cost.device, to=_NAME)),
            Cell(text=significant(cost.search_seconds, digits=2), below=f"in {cost.gallery:,}"),
            Cell(text=NOTHING if one.embedding_size is None else f"{one.embedding_size:,}"),
            Cell(text=f"{cost.embedding_bytes / 1e6:,.2f}"),
        )

    return Table(
        caption="Per 1,000 images embedded and 1,000 searches",
        first="encoder",
        columns=(f"{cast.report.metric}, %", "embedding, s", "search, s", "numbers each", "MB per 1,000"),
        groups=tuple(_grouped(cast, there, cells, baseline=cast.report.baseline)),
    )


def geometry_table(cast: Cast) -> Table | None:
    """Geometry of the embeddings; None where it was not measured."""
    there = [one for one in cast.ranked if one.geometry]
    if not there:
        return None

    def cells(one: EncoderFigures) -> tuple[Cell, ...]:
        of = one.geometry
        if of is None:
            return ()
        numbers = (of.effective_rank, of.mean_similarity, of.isotropy, of.uniformity, of.alignment)
        told = [significant(number, digits=3) for number in numbers]
        return (Cell(text=told[0], below=f"of {of.features:,}"), *(Cell(text=one) for one in told[1:]))

    return Table(
        caption="Figures of the embeddings, not of searches",
        first="encoder",
        columns=("dimensions in use", "mean similarity", "isotropy", "uniformity", "alignment"),
        groups=tuple(_grouped(cast, there, cells, baseline=cast.report.baseline)),
    )


def variants_of(encoders: Iterable[EncoderFigures]) -> list[VariantFigure]:
    """The alterations that any encoder was tested with, each once, in their order."""
    found: dict[str, VariantFigure] = {}
    for one in encoders:
        for variant in one.robustness:
            found.setdefault(variant.name, variant)
    return list(found.values())


def _grouped(
    cast: Cast,
    encoders: Sequence[EncoderFigures],
    cells: Callable[[EncoderFigures], tuple[Cell, ...]],
    *,
    baseline: str,
) -> Iterable[tuple[str, tuple[Row, ...]]]:
    kinds: Mapping[str, str] = _KINDS
    for kind, title in kinds.items():
        rows = tuple(
            Row(
                name=one.name,
                cells=cells(one),
                player=cast.player(one.name),
                words=_words(one),
                baseline=one.name == baseline,
            )
            for one in encoders
            if one.kind == kind
        )
        if rows:
            yield title, rows


def _words(encoder: EncoderFigures) -> str:
    seeds = f"; mean of {encoder.seeds} seeds" if encoder.seeds > 1 else ""
    return f"{named(encoder.words, to=_LONGEST_WORDS)}{seeds}"


def _verdict_cells(cast: Cast, encoder: EncoderFigures, relevance: str) -> tuple[Cell, Cell]:
    verdict = encoder.relevances[relevance].verdict
    if verdict is None:
        return Cell(text="baseline" if encoder.name == cast.report.baselines[relevance] else NOTHING), Cell(
            text=NOTHING
        )
    style, mark = WORDS[verdict.word]
    found = verdict.difference
    ends = between(found.low, found.high, write=signed_percent)
    difference = Cell(text=signed_percent(found.mean), below=ends)
    return Cell(text=f"{mark} {verdict.word}", style=style), difference


def _percents(interval: Interval | None) -> Cell:
    if interval is None:
        return Cell(text=NOTHING)
    return Cell(text=percent(interval.mean), below=between(interval.low, interval.high))

"""Image panels of the page: searches, worst queries, confused categories, suspected labels and copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simtrain.comparison.report.encoder_selection import EncoderSelection, LegendEntry
from simtrain.comparison.report.page_images import ImageTile, PageImages
from simtrain.comparison.report.wording import page_text
from simtrain.comparison.report_images import FoundImage, ShownQuery
from simtrain.phrases import percent

_MOST_CONFUSED = 8
_MOST_VOTERS = 5
_LABEL = 80


@dataclass(frozen=True, kw_only=True)
class NeighbourStrip:
    """Nearest images of a query by one encoder, nearest first."""

    encoder: LegendEntry
    tiles: tuple[ImageTile, ...]


@dataclass(frozen=True, kw_only=True)
class ShownSearch:
    """A query with its nearest images by prominent encoders, and by the others."""

    query: ImageTile
    strips: tuple[NeighbourStrip, ...]
    more: tuple[NeighbourStrip, ...]


@dataclass(frozen=True, kw_only=True)
class WorstSearches:
    """The worst queries of an encoder."""

    encoder: LegendEntry
    searches: tuple[ShownSearch, ...]


@dataclass(frozen=True, kw_only=True)
class ConfusedCategoryPair:
    """A category, and another one that its queries find instead."""

    category: str
    answer: str
    count: int
    queries: int
    share: str


@dataclass(frozen=True, kw_only=True)
class ConfusedCategories:
    """CategorySection that an encoder confuses most."""

    encoder: LegendEntry
    pairs: tuple[ConfusedCategoryPair, ...]


@dataclass(frozen=True, kw_only=True)
class ShownSuspect:
    """A suspected label error, and the neighbours that carry another label."""

    tile: ImageTile
    label: str
    suggested: str
    score: str
    voters: tuple[ImageTile, ...]


@dataclass(frozen=True, kw_only=True)
class DuplicatePair:
    """Two images that may show the same thing."""

    tiles: tuple[ImageTile, ImageTile]
    similarity: str


@dataclass(frozen=True, kw_only=True)
class ImagePanels:
    """All image panels."""

    searches: tuple[ShownSearch, ...]
    worst: tuple[WorstSearches, ...]
    worst_not_shown: int
    """Number of encoders whose worst queries are left out."""
    confused: tuple[ConfusedCategories, ...]
    suspects: tuple[ShownSuspect, ...]
    pairs: tuple[DuplicatePair, ...]


def build_image_panels(selection: EncoderSelection, page_images: PageImages) -> ImagePanels:
    """Make the panels. Pictures go into the album by importance: if it is full, the last ones are left out."""
    pictures = selection.report.pictures
    prominent = [one.name for one in selection.prominent]
    shown = [_strips(query, prominent, selection, page_images) for query in pictures.queries]
    worst = tuple(
        WorstSearches(
            encoder=selection.legend_entry(name),
            searches=tuple(_worst(query, name, selection, page_images) for query in of),
        )
        for name in [*prominent[1:], *prominent[:1]]
        if (of := pictures.worst.get(name))
    )
    suspects = tuple(_suspects(selection, page_images))
    pairs = tuple(
        DuplicatePair(
            tiles=(page_images.tile(pair.rows[0]), page_images.tile(pair.rows[1])), similarity=f"{pair.similarity:.3f}"
        )
        for pair in pictures.alike
    )
    rest = [one.name for one in selection.others(selection.prominent)]
    return ImagePanels(
        searches=tuple(
            ShownSearch(
                query=page_images.tile(query.row), strips=strips, more=_strips(query, rest, selection, page_images)
            )
            for query, strips in zip(pictures.queries, shown, strict=True)
        ),
        worst=worst,
        worst_not_shown=sum(1 for of in pictures.worst.values() if of) - len(worst),
        confused=tuple(_confused(selection)),
        suspects=suspects,
        pairs=pairs,
    )


def _strips(
    query: ShownQuery, names: Sequence[str], selection: EncoderSelection, page_images: PageImages
) -> tuple[NeighbourStrip, ...]:
    page_images.tile(query.row)  # before what it finds
    return tuple(
        NeighbourStrip(encoder=selection.legend_entry(name), tiles=_found(query.found[name], page_images))
        for name in names
        if name in query.found
    )


def _found(images: Iterable[FoundImage], page_images: PageImages) -> tuple[ImageTile, ...]:
    return tuple(page_images.tile(one.row, relevant=one.relevant, note=f"{one.similarity:.2f}") for one in images)


def _worst(query: ShownQuery, name: str, selection: EncoderSelection, page_images: PageImages) -> ShownSearch:
    precision = query.average_precision
    note = "" if precision is None else f"MAP@R {percent(precision)} %"
    return ShownSearch(
        query=page_images.tile(query.row, note=note), strips=_strips(query, [name], selection, page_images), more=()
    )


def _confused(selection: EncoderSelection) -> Iterable[ConfusedCategories]:
    for one in selection.prominent:
        pairs = tuple(
            ConfusedCategoryPair(
                category=page_text(pair.category, to=_LABEL),
                answer=page_text(pair.answer, to=_LABEL),
                count=pair.count,
                queries=pair.queries,
                share=percent(pair.share),
            )
            for pair in one.confused[:_MOST_CONFUSED]
        )
        if pairs:
            yield ConfusedCategories(encoder=selection.legend_entry(one.name), pairs=pairs)


def _suspects(selection: EncoderSelection, page_images: PageImages) -> Iterable[ShownSuspect]:
    found = selection.report.pictures.suspects
    for one in found.suspects if found is not None else ():
        yield ShownSuspect(
            tile=page_images.tile(one.row),
            label=page_text(one.label, to=_LABEL),
            suggested=page_text(one.suggested, to=_LABEL),
            score=f"{one.score:.2f}",
            voters=tuple(page_images.tile(row) for row in one.neighbours[:_MOST_VOTERS]),
        )

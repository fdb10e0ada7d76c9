"""Image panels of the page: searches, worst queries, confused categories, suspected labels and copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from simtrain.comparison.report.encoder_selection import Cast, Player
from simtrain.comparison.report.pictures import Album, Tile
from simtrain.comparison.report.wording import named
from simtrain.comparison.result import FoundImage, ShownQuery
from simtrain.phrases import percent

_MOST_CONFUSED = 8
_MOST_VOTERS = 5
_LABEL = 80


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Nearest images of a query by one encoder, nearest first."""

    player: Player
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, kw_only=True)
class ShownSearch:
    """A query with its nearest images by prominent encoders, and by the others."""

    query: Tile
    strips: tuple[Strip, ...]
    more: tuple[Strip, ...]


@dataclass(frozen=True, kw_only=True)
class WorstOf:
    """The worst queries of an encoder."""

    player: Player
    searches: tuple[ShownSearch, ...]


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """A category, and another one that its queries find instead."""

    category: str
    answer: str
    count: int
    queries: int
    share: str


@dataclass(frozen=True, kw_only=True)
class ConfusedBy:
    """CategorySection that an encoder confuses most."""

    player: Player
    pairs: tuple[Confusion, ...]


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """A suspected label error, and the neighbours that carry another label."""

    tile: Tile
    label: str
    suggested: str
    score: str
    voters: tuple[Tile, ...]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two images that may show the same thing."""

    tiles: tuple[Tile, Tile]
    similarity: str


@dataclass(frozen=True, kw_only=True)
class Looks:
    """All image panels."""

    searches: tuple[ShownSearch, ...]
    worst: tuple[WorstOf, ...]
    worst_not_shown: int
    """Number of encoders whose worst queries are left out."""
    confused: tuple[ConfusedBy, ...]
    suspects: tuple[Suspect, ...]
    pairs: tuple[Pair, ...]


def looks_of(cast: Cast, album: Album) -> Looks:
    """Make the panels. Pictures go into the album by importance: if it is full, the last ones are left out."""
    pictures = cast.report.pictures
    prominent = [one.name for one in cast.prominent]
    shown = [_strips(query, prominent, cast, album) for query in pictures.queries]
    worst = tuple(
        WorstOf(player=cast.player(name), searches=tuple(_worst(query, name, cast, album) for query in of))
        for name in [*prominent[1:], *prominent[:1]]
        if (of := pictures.worst.get(name))
    )
    suspects = tuple(_suspects(cast, album))
    pairs = tuple(
        Pair(tiles=(album.tile(pair.rows[0]), album.tile(pair.rows[1])), similarity=f"{pair.similarity:.3f}")
        for pair in pictures.alike
    )
    rest = [one.name for one in cast.others(cast.prominent)]
    return Looks(
        searches=tuple(
            ShownSearch(query=album.tile(query.row), strips=strips, more=_strips(query, rest, cast, album))
            for query, strips in zip(pictures.queries, shown, strict=True)
        ),
        worst=worst,
        worst_not_shown=sum(1 for of in pictures.worst.values() if of) - len(worst),
        confused=tuple(_confused(cast)),
        suspects=suspects,
        pairs=pairs,
    )


def _strips(query: ShownQuery, names: Sequence[str], cast: Cast, album: Album) -> tuple[Strip, ...]:
    album.tile(query.row)  # before what it finds
    return tuple(
        Strip(player=cast.player(name), tiles=_found(query.found[name], album)) for name in names if name in query.found
    )


def _found(images: Iterable[FoundImage], album: Album) -> tuple[Tile, ...]:
    return tuple(album.tile(one.row, relevant=one.relevant, note=f"{one.similarity:.2f}") for one in images)


def _worst(query: ShownQuery, name: str, cast: Cast, album: Album) -> ShownSearch:
    precision = query.average_precision
    note = "" if precision is None else f"MAP@R {percent(precision)} %"
    return ShownSearch(query=album.tile(query.row, note=note), strips=_strips(query, [name], cast, album), more=())


def _confused(cast: Cast) -> Iterable[ConfusedBy]:
    for one in cast.prominent:
        pairs = tuple(
            Confusion(
                category=named(pair.category, to=_LABEL),
                answer=named(pair.answer, to=_LABEL),
                count=pair.count,
                queries=pair.queries,
                share=percent(pair.share),
            )
            for pair in one.confused[:_MOST_CONFUSED]
        )
        if pairs:
            yield ConfusedBy(player=cast.player(one.name), pairs=pairs)


def _suspects(cast: Cast, album: Album) -> Iterable[Suspect]:
    found = cast.report.pictures.suspects
    for one in found.suspects if found is not None else ():
        yield Suspect(
            tile=album.tile(one.row),
            label=named(one.label, to=_LABEL),
            suggested=named(one.suggested, to=_LABEL),
            score=f"{one.score:.2f}",
            voters=tuple(album.tile(row) for row in one.neighbours[:_MOST_VOTERS]),
        )

"""Images for the report of a comparison: random and worst queries, embedding maps, suspected labels and copies."""

# Shapes: N images, S scored queries.

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from simtrain.catalog.table import Catalog
from simtrain.comparison.fold_scores import Look
from simtrain.comparison.neighbours import alike_pairs, found_images, label_suspects
from simtrain.comparison.result import EmbeddingMap, Pictures, ShownQuery
from simtrain.comparison.scoring import Question, ScoredEncoder
from simtrain.evaluation.projection import plane, umap_available

_LONGEST = 80
_TOLD = ("label", "product", "caption")


def pictures_of(
    question: Question,
    entries: Sequence[ScoredEncoder],
    *,
    looked_at: Sequence[ScoredEncoder],
    judged_by: ScoredEncoder,
    catalog: Catalog,
) -> Pictures:
    """Images of the report: neighbours by all encoders; worst queries and maps by a few.

    Args:
        question: Protocol of the comparison.
        entries: All scored encoders.
        looked_at: Encoders whose worst queries and maps are shown.
        judged_by: Encoder whose embeddings decide which labels look wrong and which images look like duplicates.
        catalog: The whole catalogue.
    """
    part, shown = question.parts[0], question.config.pictures
    places = part.task_places(part.main)
    queries = tuple(
        ShownQuery(
            row=int(places[part.main.queries[position]]),
            found={entry.figures.name: entry.found[place] for entry in entries},
        )
        for place, position in enumerate(question.shown)
    )
    looks = {entry.figures.name: entry.reopen() for entry in looked_at}
    worst = {entry.figures.name: _worst(question, entry, looks[entry.figures.name]) for entry in looked_at}
    maps = tuple(_map(question, name, look) for name, look in looks.items()) if shown.map_points > 1 else ()
    look = judged_by.reopen()
    suspects = label_suspects(part, look, question.categories, most=shown.suspects)
    alike = alike_pairs(part, look, most=shown.suspects)
    rows = {query.row for query in queries}
    rows |= {found.row for query in queries for of in query.found.values() for found in of}
    rows |= {row for of in worst.values() for query in of for row in _rows_of(query)}
    rows |= {row for of in maps for row in of.rows} | {row for pair in alike for row in pair.rows}
    if suspects is not None:
        rows |= {row for one in suspects.suspects for row in (one.row, *one.neighbours)}
    return Pictures(
        captions=_captions(catalog, rows),
        queries=queries,
        worst=worst,
        maps=maps,
        suspects=suspects,
        alike=alike,
        judged_by=judged_by.figures.name,
    )


def _rows_of(query: ShownQuery) -> list[int]:
    return [query.row, *(found.row for of in query.found.values() for found in of)]


def _worst(question: Question, entry: ScoredEncoder, look: Look) -> tuple[ShownQuery, ...]:
    """Of the first part: the lowest average precision first, equals by row."""
    part, scores = question.parts[0], next(iter(entry.scores.values()))
    places = part.task_places(part.main)
    position_of = {int(place): position for position, place in enumerate(places[part.main.queries])}
    precision = scores.over_seeds("map_at_r")
    mine = np.array([place for place in range(len(scores.places)) if int(scores.places[place]) in position_of])
    worst = mine[np.argsort(precision[mine], kind="stable")][: question.config.pictures.worst]
    positions = [position_of[int(scores.places[place])] for place in worst]
    found = found_images(part, look, positions, count=question.config.pictures.neighbours)
    return tuple(
        ShownQuery(
            row=int(scores.places[place]),
            found={entry.figures.name: of},
            average_precision=float(precision[place]),
        )
        for place, of in zip(worst.tolist(), found, strict=True)
    )


def _map(question: Question, name: str, look: Look) -> EmbeddingMap:
    """The same images for every encoder."""
    config, part = question.config, question.parts[0]
    places = part.task_places(part.main)
    if len(places) > config.pictures.map_points:
        places = np.sort(np.random.default_rng(config.seed).choice(places, config.pictures.map_points, replace=False))
    method = config.pictures.map_method
    chosen: Literal["pca", "umap"] = "umap" if method == "umap" or (method == "auto" and umap_available()) else "pca"
    points = plane(look(places), method=chosen, seed=config.seed)
    categories = question.categories
    groups = [""] * len(places)
    if categories is not None:
        groups = [categories.names[code] if code >= 0 else "" for code in categories.codes[places].tolist()]
    return EmbeddingMap(
        encoder=name,
        method=chosen.upper(),
        rows=tuple(places.tolist()),
        x=tuple(points[:, 0].tolist()),
        y=tuple(points[:, 1].tolist()),
        groups=tuple(groups),
    )


def _captions(catalog: Catalog, rows: Iterable[int]) -> dict[int, str]:
    columns = [name for name in _TOLD if catalog.rows[name].notna().any()]
    found = {}
    for row in sorted(rows):
        told = catalog.rows.loc[row, ["id", *columns]].dropna()
        text = "; ".join(str(value) for value in told)
        found[row] = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return found

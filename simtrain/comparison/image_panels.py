"""Images for the report of a comparison: random and worst queries, embedding maps, suspected labels and copies."""

# Shapes: N images, S scored queries.

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from simtrain.catalog.table import Catalog
from simtrain.comparison.fold_scores import EmbeddingLookup
from simtrain.comparison.neighbours import found_images, label_suspects, possible_duplicates
from simtrain.comparison.protocol import ComparisonProtocol
from simtrain.comparison.report_images import EmbeddingMap, ReportImages, ShownQuery
from simtrain.comparison.scoring import ScoredEncoder
from simtrain.evaluation.projection import plane, umap_available

_LONGEST = 80
_CAPTION_COLUMNS = ("label", "product", "caption")


def collect_report_images(
    protocol: ComparisonProtocol,
    scored_encoders: Sequence[ScoredEncoder],
    *,
    shown_encoders: Sequence[ScoredEncoder],
    reference_encoder: ScoredEncoder,
    catalog: Catalog,
) -> ReportImages:
    """Images of the report: neighbours by all encoders; worst queries and maps by a few.

    Args:
        protocol: Protocol of the comparison.
        scored_encoders: All scored encoders.
        shown_encoders: Encoders whose worst queries and maps are shown.
        reference_encoder: Encoder whose embeddings suggest label errors and possible duplicates.
        catalog: The whole catalogue.
    """
    fold, shown = protocol.folds[0], protocol.config.pictures
    catalog_rows = fold.rows_of_task(fold.main_task)
    queries = tuple(
        ShownQuery(
            row=int(catalog_rows[fold.main_task.queries[position]]),
            found={scored.figures.name: scored.found[index] for scored in scored_encoders},
        )
        for index, position in enumerate(protocol.shown)
    )
    lookups = {scored.figures.name: scored.reopen() for scored in shown_encoders}
    worst = {
        scored.figures.name: _worst_queries(protocol, scored, lookups[scored.figures.name]) for scored in shown_encoders
    }
    maps = (
        tuple(_embedding_map(protocol, name, lookup) for name, lookup in lookups.items())
        if shown.map_points > 1
        else ()
    )
    lookup = reference_encoder.reopen()
    suspects = label_suspects(fold, lookup, protocol.categories, most=shown.suspects)
    alike = possible_duplicates(fold, lookup, most=shown.suspects)
    rows = {query.row for query in queries}
    rows |= {found.row for query in queries for of in query.found.values() for found in of}
    rows |= {row for of in worst.values() for query in of for row in _rows_of(query)}
    rows |= {row for of in maps for row in of.rows} | {row for pair in alike for row in pair.rows}
    if suspects is not None:
        rows |= {row for one in suspects.suspects for row in (one.row, *one.neighbours)}
    return ReportImages(
        captions=_captions(catalog, rows),
        queries=queries,
        worst=worst,
        maps=maps,
        suspects=suspects,
        alike=alike,
        reference_encoder=reference_encoder.figures.name,
    )


def _rows_of(query: ShownQuery) -> list[int]:
    return [query.row, *(found.row for of in query.found.values() for found in of)]


def _worst_queries(
    protocol: ComparisonProtocol, scored: ScoredEncoder, lookup: EmbeddingLookup
) -> tuple[ShownQuery, ...]:
    """Of the first part: the lowest average precision first, equals by row."""
    fold, scores = protocol.folds[0], next(iter(scored.scores.values()))
    catalog_rows = fold.rows_of_task(fold.main_task)
    position_of = {int(index): position for position, index in enumerate(catalog_rows[fold.main_task.queries])}
    precision = scores.over_seeds("map_at_r")
    in_first_fold = np.array(
        [index for index in range(len(scores.catalog_rows)) if int(scores.catalog_rows[index]) in position_of]
    )
    worst = in_first_fold[np.argsort(precision[in_first_fold], kind="stable")][: protocol.config.pictures.worst]
    positions = [position_of[int(scores.catalog_rows[index])] for index in worst]
    found = found_images(fold, lookup, positions, count=protocol.config.pictures.neighbours)
    return tuple(
        ShownQuery(
            row=int(scores.catalog_rows[index]),
            found={scored.figures.name: of},
            average_precision=float(precision[index]),
        )
        for index, of in zip(worst.tolist(), found, strict=True)
    )


def _embedding_map(protocol: ComparisonProtocol, name: str, lookup: EmbeddingLookup) -> EmbeddingMap:
    """The same images for every encoder."""
    config, fold = protocol.config, protocol.folds[0]
    catalog_rows = fold.rows_of_task(fold.main_task)
    if len(catalog_rows) > config.pictures.map_points:
        catalog_rows = np.sort(
            np.random.default_rng(config.seed).choice(catalog_rows, config.pictures.map_points, replace=False)
        )
    method = config.pictures.map_method
    chosen: Literal["pca", "umap"] = "umap" if method == "umap" or (method == "auto" and umap_available()) else "pca"
    points = plane(lookup(catalog_rows), method=chosen, seed=config.seed)
    categories = protocol.categories
    groups = [""] * len(catalog_rows)
    if categories is not None:
        groups = [categories.names[code] if code >= 0 else "" for code in categories.codes[catalog_rows].tolist()]
    return EmbeddingMap(
        encoder=name,
        method=chosen.upper(),
        rows=tuple(catalog_rows.tolist()),
        x=tuple(points[:, 0].tolist()),
        y=tuple(points[:, 1].tolist()),
        groups=tuple(groups),
    )


def _captions(catalog: Catalog, rows: Iterable[int]) -> dict[int, str]:
    columns = [name for name in _CAPTION_COLUMNS if catalog.rows[name].notna().any()]
    found = {}
    for row in sorted(rows):
        described = catalog.rows.loc[row, ["id", *columns]].dropna()
        text = "; ".join(str(value) for value in described)
        found[row] = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return found

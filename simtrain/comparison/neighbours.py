"""Nearest neighbours for the report: search results, altered queries, suspected labels, possible duplicates."""

# Shapes: N images of a task, G gallery images, Q queries, D dimensions.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.catalog.table import copy_codes
from simtrain.comparison.encoder_metrics import CatalogCategories
from simtrain.comparison.fold_scores import EmbeddingLookup
from simtrain.comparison.folds import Fold
from simtrain.comparison.report_images import FoundImage, PossibleDuplicate
from simtrain.comparison.result import RobustnessFigure
from simtrain.evaluation.label_errors import LabelledSet, LabelSuspects, suspected_labels
from simtrain.evaluation.leading import nearest_neighbours
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.ranking import Ranking
from simtrain.evaluation.statistics import BootstrapSettings, cluster_bootstrap_interval

_VOTERS = 10
_TEMPERATURE = 0.07
_ALIKE_NEIGHBOURS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class AlteredQueries:
    """Altered copies of gallery images, as queries.

    Attributes:
        name: Name of the alteration, such as `rotated_10`.
        description: Description of the alteration for people.
        rows: (Q,) catalogue rows of the unaltered images.
        embeddings: (Q, D) unit embeddings of the altered images.
    """

    name: str
    description: str
    rows: NDArray[np.int64]
    embeddings: Tensor


def found_images(
    fold: Fold, lookup: EmbeddingLookup, queries: Sequence[int], *, count: int
) -> list[tuple[FoundImage, ...]]:
    """Nearest gallery images of queries of the main task, nearest first.

    Args:
        fold: Fold of the comparison.
        lookup: Embeddings by catalogue row.
        queries: Positions in the task's `queries`.
        count: Number of gallery images for each query; >= 1.
    """
    if len(queries) == 0:
        return []
    task, catalog_rows = fold.main_task, fold.rows_of_task(fold.main_task)
    query_positions = task.queries[list(queries)]
    rows, similarities = task.nearest(lookup(catalog_rows), query_positions, k=count)
    return [
        tuple(
            FoundImage(
                row=int(catalog_rows[task.gallery[row]]),
                similarity=float(similarity),
                relevant=bool(relevant),
            )
            for row, similarity, relevant in zip(
                near.tolist(), likenesses.tolist(), task.relevant_to(position, task.gallery[near]).tolist(), strict=True
            )
            if row >= 0
        )
        for position, near, likenesses in zip(query_positions.tolist(), rows, similarities, strict=True)
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class AlteredScores:
    """Which altered copies found their originals.

    Attributes:
        found: (Q,) 1 where the nearest image is the original or a near copy of it, else 0; all alterations in a row.
        clusters: (Q,) code of the product of each.
        alterations: Name, description and slice of `found` of each alteration.
    """

    found: NDArray[np.float64]
    clusters: NDArray[np.int64]
    alterations: Sequence[tuple[str, str, slice]]

    def figures(self, *, bootstrap: BootstrapSettings) -> list[RobustnessFigure]:
        """Share of the altered copies that found their original, by alteration; intervals draw products."""
        return [
            RobustnessFigure(
                name=name,
                words=description,
                share=cluster_bootstrap_interval(self.found[own], self.clusters[own], bootstrap=bootstrap),
                queries=own.stop - own.start,
            )
            for name, description, own in self.alterations
        ]


def altered_scores(fold: Fold, lookup: EmbeddingLookup, altered: Sequence[AlteredQueries]) -> AlteredScores | None:
    """Which altered gallery images find their original, or a near copy of it, first; None without any.

    Args:
        fold: Fold whose main task's gallery is searched.
        lookup: Embeddings of the unaltered images by catalogue row.
        altered: Altered copies of gallery images, one set for each alteration.
    """
    if not altered:
        return None
    task, catalog_rows = fold.main_task, fold.rows_of_task(fold.main_task)
    gallery = catalog_rows[task.gallery]
    ranking = Ranking.of(
        torch.cat([queries.embeddings for queries in altered]),
        lookup(gallery),
        query_ids=[f"{queries.name}:{row}" for queries in altered for row in queries.rows],
        gallery_ids=task.gallery_ids,
    )
    nearest, _ = nearest_neighbours(ranking, k=1)
    copy_code = _copy_codes(fold, task)
    cluster_of = dict(zip(catalog_rows.tolist(), task.clusters.tolist(), strict=True))
    originals = [row for queries in altered for row in queries.rows.tolist()]
    answers = gallery[nearest[:, 0]].tolist()
    ends = np.cumsum([len(queries.rows) for queries in altered]).tolist()
    return AlteredScores(
        found=np.array([copy_code[one] == copy_code[row] for one, row in zip(answers, originals, strict=True)], float),
        clusters=np.array([cluster_of[row] for row in originals], dtype=np.int64),
        alterations=[
            (queries.name, queries.description, slice(end - len(queries.rows), end))
            for queries, end in zip(altered, ends, strict=True)
        ],
    )


def _copy_codes(fold: Fold, task: RetrievalTask) -> dict[int, int]:
    """Catalogue row of each image of a task -> code that is equal for near copies of each other."""
    copies = copy_codes(fold.catalog)[task.rows]
    own_code = -1 - np.arange(len(copies))
    return dict(zip(fold.rows_of_task(task).tolist(), np.where(copies >= 0, copies, own_code).tolist(), strict=True))


def label_suspects(
    fold: Fold, lookup: EmbeddingLookup, categories: CatalogCategories | None, *, most: int
) -> LabelSuspects | None:
    """Suspected label errors in the first fold's images.

    Args:
        fold: Fold of the comparison.
        lookup: Embeddings by catalogue row.
        categories: Category of each catalogue row; None: there are none.
        most: Largest number of suspects returned; >= 0.

    Returns:
        Suspects with rows of the whole catalogue; None without categories.
    """
    if categories is None:
        return None
    task, catalog_rows = fold.main_task, fold.rows_of_task(fold.main_task)
    found = suspected_labels(
        LabelledSet(
            embeddings=lookup(catalog_rows),
            ids=task.ids,
            labels=categories.codes[catalog_rows],
            products=task.clusters,
            names=categories.names,
        ),
        neighbours=_VOTERS,
        temperature=_TEMPERATURE,
        most=most,
    )
    suspects = [
        replace(one, row=int(catalog_rows[one.row]), neighbours=tuple(catalog_rows[list(one.neighbours)].tolist()))
        for one in found.suspects
    ]
    return replace(found, suspects=tuple(suspects))


def possible_duplicates(fold: Fold, lookup: EmbeddingLookup, *, most: int) -> tuple[PossibleDuplicate, ...]:
    """The nearest images of the `most` nearest pairs of products; images that are known as near copies do not count."""
    task, catalog_rows = fold.main_task, fold.rows_of_task(fold.main_task)
    vectors = lookup(catalog_rows[task.gallery])
    ids = task.gallery_ids
    ranking = Ranking.of(vectors, vectors, query_ids=ids, gallery_ids=ids)
    rows, similarities = nearest_neighbours(ranking, k=_ALIKE_NEIGHBOURS)
    copies = copy_codes(fold.catalog)[task.rows[task.gallery]]
    products = task.clusters[task.gallery]
    pairs: dict[tuple[int, int], tuple[float, int, int]] = {}
    for one, (near, likenesses) in enumerate(zip(rows.tolist(), similarities.tolist(), strict=True)):
        for other, similarity in zip(near, likenesses, strict=True):
            known = copies[one] == copies[other] != -1
            if other >= 0 and products[one] != products[other] and not known:
                both = min(products[one], products[other]), max(products[one], products[other])
                pair = -similarity, min(one, other), max(one, other)
                pairs[both] = min(pairs.get(both, pair), pair)
    gallery = catalog_rows[task.gallery]
    return tuple(
        PossibleDuplicate(rows=(int(gallery[one]), int(gallery[other])), similarity=-negative)
        for negative, one, other in sorted(pairs.values())[:most]
    )

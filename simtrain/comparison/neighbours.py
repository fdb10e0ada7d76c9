"""Nearest neighbours for the report: search results, altered queries, suspected labels, possible duplicates."""

# Shapes: N images of a task, G gallery images, Q queries, D dimensions.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.comparison.encoder_metrics import CatalogCategories
from simtrain.comparison.fold_scores import Look
from simtrain.comparison.folds import Part
from simtrain.comparison.result import AlikePair, FoundImage, VariantFigure
from simtrain.evaluation.label_errors import LabelledSet, LabelSuspects, suspected_labels
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.ranking import nearest_neighbours
from simtrain.evaluation.statistics import BootstrapSettings, cluster_bootstrap_interval

_VOTERS = 10
_TEMPERATURE = 0.07
_ALIKE_NEIGHBOURS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class VariedQueries:
    """Altered copies of gallery images, as queries.

    Attributes:
        name: Name of the alteration, such as `rotated_10`.
        words: Description of the alteration for people.
        rows: (Q,) catalogue rows of the unaltered images.
        vectors: (Q, D) unit embeddings of the altered images.
    """

    name: str
    words: str
    rows: NDArray[np.int64]
    vectors: Tensor


def found_images(part: Part, look: Look, queries: Sequence[int], *, count: int) -> list[tuple[FoundImage, ...]]:
    """Nearest gallery images of queries of the main task, nearest first.

    Args:
        part: Fold of the comparison.
        look: Embeddings by catalogue row.
        queries: Positions in the task's `queries`.
        count: Number of gallery images for each query; >= 1.
    """
    if len(queries) == 0:
        return []
    task, places = part.main, part.task_places(part.main)
    asked = task.queries[list(queries)]
    rows, similarities = task.nearest(look(places), asked, k=count)
    return [
        tuple(
            FoundImage(
                row=int(places[task.gallery[row]]),
                similarity=float(similarity),
                relevant=bool(task.groups[task.gallery[row]] == task.groups[position] != -1),
            )
            for row, similarity in zip(near.tolist(), likenesses.tolist(), strict=True)
            if row >= 0
        )
        for position, near, likenesses in zip(asked.tolist(), rows, similarities, strict=True)
    ]


def variant_figures(
    part: Part,
    look: Look,
    varied: Sequence[VariedQueries],
    *,
    bootstrap: BootstrapSettings,
) -> list[VariantFigure]:
    """How often changed copies of gallery images find the images themselves, or near copies of them, first.

    Args:
        part: Fold whose main task's gallery is searched.
        look: Embeddings of the unaltered images by catalogue row.
        varied: Altered copies, for each alteration.
        bootstrap: Settings of the intervals, which draw products.
    """
    if not varied:
        return []
    task, places = part.main, part.task_places(part.main)
    gallery = places[task.gallery]
    nearest, _ = nearest_neighbours(
        torch.cat([changed.vectors for changed in varied]),
        look(gallery),
        query_ids=[f"{changed.name}:{row}" for changed in varied for row in changed.rows],
        gallery_ids=task.gallery_ids,
        k=1,
    )
    number = _numbered_pictures(part, task)
    cluster_of = dict(zip(places.tolist(), task.clusters.tolist(), strict=True))
    answers = np.split(gallery[nearest[:, 0]], np.cumsum([len(changed.rows) for changed in varied])[:-1])
    return [
        VariantFigure(
            name=changed.name,
            words=changed.words,
            share=cluster_bootstrap_interval(
                np.array([number[one] == number[row] for one, row in zip(answer, changed.rows, strict=True)], float),
                np.array([cluster_of[row] for row in changed.rows.tolist()]),
                bootstrap=bootstrap,
            ),
            queries=len(changed.rows),
        )
        for changed, answer in zip(varied, answers, strict=True)
    ]


def _numbered_pictures(part: Part, task: RetrievalTask) -> dict[int, int]:
    """A number for each row of the whole catalogue that takes part, equal for near copies of each other."""
    copies = part.catalog.groups(["duplicate_group"])[task.rows]
    alone = -1 - np.arange(len(copies))
    return dict(zip(part.task_places(task).tolist(), np.where(copies >= 0, copies, alone).tolist(), strict=True))


def label_suspects(part: Part, look: Look, categories: CatalogCategories | None, *, most: int) -> LabelSuspects | None:
    """Suspected label errors, with rows of the whole catalogue; None without labels."""
    if categories is None:
        return None
    task, places = part.main, part.task_places(part.main)
    found = suspected_labels(
        LabelledSet(
            embeddings=look(places),
            ids=task.ids,
            labels=categories.codes[places],
            products=task.clusters,
            names=categories.names,
        ),
        neighbours=_VOTERS,
        temperature=_TEMPERATURE,
        most=most,
    )
    suspects = [
        replace(one, row=int(places[one.row]), neighbours=tuple(places[list(one.neighbours)].tolist()))
        for one in found.suspects
    ]
    return replace(found, suspects=tuple(suspects))


def alike_pairs(part: Part, look: Look, *, most: int) -> tuple[AlikePair, ...]:
    """Gallery images of different products that are nearest to each other, and not known as copies."""
    task, places = part.main, part.task_places(part.main)
    vectors = look(places[task.gallery])
    ids = task.gallery_ids
    rows, similarities = nearest_neighbours(vectors, vectors, query_ids=ids, gallery_ids=ids, k=_ALIKE_NEIGHBOURS)
    copies = part.catalog.groups(["duplicate_group"])[task.rows[task.gallery]]
    products = task.clusters[task.gallery]
    pairs: dict[tuple[int, int], float] = {}
    for one, (near, likenesses) in enumerate(zip(rows.tolist(), similarities.tolist(), strict=True)):
        for other, likeness in zip(near, likenesses, strict=True):
            known = copies[one] == copies[other] != -1
            if other >= 0 and products[one] != products[other] and not known:
                pairs[min(one, other), max(one, other)] = likeness
    nearest = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
    gallery = places[task.gallery]
    return tuple(
        AlikePair(rows=(int(gallery[one]), int(gallery[other])), similarity=likeness)
        for (one, other), likeness in nearest
    )

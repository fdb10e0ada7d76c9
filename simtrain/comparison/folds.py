"""Folds of a comparison: retrieval tasks of a catalogue's split, or of the test splits of several folds."""

# Shapes: C catalogue rows, S scored queries, T training images.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.changed_rows import CHANGE, has_changed_rows
from simtrain.catalog.table import Catalog
from simtrain.errors import CatalogError
from simtrain.evaluation.metrics import QueryScores
from simtrain.evaluation.protocol import RetrievalTask, retrieval_task
from simtrain.evaluation.relevance import Relevance

_CODES_OF_FOLD = 2**40


@dataclass(frozen=True, kw_only=True)
class FoldSettings:
    """Settings of the retrieval tasks of a fold.

    Attributes:
        split: Split to evaluate: `train`, `val` or `test`.
        gallery_splits: Splits of the gallery; None: the evaluated split.
        relevance: Definitions of relevance, the main one first.
        training_images: Largest number of training images, T; >= 0. Of more, so many are drawn at random.
        seed: Seed of that draw; >= 0.
    """

    split: str
    gallery_splits: Sequence[str] | None
    relevance: Sequence[Relevance]
    training_images: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Retrieval tasks of one fold of a catalogue, or of the catalogue's own splits.

    Attributes:
        number: Number of the fold; None: the catalogue's own splits.
        catalog: Catalogue with the splits of this fold. Row numbers in tasks are rows of this catalogue.
        catalog_rows: (C,) row in the whole catalogue of each row of this one, which lacks the rows that the fold
            sets aside.
        tasks: Definition of relevance -> retrieval task of the evaluated split, the main one first.
        validation_tasks: Definition of relevance -> retrieval task of the validation split, where that has queries.
        training_rows: (T,) rows of training images in `catalog`.
    """

    number: int | None
    catalog: Catalog
    catalog_rows: NDArray[np.int64]
    tasks: dict[str, RetrievalTask]
    validation_tasks: dict[str, RetrievalTask]
    training_rows: NDArray[np.int64]

    @property
    def main_task(self) -> RetrievalTask:
        """The task of the main relevance."""
        return next(iter(self.tasks.values()))

    def rows_of_task(self, task: RetrievalTask) -> NDArray[np.int64]:
        """(N,) rows in the whole catalogue of the N images of a task."""
        return self.catalog_rows[task.rows]

    def rows_to_embed(self, *, training: bool) -> NDArray[np.int64]:
        """Rows in the whole catalogue of all tasks' images, ascending; with `training` also of the training images."""
        needed = [self.rows_of_task(task) for task in (*self.tasks.values(), *self.validation_tasks.values())]
        return np.unique(np.concatenate([*needed, self.catalog_rows[self.training_rows if training else []]]))

    def rows_of_scored_queries(self, task: RetrievalTask, scores: QueryScores) -> NDArray[np.int64]:
        """(S,) rows in the whole catalogue of the S scored queries of a task."""
        return self.catalog_rows[task.rows[task.queries[scores.query_rows]]]


def distinct_clusters(clusters: NDArray[np.int64], fold_index: int) -> NDArray[np.int64]:
    """Cluster codes of one fold, made different from those of the other folds: no product is in two folds."""
    return clusters + fold_index * _CODES_OF_FOLD


def fold_indices(clusters: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of the fold that each code of `distinct_clusters` is of."""
    return clusters // _CODES_OF_FOLD


def build_fold(catalog: Catalog, *, number: int | None, settings: FoldSettings) -> Fold:
    """Retrieval tasks of a fold, or of the catalogue's own splits.

    Args:
        catalog: The whole catalogue.
        number: Number of the fold; None: the catalogue's own splits.
        settings: Splits, relevance and number of training images.

    Raises:
        CatalogError: if no query has a relevant gallery image by one of the definitions, or the catalogue has no such
            fold.
    """
    of_fold = catalog if number is None else catalog.with_fold(number)
    row_of_id = {str(name): row for row, name in enumerate(catalog.rows["id"])}
    training_rows = of_fold.rows_of(["train"])
    if has_changed_rows(of_fold):  # another fold's test images are trained on, their changed copies are not
        training_rows = training_rows[~of_fold.rows[CHANGE].to_numpy(dtype=bool)[training_rows]]
    if len(training_rows) > settings.training_images:
        drawn = np.random.default_rng(settings.seed).choice(training_rows, settings.training_images, replace=False)
        training_rows = np.sort(drawn)
    validation_tasks = {one.name: _validation_task(of_fold, settings, one) for one in settings.relevance}
    return Fold(
        number=number,
        catalog=of_fold,
        catalog_rows=np.array([row_of_id[str(name)] for name in of_fold.rows["id"]], dtype=np.int64),
        tasks={
            one.name: retrieval_task(
                of_fold, split=settings.split, gallery_splits=settings.gallery_splits, relevance=one
            )
            for one in settings.relevance
        },
        validation_tasks={name: task for name, task in validation_tasks.items() if task is not None},
        training_rows=training_rows,
    )


def _validation_task(catalog: Catalog, settings: FoldSettings, relevance: Relevance) -> RetrievalTask | None:
    try:
        return retrieval_task(catalog, split="val", gallery_splits=settings.gallery_splits, relevance=relevance)
    except CatalogError:  # too few images to choose the baseline by; the comparison itself is possible
        return None

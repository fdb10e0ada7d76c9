"""Folds of a comparison: retrieval tasks of a catalogue's split, or of the test splits of several folds."""

# Shapes: C catalogue rows, S scored queries, T training images.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.table import Catalog
from simtrain.errors import CatalogError
from simtrain.evaluation.metrics import QueryScores
from simtrain.evaluation.protocol import RetrievalTask, retrieval_task
from simtrain.evaluation.relevance import Relevance


@dataclass(frozen=True, kw_only=True)
class Part:
    """One split of a catalogue; a comparison in folds has one for each.

    Attributes:
        fold: Number of the fold; None: the catalogue's own splits.
        catalog: Catalogue with the splits of this fold. Row numbers in tasks are of this catalogue.
        places: (C,) row in the whole catalogue of each row of this one, which leaves out what a fold sets aside.
        tasks: Definition of relevance -> retrieval task of the evaluated split, the main one first.
        validations: Definition of relevance -> retrieval task of the validation split, where that has queries.
        training: (T,) rows of training images.
    """

    fold: int | None
    catalog: Catalog
    places: NDArray[np.int64]
    tasks: dict[str, RetrievalTask]
    validations: dict[str, RetrievalTask]
    training: NDArray[np.int64]

    @property
    def main(self) -> RetrievalTask:
        """The task of the main relevance."""
        return next(iter(self.tasks.values()))

    def task_places(self, task: RetrievalTask) -> NDArray[np.int64]:
        """Rows in the whole catalogue of the images of a task."""
        return self.places[task.rows]

    def needed_places(self, *, training: bool) -> NDArray[np.int64]:
        """Rows in the whole catalogue, ascending, of the images of all tasks and, if wanted, of those for training."""
        needed = [self.task_places(task) for task in (*self.tasks.values(), *self.validations.values())]
        return np.unique(np.concatenate([*needed, self.places[self.training if training else []]]))

    def scored_places(self, task: RetrievalTask, scores: QueryScores) -> NDArray[np.int64]:
        """(S,) rows in the whole catalogue of a task's scored queries."""
        return self.places[task.rows[task.queries[scores.query_rows]]]


def apart(clusters: NDArray[np.int64], part: int) -> NDArray[np.int64]:
    """Cluster codes of one fold, made different from those of the other folds: no product is in two folds."""
    return clusters + part * 2**40


def part_of(
    catalog: Catalog,
    *,
    fold: int | None,
    split: str,
    gallery_splits: Sequence[str] | None,
    relevance: Sequence[Relevance],
    training_images: int,
    seed: int,
) -> Part:
    """Retrieval tasks of a fold, or of the catalogue's own splits.

    Args:
        catalog: The whole catalogue.
        fold: Number of the fold; None: the catalogue's own splits.
        split: Split to evaluate.
        gallery_splits: Splits of the gallery; None: the evaluated split.
        relevance: Definitions of relevance, the main one first.
        training_images: Largest number of training images, T; of more, so many are drawn.
        seed: Seed of that draw; >= 0.

    Raises:
        CatalogError: if by one of the definitions no query has a relevant gallery image; or there is no such fold.
    """
    divided = catalog if fold is None else catalog.with_fold(fold)
    place_of = {str(name): place for place, name in enumerate(catalog.rows["id"])}
    training = divided.rows_of(["train"])
    if len(training) > training_images:
        drawn = np.random.default_rng(seed).choice(training, training_images, replace=False)
        training = np.sort(drawn)
    validations = {one.name: _validation(divided, gallery_splits=gallery_splits, relevance=one) for one in relevance}
    return Part(
        fold=fold,
        catalog=divided,
        places=np.array([place_of[str(name)] for name in divided.rows["id"]], dtype=np.int64),
        tasks={
            one.name: retrieval_task(divided, split=split, gallery_splits=gallery_splits, relevance=one)
            for one in relevance
        },
        validations={name: task for name, task in validations.items() if task is not None},
        training=training,
    )


def _validation(
    catalog: Catalog, *, gallery_splits: Sequence[str] | None, relevance: Relevance
) -> RetrievalTask | None:
    try:
        return retrieval_task(catalog, split="val", gallery_splits=gallery_splits, relevance=relevance)
    except CatalogError:  # too few images for a choice; the comparison itself is possible
        return None

"""Further definitions of relevance of a retrieval task, scored on the same embeddings beside the main one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from simtrain.catalog.table import Catalog
from simtrain.errors import CatalogError
from simtrain.evaluation.distractors import wrong_answers
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.relevance import Relevance


def with_further_relevance(
    task: RetrievalTask, catalog: Catalog, further: Sequence[Relevance], *, answerable_only: bool = False
) -> RetrievalTask:
    """The same task with further definitions of relevance over its images.

    Args:
        task: Retrieval task of the main relevance.
        catalog: Catalogue that its rows are of.
        further: Further definitions; their names stand before their metrics, such as `kind_map_at_r`.
        answerable_only: Leave out definitions by which no query has anything to find, rather than refuse them.

    Raises:
        CatalogError: for a definition without anything to find, unless it is left out, or a missing column.
    """
    tasks = {}
    for relevance in further:
        by_relevance = _task_by(task, catalog, relevance)
        if by_relevance.answers().any():
            tasks[relevance.name] = by_relevance
        elif not answerable_only:
            raise CatalogError(
                f"{catalog.folder}: no query has an image to find that is relevant by {relevance.description}"
            )
    return replace(task, further=tasks)


def _task_by(task: RetrievalTask, catalog: Catalog, relevance: Relevance) -> RetrievalTask:
    wrong = wrong_answers(catalog, relevance, task.rows[task.queries])[task.rows]
    kept = task.distractors[wrong[task.distractors]]  # what is right by this definition was not asked to be one
    dropped = np.setdiff1d(task.distractors, kept)
    return replace(
        task,
        gallery=np.setdiff1d(task.gallery, dropped),
        distractors=kept,
        groups=relevance.codes(catalog)[task.rows],
        judged=None if relevance.qrels is None else relevance.qrels.pairs(catalog, task.rows),
        excluded=relevance.exclusion_codes(catalog)[task.rows],
        further={},
    )

"""Further definitions of relevance of a retrieval task, scored on the same embeddings beside the main one."""

from collections.abc import Sequence
from dataclasses import replace

from simtrain.catalog.table import Catalog
from simtrain.errors import CatalogError
from simtrain.evaluation.protocol import RetrievalTask, excluded_codes
from simtrain.evaluation.relevance import Relevance


def with_further_relevance(task: RetrievalTask, catalog: Catalog, further: Sequence[Relevance]) -> RetrievalTask:
    """The same task with further definitions of relevance over its images.

    Args:
        task: Retrieval task of the main relevance.
        catalog: Catalogue that its rows are of.
        further: Further definitions; their names stand before their metrics, such as `kind_map_at_r`.

    Raises:
        CatalogError: if by one of them no query has anything to find, or a column is missing.
    """
    return replace(task, further={one.name: _of_same_images(task, catalog, one) for one in further})


def answerable(task: RetrievalTask, catalog: Catalog, further: Sequence[Relevance]) -> list[Relevance]:
    """Of some definitions of relevance, those by which a query of the task has something to find.

    Args:
        task: Retrieval task of the main relevance.
        catalog: Catalogue that its rows are of.
        further: Further definitions of relevance.
    """
    return [one for one in further if _task_by(task, catalog, one).answers().any()]


def _of_same_images(task: RetrievalTask, catalog: Catalog, relevance: Relevance) -> RetrievalTask:
    further = _task_by(task, catalog, relevance)
    if not further.answers().any():
        raise CatalogError(
            f"{catalog.folder}: no query has an image to find that is relevant by {relevance.description}"
        )
    return further


def _task_by(task: RetrievalTask, catalog: Catalog, relevance: Relevance) -> RetrievalTask:
    return replace(
        task,
        groups=catalog.groups(relevance.columns)[task.rows],
        excluded=excluded_codes(catalog, relevance)[task.rows],
        further={},
    )

"""Warnings about the validation task: few queries, few answers, only one group."""

# Shapes: N images of the task, Q queries, G gallery images.

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simtrain.builders.relevance import unknown_names
from simtrain.catalog.table import Catalog, with_larger_val
from simtrain.config import RunConfig
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.relevance import filled_columns
from simtrain.phrases import listed
from simtrain.preflight.conflict import Conflict

_FEW, _ONE_GROUP = "few queries", "single group"
_FEW_QUERIES = 30
_MANY = 0.1  # share of queries without an answer that is worth a word


def validation_conflicts(config: RunConfig, catalog: Catalog, task: RetrievalTask | None) -> Iterator[Conflict]:
    """Warn about too few queries, too few answers, or a single group of them.

    Args:
        config: The run's configuration.
        catalog: Catalogue of the task.
        task: Retrieval task of validation; None: no validation.
    """
    if task is None:
        return
    for line in unknown_names(config.relevances, catalog):
        yield Conflict(kind="unknown names", message=line, figures={})
    answered = task.answers() > 0
    kinds = np.unique(task.groups[task.queries[answered]])
    if len(kinds) == 1 and task.judged is None:
        yield _single_group(config, catalog, queries=int(answered.sum()))
        return
    if answered.sum() < _FEW_QUERIES:
        yield _few_queries(config, catalog, queries=len(answered), answered=int(answered.sum()))
        return
    if (~answered).sum() > _MANY * len(answered):
        yield _lone_queries(config, answered)
    yield from _few_answers(task, answered)


def has_few_queries(conflicts: Sequence[Mapping[str, Any]]) -> bool:
    """Whether warnings of a run's record say that validation has too few queries, or those of one group alone."""
    return any(one["kind"] in (_FEW, _ONE_GROUP) for one in conflicts)


def one_class_warning(task: RetrievalTask, relevance: str) -> str | None:
    """What is to be known of metrics of a gallery in which everything is relevant to everything; None: it is not so.

    Args:
        task: Retrieval task that is evaluated.
        relevance: What makes images relevant, in words.
    """
    if task.judged is not None or len(np.unique(task.groups[task.gallery])) > 1:
        return None
    return (
        f"warning: all {len(task.gallery)} gallery images are the same by {relevance}: nothing wrong can be found, and "
        "100 % says nothing; take another column with --set relevance=COLUMN"
    )


def _sizes(groups: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Images of each group among those positions, by group number."""
    known = groups[positions][groups[positions] >= 0]
    return np.bincount(known, minlength=int(groups.max(initial=0)) + 1)


def _single_group(config: RunConfig, catalog: Catalog, *, queries: int) -> Conflict:
    name = " + ".join(config.relevance_columns)
    val = catalog.rows.iloc[catalog.rows_of(["val"])]
    taken = {*config.relevance_columns, *config.evaluation.exclude}
    others = [column for column in filled_columns(val) if column not in taken]
    varied = [column for column in others if (val[column].value_counts() >= 2).sum() >= 2]
    instead = f"--set relevance={varied[0]}" if varied else _more_validation(catalog)
    return Conflict(
        kind=_ONE_GROUP,
        message=f"all {queries} validation queries with a relevant image have the same '{name}': their metrics cannot "
        f"rank epochs; {instead}",
        figures={"queries": queries, "groups": 1},
    )


def _few_queries(config: RunConfig, catalog: Catalog, *, queries: int, answered: int) -> Conflict:
    instead = "prepare with fewer split.folds" if config.fold is not None else _more_validation(catalog)
    if config.evaluation.exclude and queries >= _FEW_QUERIES:
        instead = f"evaluation.exclude leaves out what has an equal {listed(config.evaluation.exclude)}: name another"
    return Conflict(
        kind=_FEW,
        message=f"only {answered} validation queries have a relevant image: each counts "
        f"{100 / answered:.0f} points, too coarse to compare epochs; {instead}",
        figures={"queries": queries, "answered": answered},
    )


def _lone_queries(config: RunConfig, answered: NDArray[np.bool_]) -> Conflict:
    lone, name = int((~answered).sum()), " + ".join(config.relevance_columns)
    if not name:
        return Conflict(
            kind="lone queries",
            message=f"{lone} of {len(answered)} validation queries have no gallery image that is judged relevant: "
            f"the metrics are of the other {len(answered) - lone} only",
            figures={"queries": len(answered), "answered": len(answered) - lone},
        )
    return Conflict(
        kind="lone queries",
        message=f"{lone} of {len(answered)} validation queries have no other image of their '{name}' to find: the "
        f"metrics are of the other {len(answered) - lone} only; the queries need a second gallery image of "
        f"their '{name}' "
        "in val",
        figures={"queries": len(answered), "answered": len(answered) - lone},
    )


def _few_answers(task: RetrievalTask, answered: NDArray[np.bool_]) -> Iterator[Conflict]:
    """Several queries to one answer: the figures count that answer several times."""
    asking = task.queries[answered]
    if task.judged is not None:
        answers = len(np.unique(task.judged.among(asking, task.gallery).items))
    else:
        others_asking = _sizes(task.groups, asking)[task.groups[task.gallery]] - np.isin(task.gallery, asking)
        answers = int(((task.groups[task.gallery] >= 0) & (others_asking > 0)).sum())
    if len(asking) <= answers:
        return
    yield Conflict(
        kind="few relevant",
        message=f"{len(asking)} validation queries share {answers} relevant gallery images: the metrics count these "
        f"{answers} several times; mark more images as 'gallery' and prepare again",
        figures={"queries": len(task.queries), "answered": len(asking), "relevant": answers},
    )


def _more_validation(catalog: Catalog) -> str:
    return with_larger_val(catalog) or "add pictures"

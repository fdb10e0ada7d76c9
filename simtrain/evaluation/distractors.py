"""Distractors: training images that make the gallery of validation as large as that of the test split."""

# Shapes: C catalogue rows, Q queries, n distractors.

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.table import Catalog, copy_codes
from simtrain.evaluation.image_copies import picture_codes, without_copies
from simtrain.evaluation.metrics import NO_GROUP
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.relevance import Relevance


def distractor_rows(
    catalog: Catalog, task: RetrievalTask, *, relevance: Relevance, count: int, seed: int
) -> NDArray[np.int64]:
    """(n,) catalogue rows, ascending, of at most `count` training images that are wrong answers to every query.

    Left out are images of which the definition says nothing (an empty column), copies of images of the task, and all
    but one of the copies of a picture.

    Args:
        catalog: Catalogue of the task.
        task: Retrieval task without distractors.
        relevance: Its definition of relevance.
        count: Number of images that are wanted; none where it is 0 or less.
        seed: Seed of the draw.
    """
    pictures, groups = picture_codes(catalog), copy_codes(catalog)
    copies = np.isin(pictures, pictures[task.rows]) | ((groups >= 0) & np.isin(groups, groups[task.rows]))
    wrong = wrong_answers(catalog, relevance, task.rows[task.queries])
    usable = wrong & ~copies & catalog.rows["gallery"].to_numpy(dtype=bool)
    rows = np.intersect1d(np.flatnonzero(usable), catalog.rows_of(["train"]))
    _, first = np.unique(pictures[rows], return_index=True)
    rows = rows[np.sort(first)]
    drawn = np.random.default_rng(seed).permutation(rows)[: max(0, count)]
    return np.sort(drawn).astype(np.int64)


def wrong_answers(catalog: Catalog, relevance: Relevance, queries: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(C,) whether an image is known to be relevant to none of the queries, (Q,) catalogue rows."""
    if relevance.qrels is not None:
        pairs = relevance.qrels.pairs(catalog, np.arange(len(catalog.rows), dtype=np.int64))
        relevant = pairs.items[np.isin(pairs.queries, queries)]
        return ~np.isin(np.arange(len(catalog.rows)), relevant)
    codes = relevance.codes(catalog)
    return np.asarray((codes != NO_GROUP) & ~np.isin(codes, codes[queries]))


def gallery_size(catalog: Catalog, splits: Sequence[str], relevance: Relevance) -> int:
    """Number of images that a task searches in the gallery of these splits, copies that count once counted once."""
    every_row = np.arange(len(catalog.rows))
    in_gallery = np.isin(every_row, catalog.rows_of(splits)) & catalog.rows["gallery"].to_numpy(dtype=bool)
    codes = [] if relevance.qrels is not None else [relevance.codes(catalog)]
    codes += [catalog.groups([column]) for column in relevance.excluded]
    rows, _, _ = without_copies(catalog, codes, np.zeros_like(in_gallery), in_gallery)
    return len(rows)

"""Graded relevance (nDCG): the same product counts more than the same category.

Discounted by log2(rank + 1), normalised by the best possible ranking: Järvelin & Kekäläinen 2002, "Cumulated gain-based
evaluation of IR techniques", https://doi.org/10.1145/582415.582418. A grade of r gains 2^r - 1: Burges et al. 2005,
"Learning to rank using gradient descent", https://doi.org/10.1145/1102351.1102363, section 5.
"""

# Shapes: Q queries, G gallery items, D features, L levels, S scored queries, C queries of one chunk, K ranks looked at,
# U queries that differ in their codes.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simtrain.evaluation.exclusions import Exclusions, no_exclusions
from simtrain.evaluation.leading import Similarities
from simtrain.evaluation.metrics import NO_GROUP, QueryScores, check_groups
from simtrain.evaluation.ordering_keys import REMOVED_KEY
from simtrain.evaluation.ranking import CHUNK_ELEMENTS, Ranking


@dataclass(frozen=True, kw_only=True)
class Level:
    """One way to be alike, such as being of one category and colour."""

    query_groups: NDArray[np.int64]
    """(Q,) code: alike are the gallery items of the same code. -1: alike to none."""
    gallery_groups: NDArray[np.int64]
    """(G,) code from the same numbering. -1: alike to none."""


@dataclass(frozen=True, kw_only=True)
class GradedSet:
    """Queries, the gallery searched with them, and the ways to be alike; a query is never its own neighbour."""

    query_embeddings: Tensor
    """(Q, D) float32 rows of length 1, on the CPU or a CUDA device."""
    gallery_embeddings: Tensor
    """(G, D) float32 rows of length 1, on the same device."""
    query_ids: Sequence[str]
    """(Q,) unique."""
    gallery_ids: Sequence[str]
    """(G,) unique; equal similarities rank in the order of these."""
    levels: Sequence[Level]
    """The most alike first. A pair gets the grade of the first level that it fits: L, L - 1, ..., 1; 0 without one."""
    exclusions: Exclusions | None = None
    """Gallery items that do not count for some queries; None: there are none."""


def score_graded(graded: GradedSet, *, ks: Sequence[int], chunk_elements: int = CHUNK_ELEMENTS) -> QueryScores:
    """`ndcg_at_k` of every query that is alike to something in the gallery, at whichever level.

    Args:
        graded: Queries, gallery and levels.
        ks: The k of ndcg_at_k; each >= 1. A k beyond the gallery counts the whole gallery.
        chunk_elements: Largest number of query-gallery pairs held at once, but at least one query's; >= 1. The results
            don't depend on it.

    Returns:
        One value per scored query and k, in 0..1; 1 where the first k are as alike as any k of the gallery could be.

    Raises:
        ValueError: No levels or ks, k < 1, sizes that differ, duplicate ids, rows that are not finite or not of length
            1, one id with two groups, or no query that is alike to a gallery item.
    """
    ranking = Ranking.of(
        graded.query_embeddings,
        graded.gallery_embeddings,
        query_ids=graded.query_ids,
        gallery_ids=graded.gallery_ids,
        exclusions=graded.exclusions,
    )
    check_levels(
        graded.levels,
        ks=ks,
        query_ids=graded.query_ids,
        gallery_size=len(graded.gallery_ids),
        own_columns=ranking.own_columns,
    )
    counts = grade_counts(graded.levels, own_columns=ranking.own_columns, exclusions=ranking.exclusions)
    query_rows = np.flatnonzero(counts.sum(axis=1))
    if len(query_rows) == 0:
        size = len(graded.gallery_ids)
        raise ValueError(f"none of {len(counts)} queries is alike to an item in the gallery of {size}")
    ideals = {k: ideal_gains(counts[query_rows], k=k) for k in ks}
    values = {f"ndcg_at_{k}": np.empty(len(query_rows), dtype=np.float64) for k in ks}
    for chunk in ranking.chunks(query_rows, chunk_elements=chunk_elements):
        positions = np.searchsorted(query_rows, chunk)
        gains = _ranked_gains(graded, ranking, chunk, most_ranks=max(ks))
        # A running sum adds in the order of the ranks; a matrix product's order depends on the size of the chunk.
        reached = (gains * discounts(gains.shape[1])).cumsum(axis=1)
        for k in ks:
            shares = reached[:, min(k, reached.shape[1]) - 1] / ideals[k][positions]
            values[f"ndcg_at_{k}"][positions] = np.minimum(shares, 1.0)  # the best ranking is 1 up to rounding
    return QueryScores(query_rows=query_rows, values=values, lone_queries=len(counts) - len(query_rows))


def grade_counts(
    levels: Sequence[Level], *, own_columns: NDArray[np.int64], exclusions: Exclusions | None = None
) -> NDArray[np.int64]:
    """Gallery items of each grade, (Q, L) in the order of the levels; each counts once, and the query itself never.

    Args:
        levels: Levels of relevance, the most alike first; one or more.
        own_columns: (Q,) gallery column of the query itself; -1: it is not in the gallery.
        exclusions: Gallery items that count neither as finds nor as misses of some queries; None: there are none.
    """
    codes = np.stack([level.query_groups for level in levels], axis=1)
    gallery = np.stack([level.gallery_groups for level in levels], axis=1)
    if exclusions is None:
        exclusions = no_exclusions(queries=len(codes), gallery=len(gallery))
    both = np.concatenate([codes, exclusions.query_codes], axis=1)
    distinct, query_kind = np.unique(both, axis=0, return_inverse=True)
    alike = Exclusions(query_codes=distinct[:, len(levels) :], gallery_codes=exclusions.gallery_codes)
    of_kind = np.zeros((len(distinct), len(levels)), dtype=np.int64)
    step = max(1, CHUNK_ELEMENTS // max(1, len(gallery)))
    for start in range(0, len(distinct), step):
        block = slice(start, start + step)
        rows = np.arange(len(distinct))[block]
        untaken = np.ones((len(rows), len(gallery)), dtype=np.bool_)
        untaken[alike.pairs(rows)] = False
        for level in range(len(levels)):
            kinds = distinct[block, level, None]
            fits = untaken & (kinds == gallery[:, level]) & (kinds != NO_GROUP)
            of_kind[block, level] = fits.sum(axis=1)
            untaken &= ~fits
    counts = of_kind[query_kind.reshape(-1)]
    # A query in the gallery has been counted too, at the first level at which it has a code, unless it has left itself
    # out by another.
    has_code = codes != NO_GROUP
    counted = np.flatnonzero((own_columns >= 0) & has_code.any(axis=1) & ~exclusions.has_codes())
    counts[counted, has_code[counted].argmax(axis=1)] -= 1
    return counts


def ideal_gains(counts: NDArray[np.int64], *, k: int) -> NDArray[np.float64]:
    """Discounted gain of the first k ranks of the best possible ranking, (Q,).

    Args:
        counts: (Q, L) gallery items of each grade, from `grade_counts`.
        k: Number of ranks that count; >= 1.
    """
    gains = level_gains(counts.shape[1])
    ends = np.minimum(counts.cumsum(axis=1), k)
    sums = np.concatenate([[0.0], discounts(int(ends.max(initial=0))).cumsum()])
    reached = sums[ends]
    ideal: NDArray[np.float64] = np.diff(reached, axis=1, prepend=0.0) @ gains
    return ideal


def level_gains(levels: int) -> NDArray[np.float64]:
    """2^grade - 1 of each level, (L,), the most alike first."""
    return np.exp2(np.arange(levels, 0, -1)) - 1.0


def discounts(ranks: int) -> NDArray[np.float64]:
    """1 / log2(rank + 1) of ranks 1 to `ranks`."""
    return 1.0 / np.log2(np.arange(2, ranks + 2))


def check_levels(
    levels: Sequence[Level],
    *,
    ks: Sequence[int],
    query_ids: Sequence[str],
    gallery_size: int,
    own_columns: NDArray[np.int64],
) -> None:
    """Refuse levels and ks that cannot be meant.

    Args:
        levels: Levels of relevance; one or more.
        ks: The k of ndcg_at_k; one or more, each >= 1.
        query_ids: (Q,) ids of the queries.
        gallery_size: G, number of gallery items.
        own_columns: (Q,) gallery column of the query itself; -1: it is not in the gallery.

    Raises:
        ValueError: No levels or ks, k < 1, sizes or a type that differ, a code below -1, or one id with two groups.
    """
    if not ks or min(ks) < 1:
        raise ValueError(f"ks is {list(ks)}; allowed: one or more numbers of 1 or more")
    if not levels:
        raise ValueError("levels is empty; allowed: one or more, the most alike first")
    for index, level in enumerate(levels):
        try:
            check_groups(
                level.query_groups,
                level.gallery_groups,
                query_ids=query_ids,
                gallery_size=gallery_size,
                own_columns=own_columns,
            )
        except ValueError as error:
            raise ValueError(f"levels[{index}]: {error}") from error


def _ranked_gains(
    graded: GradedSet, ranking: Ranking, query_rows: NDArray[np.int64], *, most_ranks: int
) -> NDArray[np.float64]:
    """Gains of the nearest gallery items of some queries, (C, K)."""
    nearest = Similarities.of(ranking, query_rows).leading(min(most_ranks, len(graded.gallery_ids)))
    columns = nearest.columns.cpu().numpy()
    untaken = (nearest.keys != REMOVED_KEY).cpu().numpy()
    gains = np.zeros(columns.shape, dtype=np.float64)
    for level, gain in zip(graded.levels, level_gains(len(graded.levels)), strict=True):
        groups = level.query_groups[query_rows, None]
        alike = untaken & (level.gallery_groups[columns] == groups) & (groups != NO_GROUP)
        gains[alike] = gain
        untaken &= ~alike
    return gains

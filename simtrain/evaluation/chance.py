"""Expected metrics of a random encoder (chance level), computed exactly: the mean over all orders of the gallery.

For a query with R relevant items among the M that can be ranked (the gallery without the query itself), the items at
any i ranks are a draw without replacement: the relevant ones among them follow the hypergeometric distribution.

- recall_at_k: 1 - P(no relevant item in the first k) = 1 - C(M - R, k) / C(M, k).
- precision_at_k: each of the first min(k, M) ranks is relevant with probability R / M, and the sum is divided by k.
- r_precision: by the same argument R / M.
- map_at_r = 1/R · Σ over i <= R of E[rank i is relevant · relevant items in the first i] / i. If rank i is relevant,
  probability R / M, each of the i - 1 ranks before it is so with probability (R - 1) / (M - 1). With
  H(n) = 1 + 1/2 + ... + 1/n the sum is 1/M · (H(R) + (R - 1) / (M - 1) · (R - H(R))).
- mrr: the first relevant item is at rank i with probability C(M - i, R - 1) / C(M, R). The sum of C(M - i, R - 1) / i
  is the coefficient of x^(M - R + 1) in log(1 / (1 - x)) / (1 - x)^R, which is C(M, R - 1) · (H(M) - H(R - 1)) (Graham,
  Knuth & Patashnik, "Concrete Mathematics", eq. 7.43). Divided by C(M, R): R / (M - R + 1) · (H(M) - H(R - 1)).
- ndcg_at_k: each rank has the mean gain of the gallery, and the best ranking is the same for all orders.
"""

# Shapes: Q queries, G gallery items, L levels, S scored queries.

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simtrain.evaluation.exclusions import Exclusions
from simtrain.evaluation.graded import Level, check_levels, discounts, grade_counts, ideal_gains, level_gains
from simtrain.evaluation.metrics import QueryScores, check_groups, check_ks, relevant_counts
from simtrain.evaluation.retrieval_set import RelevanceCodes


def chance_scores(codes: RelevanceCodes, *, recall_ks: Sequence[int], precision_ks: Sequence[int]) -> QueryScores:
    """Expected values of `metrics.score_queries` for a random encoder: the same queries and metrics.

    Args:
        codes: Ids and relevance of queries and gallery.
        recall_ks: The k of recall_at_k; each >= 1.
        precision_ks: The k of precision_at_k, none or each >= 1.

    Raises:
        ValueError: Sizes that differ, one id with two groups, k < 1, or no query with a relevant gallery item.
    """
    own_columns, gallery_size = _own_columns(codes.query_ids, codes.gallery_ids), len(codes.gallery_ids)
    check_groups(
        codes.query_groups,
        codes.gallery_groups,
        query_ids=codes.query_ids,
        gallery_size=gallery_size,
        own_columns=own_columns,
    )
    counts = relevant_counts(
        codes.query_groups,
        codes.gallery_groups,
        own_columns=own_columns,
        exclusions=codes.exclusions,
        judged=codes.judged,
    )
    query_rows = np.flatnonzero(counts)
    if len(query_rows) == 0:
        raise ValueError(f"none of {len(counts)} queries has a relevant item in the gallery of {gallery_size}")
    sizes = ranked_counts(own_columns, gallery_size=gallery_size, exclusions=codes.exclusions)[query_rows]
    values = expected_values(counts[query_rows], sizes, recall_ks=recall_ks, precision_ks=precision_ks)
    return QueryScores(query_rows=query_rows, values=values, lone_queries=len(counts) - len(query_rows))


def ranked_counts(
    own_columns: NDArray[np.int64], *, gallery_size: int, exclusions: Exclusions | None
) -> NDArray[np.int64]:
    """M of each query, (Q,): gallery items that count for it, whether relevant or not.

    Args:
        own_columns: (Q,) gallery column of the query itself; -1: it is not in the gallery.
        gallery_size: G, number of gallery items.
        exclusions: Gallery items that count neither as finds nor as misses of some queries; None: there are none.
    """
    everything = np.zeros(len(own_columns), dtype=np.int64), np.zeros(gallery_size, dtype=np.int64)
    return relevant_counts(*everything, own_columns=own_columns, exclusions=exclusions)


def expected_values(
    counts: NDArray[np.int64], sizes: NDArray[np.int64], *, recall_ks: Sequence[int], precision_ks: Sequence[int]
) -> dict[str, NDArray[np.float64]]:
    """Metric name -> (S,) expected value in 0..1, by the formulas above.

    Args:
        counts: (S,) number of relevant items of each query, R.
        sizes: (S,) number of items that are ranked for each query, without the query itself, M.
        recall_ks: The k of recall_at_k; each >= 1.
        precision_ks: The k of precision_at_k; none, or each >= 1.

    Raises:
        ValueError: An R outside 1..M, or k < 1.
    """
    check_ks(recall_ks=recall_ks, precision_ks=precision_ks)
    wrong = np.flatnonzero((counts < 1) | (counts > sizes))
    if len(wrong) > 0:
        raise ValueError(f"a query has {counts[wrong[0]]} relevant items; allowed: 1 to the {sizes[wrong[0]]} ranked")
    harmonic = np.concatenate([[0.0], (1.0 / np.arange(1, sizes.max(initial=0) + 1)).cumsum()])
    share = counts / sizes
    values = {f"recall_at_{k}": 1.0 - _none_found(counts, sizes, k=k) for k in recall_ks}
    values |= {f"precision_at_{k}": share * np.minimum(k, sizes) / k for k in precision_ks}
    values["r_precision"] = share
    # One item alone has R = M = 1, and no rank before it that could be relevant.
    before = (counts - 1) / np.maximum(sizes - 1, 1)
    values["map_at_r"] = (harmonic[counts] + before * (counts - harmonic[counts])) / sizes
    values["mrr"] = counts / (sizes - counts + 1) * (harmonic[sizes] - harmonic[counts - 1])
    return values


def chance_graded(
    *,
    query_ids: Sequence[str],
    gallery_ids: Sequence[str],
    levels: Sequence[Level],
    ks: Sequence[int],
    exclusions: Exclusions | None = None,
) -> QueryScores:
    """Expected values of `graded.score_graded` for a random encoder: the same queries and metrics.

    Args:
        query_ids: (Q,) unique ids of the queries, as in `GradedSet`.
        gallery_ids: (G,) unique ids of the gallery.
        levels: Levels of relevance, the most alike first; one or more.
        ks: The k of ndcg_at_k; each >= 1.
        exclusions: Gallery items that count neither as finds nor as misses of some queries; None: there are none.

    Raises:
        ValueError: No levels or ks, sizes that differ, one id with two groups, k < 1, or no query that is alike to a
            gallery item.
    """
    own_columns = _own_columns(query_ids, gallery_ids)
    check_levels(levels, ks=ks, query_ids=query_ids, gallery_size=len(gallery_ids), own_columns=own_columns)
    counts = grade_counts(levels, own_columns=own_columns, exclusions=exclusions)
    query_rows = np.flatnonzero(counts.sum(axis=1))
    if len(query_rows) == 0:
        raise ValueError(f"none of {len(counts)} queries is alike to an item in the gallery of {len(gallery_ids)}")
    sizes = ranked_counts(own_columns, gallery_size=len(gallery_ids), exclusions=exclusions)[query_rows]
    mean_gains = counts[query_rows] @ level_gains(len(levels)) / sizes
    values = {}
    for k in ks:
        sums = np.concatenate([[0.0], discounts(min(k, len(gallery_ids))).cumsum()])
        values[f"ndcg_at_{k}"] = mean_gains * sums[np.minimum(k, sizes)] / ideal_gains(counts[query_rows], k=k)
    return QueryScores(query_rows=query_rows, values=values, lone_queries=len(counts) - len(query_rows))


def _none_found(counts: NDArray[np.int64], sizes: NDArray[np.int64], *, k: int) -> NDArray[np.float64]:
    """C(M - R, k) / C(M, k): probability that none of the first k is relevant."""
    probability = np.ones(len(counts), dtype=np.float64)
    for drawn in range(min(k, int(sizes.max(initial=0)))):
        left = np.maximum(sizes - drawn, 1)  # beyond the gallery it is 0 already, because R >= 1
        probability *= np.maximum(sizes - counts - drawn, 0) / left
    return probability


def _own_columns(query_ids: Sequence[str], gallery_ids: Sequence[str]) -> NDArray[np.int64]:
    columns = {gallery_id: column for column, gallery_id in enumerate(gallery_ids)}
    return np.array([columns.get(query_id, -1) for query_id in query_ids], dtype=np.int64)

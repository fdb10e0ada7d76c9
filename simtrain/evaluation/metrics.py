"""Exact retrieval metrics, one value per query, computed from ranks.

MAP@R and R-precision: Musgrave et al. 2020, "A Metric Learning Reality Check", https://arxiv.org/abs/2003.08505.
`recall_at_k` is the hit rate that the SOP, In-Shop and CUB papers call Recall@K. `precision_at_k` divides by k even
where fewer items are relevant, as trec_eval's P_k does: a query with R < k reaches R / k at most. `precision_at_1` is
`recall_at_1` under its other name.
"""

# Shapes: Q queries, G gallery items, D features, S scored queries, C queries of one chunk, K ranks looked at.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.evaluation.exclusions import Exclusions, no_exclusions
from simtrain.evaluation.judged_pairs import JudgedPairs
from simtrain.evaluation.leading import Similarities
from simtrain.evaluation.ordering_keys import REMOVED_KEY
from simtrain.evaluation.ranking import CHUNK_ELEMENTS, Ranking
from simtrain.evaluation.retrieval_set import RetrievalSet

RECALL_KS = (1, 5, 10)
"""The k of recall_at_k, by default."""

NO_GROUP = -1
"""Group code of an item that is relevant to nothing."""


@dataclass(frozen=True, kw_only=True)
class QueryScores:
    """Metrics of every query that has a relevant gallery item."""

    query_rows: NDArray[np.int64]
    """(S,) rows of the query set that were scored, ascending."""
    values: dict[str, NDArray[np.float64]]
    """Metric name -> (S,) in 0..1."""
    lone_queries: int
    """Queries left out because nothing in the gallery is relevant to them; Q - S."""

    def means(self) -> dict[str, float]:
        """Mean of each metric over the scored queries, in 0..1."""
        return {name: float(values.mean()) for name, values in self.values.items()}


def score_queries(
    retrieval: RetrievalSet,
    *,
    recall_ks: Sequence[int] = RECALL_KS,
    precision_ks: Sequence[int] = (),
    queries: NDArray[np.int64] | None = None,
    chunk_elements: int = CHUNK_ELEMENTS,
) -> QueryScores:
    """Score every query with a relevant gallery item: `recall_at_k` for each k, `r_precision`, `map_at_r` and `mrr`.

    With precision_ks also `precision_at_k`; validation while training does without. R is the number of the query's
    relevant gallery items, itself and `exclusions` left out; `mrr` looks through the whole gallery.

    Args:
        retrieval: Queries and gallery.
        recall_ks: The k of recall_at_k; each >= 1. A k beyond the gallery counts the whole gallery.
        precision_ks: The k of precision_at_k, none or each >= 1. The ranks beyond the gallery count as misses.
        queries: Rows of the queries to score, ascending; None: all. Those without a relevant item are left out.
        chunk_elements: Largest number of query-gallery pairs held at once, but at least one query's; >= 1. Memory
            beyond the inputs is 25 to 60 bytes for each, most where R is near G. The results don't depend on it.

    Returns:
        One value per scored query and metric, in 0..1.

    Raises:
        ValueError: Sizes that differ, duplicate ids, rows that are not finite or not of length 1, one id with two
            groups, or no query with a relevant gallery item.
    """
    check_ks(recall_ks=recall_ks, precision_ks=precision_ks)
    ranking = _checked_ranking(retrieval)
    counts = relevant_counts(
        retrieval.query_groups,
        retrieval.gallery_groups,
        own_columns=ranking.own_columns,
        exclusions=ranking.exclusions,
        judged=retrieval.judged,
    )
    query_rows = np.flatnonzero(counts)
    if len(query_rows) == 0:
        gallery_size = len(retrieval.gallery_ids)
        raise ValueError(f"none of {len(counts)} queries has a relevant item in the gallery of {gallery_size}")
    lone_queries = len(counts) - len(query_rows)
    if queries is not None:
        query_rows = np.intersect1d(query_rows, queries)
    # Queries of similar R share a chunk: one class of thousands then doesn't make every query rank thousands.
    by_count = query_rows[np.argsort(counts[query_rows], kind="stable")]
    values: dict[str, NDArray[np.float64]] = {}
    for chunk in ranking.chunks(by_count, chunk_elements=chunk_elements):
        chunk_values = _score_chunk(
            retrieval, ranking, chunk, counts[chunk], recall_ks=recall_ks, precision_ks=precision_ks
        )
        for name, of_chunk in chunk_values.items():
            of_all = values.setdefault(name, np.empty(len(query_rows), dtype=np.float64))
            of_all[np.searchsorted(query_rows, chunk)] = of_chunk.cpu().numpy()
    return QueryScores(query_rows=query_rows, values=values, lone_queries=lone_queries)


def ranked_relevance_metrics(
    relevance: Tensor, relevant_counts: Tensor, *, recall_ks: Sequence[int], precision_ks: Sequence[int] = ()
) -> dict[str, Tensor]:
    """`recall_at_k`, `precision_at_k`, `r_precision` and `map_at_r` from which of the first K neighbours are relevant.

    Args:
        relevance: (C, K) bool, nearest first.
        relevant_counts: (C,) int64, R of each query: all its relevant gallery items; in 1..K.
        recall_ks: The k of recall_at_k; each >= 1; a k beyond K counts K ranks.
        precision_ks: The k of precision_at_k; each >= 1; a k beyond K counts K ranks, and still divides by k.

    Returns:
        Metric name -> (C,) float64 in 0..1. With P(i) the precision of the first i ranks (Musgrave et al. 2020):
        r_precision = P(R), map_at_r = 1/R · Σ of P(i) over the relevant ranks i <= R.

    Raises:
        ValueError: A relevant count outside 1..K.
    """
    rank_count = relevance.shape[1]
    for count in (int(relevant_counts.min()), int(relevant_counts.max())):
        if not 1 <= count <= rank_count:
            raise ValueError(f"a query has {count} relevant items; allowed: 1 to the {rank_count} ranks given")
    metrics = {f"recall_at_{k}": relevance[:, :k].any(dim=1).double() for k in recall_ks}
    metrics |= {f"precision_at_{k}": relevance[:, :k].sum(dim=1).double() / k for k in precision_ks}
    ranks = torch.arange(1, rank_count + 1, device=relevance.device)
    hits = relevance & (ranks <= relevant_counts[:, None])
    metrics["r_precision"] = hits.sum(dim=1).double() / relevant_counts
    precisions = hits.cumsum(dim=1).double().div_(ranks).mul_(hits)
    metrics["map_at_r"] = precisions.sum(dim=1) / relevant_counts
    return metrics


def relevant_counts(
    query_groups: NDArray[np.int64],
    gallery_groups: NDArray[np.int64],
    *,
    own_columns: NDArray[np.int64],
    exclusions: Exclusions | None = None,
    judged: JudgedPairs | None = None,
) -> NDArray[np.int64]:
    """R of each query, (Q,): gallery items of its group that count for it, itself never; 0 for a lone query.

    Args:
        query_groups: (Q,) relevance codes, as in `RetrievalSet`.
        gallery_groups: (G,) relevance codes from the same numbering.
        own_columns: (Q,) gallery column of the query itself; -1: it is not in the gallery.
        exclusions: Gallery items that count neither as finds nor as misses of some queries; None: there are none.
        judged: Pairs of rows that say what is relevant, in the place of the codes; None: the codes say it.
    """
    if judged is not None:
        return judged.counts(own_columns=own_columns, exclusions=exclusions)
    if exclusions is None:
        exclusions = no_exclusions(queries=len(query_groups), gallery=len(gallery_groups))
    groups, sizes = np.unique(gallery_groups, return_counts=True)
    if len(groups) == 0:
        return np.zeros(len(query_groups), dtype=np.int64)
    positions = np.minimum(np.searchsorted(groups, query_groups), len(groups) - 1)
    counts = np.where(groups[positions] == query_groups, sizes[positions], 0)
    # A query with a code is among its own exclusions, as it shares that code with itself.
    left_out_itself = (own_columns >= 0) & ~exclusions.has_codes()
    counts = counts - exclusions.counts(query_groups, gallery_groups) - left_out_itself
    return np.where(query_groups == NO_GROUP, 0, counts).astype(np.int64)


def check_ks(*, recall_ks: Sequence[int], precision_ks: Sequence[int]) -> None:
    """Refuse numbers of ranks that cannot be meant.

    Args:
        recall_ks: The k of recall_at_k; one or more, each >= 1.
        precision_ks: The k of precision_at_k; none, or each >= 1.

    Raises:
        ValueError: No recall_ks, or a k below 1.
    """
    if not recall_ks or min(recall_ks) < 1:
        raise ValueError(f"recall_ks is {list(recall_ks)}; allowed: one or more numbers of 1 or more")
    if precision_ks and min(precision_ks) < 1:
        raise ValueError(f"precision_ks is {list(precision_ks)}; allowed: numbers of 1 or more")


def check_groups(
    query_groups: NDArray[np.int64],
    gallery_groups: NDArray[np.int64],
    *,
    query_ids: Sequence[str],
    gallery_size: int,
    own_columns: NDArray[np.int64],
) -> None:
    """Refuse relevance codes that cannot be meant.

    Args:
        query_groups: (Q,) relevance codes, as in `RetrievalSet`.
        gallery_groups: (G,) relevance codes from the same numbering.
        query_ids: (Q,) ids of the queries.
        gallery_size: G, number of gallery items.
        own_columns: (Q,) gallery column of the query itself; -1: it is not in the gallery.

    Raises:
        ValueError: Sizes or a type that differ, a code below -1, or one id with two groups.
    """
    _check_codes("query", query_groups, rows=len(query_ids))
    _check_codes("gallery", gallery_groups, rows=gallery_size)
    # Two separate numberings of the same groups would give plausible nonsense; shared items give them away.
    shared = np.flatnonzero(own_columns >= 0)
    differ = shared[query_groups[shared] != gallery_groups[own_columns[shared]]]
    if len(differ) > 0:
        row = int(differ[0])
        raise ValueError(
            f"id {query_ids[row]!r} has group {query_groups[row]} as a query, "
            f"but group {gallery_groups[own_columns[row]]} in the gallery"
        )


def _score_chunk(
    retrieval: RetrievalSet,
    ranking: Ranking,
    query_rows: NDArray[np.int64],
    relevant_counts: NDArray[np.int64],
    *,
    recall_ks: Sequence[int],
    precision_ks: Sequence[int],
) -> dict[str, Tensor]:
    """Metric name -> (C,) float64 of some queries, none of them lone."""
    similarities = Similarities.of(ranking, query_rows)
    rank_count = min(len(retrieval.gallery_ids), max(*recall_ks, *precision_ks, int(relevant_counts.max())))
    nearest = similarities.leading(rank_count)
    # The query itself, and items that do not count for it, have the smallest key, whether they are of its group or not.
    relevance = retrieval.relevant_among(query_rows, nearest.columns) & (nearest.keys != REMOVED_KEY)
    counts = torch.from_numpy(relevant_counts).to(relevance.device)
    metrics = ranked_relevance_metrics(relevance, counts, recall_ks=recall_ks, precision_ks=precision_ks)
    first_ranks = 1 + relevance.int().argmax(dim=1)
    beyond = np.flatnonzero(~relevance.any(dim=1).cpu().numpy())
    if len(beyond) > 0:
        ranks = similarities.first_ranks(beyond, retrieval.relevant_to(query_rows[beyond]))
        first_ranks[torch.from_numpy(beyond).to(counts.device)] = torch.from_numpy(ranks).to(counts.device)
    return {**metrics, "mrr": 1.0 / first_ranks.double()}


def _checked_ranking(retrieval: RetrievalSet) -> Ranking:
    ranking = Ranking.of(
        retrieval.query_embeddings,
        retrieval.gallery_embeddings,
        query_ids=retrieval.query_ids,
        gallery_ids=retrieval.gallery_ids,
        exclusions=retrieval.exclusions,
    )
    check_groups(
        retrieval.query_groups,
        retrieval.gallery_groups,
        query_ids=retrieval.query_ids,
        gallery_size=len(retrieval.gallery_ids),
        own_columns=ranking.own_columns,
    )
    return ranking


def _check_codes(items: str, groups: NDArray[np.int64], *, rows: int) -> None:
    if groups.shape != (rows,):
        raise ValueError(f"{items}_groups has shape {groups.shape}, but {items}_ids has {rows}")
    if groups.dtype != np.int64:
        raise ValueError(f"{items}_groups is {groups.dtype}; allowed: int64")
    if rows > 0 and groups.min() < NO_GROUP:
        raise ValueError(f"{items}_groups has {groups.min()}; allowed: 0 or more, or -1 for an item without a group")

"""The first gallery items of each query in their exact order, without ordering keys of all the others.

A matrix product in float32 says which items can be among the first k at all: its error has a bound (Higham 2002,
"Accuracy and Stability of Numerical Algorithms", section 3.1), so an item that is further below the k-th than two such
errors is not among them. The others, often few more than k, get their ordering keys one by one. Where many are as
similar as the k-th, and where the product was less exact than float32 (TF32, say), all items of the query get theirs.
"""

# Shapes: Q queries, G gallery items, D features, C queries of one chunk, B some of them, K ranks looked at.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.evaluation.ordering_keys import REMOVED_KEY, similarities_of
from simtrain.evaluation.ranking import CHUNK_ELEMENTS, UNIT_TOLERANCE, Ranking

RelevantPairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Positions of queries and gallery columns, (P,) each."""

_SPARE = 6  # items looked at beyond the first k, so that those as similar as the k-th are seen to end
_DENSE_SHARE = 32  # above 1/32 of the gallery, keys of all items are cheaper than those of single ones


def nearest_neighbours(
    ranking: Ranking, *, k: int, chunk_elements: int = CHUNK_ELEMENTS
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k gallery items nearest to each query, without the query itself; equal similarities in the order of ids.

    Args:
        ranking: Queries and gallery, from `Ranking.of`.
        k: Number of neighbours of each query; >= 1.
        chunk_elements: Largest number of query-gallery pairs held at once, but at least one query's; >= 1.

    Returns:
        Rows of the gallery (Q, k), nearest first, and their cosine similarities (Q, k) in -1..1 up to rounding. Where a
        query has fewer than k neighbours the rows end in -1 and the similarities in NaN.

    Raises:
        ValueError: k < 1 or chunk_elements < 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}; allowed: 1 or more")
    queries, gallery_size = len(ranking.query_embeddings), len(ranking.gallery_embeddings)
    rows = np.full((queries, k), -1, dtype=np.int64)
    similarities = np.full((queries, k), np.nan, dtype=np.float32)
    for chunk in ranking.chunks(np.arange(queries), chunk_elements=chunk_elements):
        nearest = Similarities.of(ranking, chunk).leading(min(k, gallery_size))
        counted = (nearest.keys != REMOVED_KEY).cpu().numpy()
        width = counted.shape[1]
        rows[chunk, :width] = np.where(counted, nearest.columns.cpu().numpy(), -1)
        nearest_similarities = similarities_of(nearest.keys).cpu().numpy()
        similarities[chunk, :width] = np.where(counted, nearest_similarities, np.float32(np.nan))
    return rows, similarities


@dataclass(frozen=True, kw_only=True)
class Leading:
    """The first K gallery items of C queries."""

    keys: Tensor
    """(C, K) int64 ordering keys, descending; `REMOVED_KEY` where a query has fewer items that count."""
    columns: Tensor
    """(C, K) their gallery columns."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Similarities:
    """Similarities of C queries to the whole gallery; made with `of`."""

    ranking: Ranking
    query_rows: NDArray[np.int64]
    """(C,)."""
    values: Tensor
    """(C, G) float32, within `error` of the exact ones; -inf where the item does not count."""

    @classmethod
    def of(cls, ranking: Ranking, query_rows: NDArray[np.int64]) -> Similarities:
        """Similarities of some queries.

        Args:
            ranking: Queries and gallery.
            query_rows: (C,) rows of the queries.
        """
        device = ranking.gallery_embeddings.device
        queries = ranking.query_embeddings[torch.from_numpy(query_rows).to(device)]
        with torch.autocast(device.type, enabled=False):
            values = queries @ ranking.gallery_embeddings.T
        values[ranking.removed(query_rows)] = -torch.inf
        return cls(ranking=ranking, query_rows=query_rows, values=values)

    @property
    def error(self) -> float:
        """Bound of the difference between these similarities and exact ones that were rounded to float32."""
        features = self.ranking.gallery_embeddings.shape[1]
        return (features + 2) * 2.0**-24 * (1 + UNIT_TOLERANCE) ** 2

    def leading(self, k: int) -> Leading:
        """The first k gallery items of each query, in their exact order.

        Args:
            k: 1 to G.
        """
        gallery_size = self.values.shape[1]
        width = min(k + _SPARE, gallery_size)
        if width * _DENSE_SHARE > gallery_size:
            return self._of_all_keys(slice(None), k)
        nearest = torch.topk(self.values, width)
        keys = self.ranking.keys_of(self.query_rows, nearest.indices)
        counted = nearest.values > -torch.inf
        off = torch.where(counted, similarities_of(keys) - nearest.values, 0.0).abs().amax(dim=1)
        keys.masked_fill_(~counted, REMOVED_KEY)
        ordered = torch.topk(keys, k)
        columns = nearest.indices.gather(1, ordered.indices)
        # As near as the k-th may be more items than were looked at; and a product of lower precision has no such bound.
        last = nearest.values[:, -1]
        more = counted[:, -1] & (last >= nearest.values[:, k - 1] - 2 * self.error)
        unsettled = torch.nonzero(more | (off > self.error))[:, 0]
        if len(unsettled) > 0:
            of_all = self._of_all_keys(unsettled, k)
            ordered.values[unsettled], columns[unsettled] = of_all.keys, of_all.columns
        return Leading(keys=ordered.values, columns=columns)

    def first_ranks(self, chosen: NDArray[np.int64], relevant: RelevantPairs) -> NDArray[np.int64]:
        """Rank of the first relevant item of some of the queries, (B,), from 1.

        Args:
            chosen: (B,) positions in `query_rows`; each query has a relevant item that counts.
            relevant: Position in `chosen`, and gallery column, of each pair of a query and an item relevant to it.
        """
        rows, columns = (torch.from_numpy(part).to(self.values.device) for part in relevant)
        values = self.values[torch.from_numpy(chosen).to(self.values.device)]
        best = torch.full((len(chosen),), -torch.inf, device=values.device)
        best = best.scatter_reduce_(0, rows, values[rows, columns], "amax")[:, None]
        # Beyond 4 errors no item can be on the other side of the relevant one that is first by exact similarities.
        above = values > best + 4 * self.error
        near = np.flatnonzero(((values >= best - 4 * self.error) ^ above).cpu().numpy())
        ranks = 1 + above.sum(dim=1, dtype=torch.int32).cpu().numpy().astype(np.int64)
        if len(near) * _DENSE_SHARE > values.numel():
            return self._first_ranks_of_all_keys(chosen, relevant)
        near_rows, near_columns = np.divmod(near, values.shape[1])
        asking = self.query_rows[chosen[near_rows]]
        keys = self.ranking.keys_of(asking, torch.from_numpy(near_columns[:, None]).to(values.device))[:, 0]
        off = similarities_of(keys) - values.view(-1)[torch.from_numpy(near).to(values.device)]
        if bool((off.abs() > self.error).any()):
            return self._first_ranks_of_all_keys(chosen, relevant)
        of_relevant = np.isin(near, relevant[0] * values.shape[1] + relevant[1])
        exact = keys.cpu().numpy()
        best_keys = np.full(len(chosen), REMOVED_KEY)
        np.maximum.at(best_keys, near_rows[of_relevant], exact[of_relevant])
        np.add.at(ranks, near_rows, exact > best_keys[near_rows])
        return ranks

    def _first_ranks_of_all_keys(self, chosen: NDArray[np.int64], relevant: RelevantPairs) -> NDArray[np.int64]:
        keys = self.ranking.keys(self.query_rows[chosen])
        rows, columns = (torch.from_numpy(part).to(keys.device) for part in relevant)
        best = torch.full((len(chosen),), REMOVED_KEY, device=keys.device)
        best.scatter_reduce_(0, rows, keys[rows, columns], "amax")
        return np.asarray(1 + (keys > best[:, None]).sum(dim=1, dtype=torch.int32).cpu().numpy(), dtype=np.int64)

    def _of_all_keys(self, chosen: Tensor | slice, k: int) -> Leading:
        rows = self.query_rows[chosen if isinstance(chosen, slice) else chosen.cpu().numpy()]
        nearest = torch.topk(self.ranking.keys(rows), k)
        return Leading(keys=nearest.values, columns=nearest.indices)

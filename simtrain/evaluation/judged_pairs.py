"""Relevance as pairs of a query and an item, where one item may be relevant to queries of many groups."""

# Shapes: P pairs, Q queries, G gallery items, C queries of one chunk.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simtrain.evaluation.equal_codes import runs
from simtrain.evaluation.exclusions import Exclusions


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedPairs:
    """Pairs of a query and an item that is relevant to it, by row numbers; made with `of`, which sorts them."""

    queries: NDArray[np.int64]
    """(P,) row of each pair's query, ascending."""
    items: NDArray[np.int64]
    """(P,) row of its item, ascending for each query; no pair stands twice."""

    @classmethod
    def of(cls, queries: NDArray[np.int64], items: NDArray[np.int64]) -> JudgedPairs:
        """The pairs of these rows, (P,) each, in any order; a pair that stands several times counts once."""
        pairs = np.unique(np.stack([queries, items], axis=1), axis=0) if len(queries) else np.empty((0, 2))
        return cls(queries=pairs[:, 0].astype(np.int64), items=pairs[:, 1].astype(np.int64))

    def among(self, queries: NDArray[np.int64], gallery: NDArray[np.int64]) -> JudgedPairs:
        """The same pairs by positions in `queries`, (Q,), and in `gallery`, (G,), without the pairs of other rows."""
        size = 1 + max(column.max(initial=0) for column in (self.queries, self.items, queries, gallery))
        query_of, item_of = np.full((2, size), -1, dtype=np.int64)
        query_of[queries], item_of[gallery] = np.arange(len(queries)), np.arange(len(gallery))
        asking, found = query_of[self.queries], item_of[self.items]
        kept = (asking >= 0) & (found >= 0)
        return JudgedPairs.of(asking[kept], found[kept])

    def of_queries(self, query_rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions in `query_rows`, and gallery rows, of the pairs of some queries; (n,) each.

        Args:
            query_rows: (C,) rows of the queries.
        """
        starts = np.searchsorted(self.queries, query_rows, side="left")
        positions, places = runs(starts, np.searchsorted(self.queries, query_rows, side="right") - starts)
        return positions, self.items[places]

    def hold(self, queries: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) whether the item is relevant to the query, for each of n pairs of rows."""
        width = 1 + max(self.items.max(initial=0), items.max(initial=0))
        return np.isin(queries * width + items, self.queries * width + self.items)

    def counts(self, *, own_columns: NDArray[np.int64], exclusions: Exclusions | None = None) -> NDArray[np.int64]:
        """(Q,) relevant items of each query that count for it, itself never.

        Args:
            own_columns: (Q,) gallery column of the query itself; -1: it is not in the gallery.
            exclusions: Gallery items that count neither as finds nor as misses of some queries; None: there are none.
        """
        counted = own_columns[self.queries] != self.items
        if exclusions is not None:
            counted &= ~exclusions.hold(self.queries, self.items)
        return np.bincount(self.queries[counted], minlength=len(own_columns)).astype(np.int64)

"""Gallery items that do not count for a query: near copies of it, other photos of its product, its own vendor's items.

Whatever the reason, such an item shares a code with the query, in one of several columns. It is left out of the ranking
of that query alone: neither a find nor a miss, as Market-1501 leaves out what the query's own camera took (Zheng et al.
2015, https://doi.org/10.1109/ICCV.2015.133).
"""

# Shapes: Q queries, G gallery items, E columns, C queries of one chunk.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from simtrain.evaluation.equal_codes import NO_CODE, CodeOrder, row_codes


@dataclass(frozen=True, kw_only=True, eq=False)
class Exclusions:
    """Codes of queries and gallery items; an item is left out where it has the query's code in any column."""

    query_codes: NDArray[np.int64]
    """(Q, E); -1: this query leaves nothing out by that column."""
    gallery_codes: NDArray[np.int64]
    """(G, E) from the same numbering; -1: left out for no query."""

    def has_codes(self) -> NDArray[np.bool_]:
        """(Q,) whether a query has a code at all."""
        return np.asarray((self.query_codes != NO_CODE).any(axis=1))

    def of(self, query_rows: NDArray[np.int64]) -> Exclusions:
        """The exclusions of the queries in `query_rows`, (C,), alone."""
        return Exclusions(query_codes=self.query_codes[query_rows], gallery_codes=self.gallery_codes)

    def pairs(self, query_rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions in `query_rows` and gallery rows of the items that do not count; a pair may stand several times.

        Args:
            query_rows: (C,) rows of the queries.
        """
        found = [
            of_gallery.pairs(self.query_codes[query_rows, column])
            for column, of_gallery in enumerate(self._gallery_orders)
        ]
        empty = np.empty(0, dtype=np.int64)
        return np.concatenate([empty, *(rows for rows, _ in found)]), np.concatenate([empty, *(to for _, to in found)])

    @cached_property
    def _gallery_orders(self) -> list[CodeOrder]:
        return [CodeOrder.of(codes) for codes in self.gallery_codes.T]

    def hold(self, queries: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) whether the gallery item does not count for the query, for each of n pairs of rows."""
        codes = self.query_codes[queries]
        return np.asarray(((codes != NO_CODE) & (codes == self.gallery_codes[items])).any(axis=1))

    def counts(self, query_groups: NDArray[np.int64], gallery_groups: NDArray[np.int64]) -> NDArray[np.int64]:
        """(Q,) gallery items of each query's group that do not count for it.

        The query itself is among them if it is in the gallery and has a code. Inclusion and exclusion over the columns:
        items that share the first, plus those that share the second, less those that share both, and so on.

        Args:
            query_groups: (Q,) codes; -1: 0 items.
            gallery_groups: (G,) codes from the same numbering.
        """
        total = np.zeros(len(query_groups), dtype=np.int64)
        columns = range(self.query_codes.shape[1])
        for size in range(1, len(columns) + 1):
            for chosen in combinations(columns, size):
                shared = _shared(
                    np.column_stack([query_groups, self.query_codes[:, chosen]]),
                    np.column_stack([gallery_groups, self.gallery_codes[:, chosen]]),
                )
                total += shared if size % 2 else -shared
        return total


def exclusions_of(codes: NDArray[np.int64], *, queries: NDArray[np.int64], gallery: NDArray[np.int64]) -> Exclusions:
    """Exclusions of one set of N items, some of which are queries and some the gallery.

    Columns in which no query shares a code with another item than itself are dropped, as they leave nothing out.

    Args:
        codes: (N, E) code of each item in each column; -1: it shares nothing there.
        queries: (Q,) rows of the queries in `codes`.
        gallery: (G,) rows of the gallery items in `codes`.
    """
    effective = [column for column in codes.T if _leaves_out(column, queries=queries, gallery=gallery)]
    kept = np.stack(effective, axis=1) if effective else np.empty((len(codes), 0), dtype=np.int64)
    return Exclusions(query_codes=kept[queries], gallery_codes=kept[gallery])


def _leaves_out(column: NDArray[np.int64], *, queries: NDArray[np.int64], gallery: NDArray[np.int64]) -> bool:
    sizes = np.bincount(column[gallery] + 1, minlength=int(column.max(initial=NO_CODE)) + 2)
    others = sizes[column[queries] + 1] - np.isin(queries, gallery)
    return bool((others[column[queries] != NO_CODE] > 0).any())


def _shared(queries: NDArray[np.int64], gallery: NDArray[np.int64]) -> NDArray[np.int64]:
    """(Q,) rows of the gallery that are equal in all columns; 0 for a query that has -1 in one of them."""
    kinds = row_codes(np.concatenate([queries, gallery]))
    sizes = np.bincount(kinds[len(queries) :], minlength=int(kinds.max(initial=0)) + 1)
    return np.where((queries == NO_CODE).any(axis=1), 0, sizes[kinds[: len(queries)]]).astype(np.int64)


def no_exclusions(*, queries: int, gallery: int) -> Exclusions:
    """Exclusions that leave nothing out; a query itself is left out in any case.

    Args:
        queries: Q, number of queries.
        gallery: G, number of gallery items.
    """
    return Exclusions(
        query_codes=np.empty((queries, 0), dtype=np.int64), gallery_codes=np.empty((gallery, 0), dtype=np.int64)
    )


def check_exclusions(exclusions: Exclusions, *, query_ids: Sequence[str], gallery_ids: Sequence[str]) -> None:
    """Refuse codes that do not fit to queries and gallery.

    Args:
        exclusions: Codes to be checked.
        query_ids: (Q,) ids of the queries.
        gallery_ids: (G,) ids of the gallery items.

    Raises:
        ValueError: Another number of rows than ids, or other columns for queries than for the gallery.
    """
    of_queries, of_gallery = exclusions.query_codes, exclusions.gallery_codes
    for name, codes, ids in (("query", of_queries, query_ids), ("gallery", of_gallery, gallery_ids)):
        if codes.ndim != 2 or len(codes) != len(ids):
            raise ValueError(f"{name}_codes has shape {codes.shape}, but {name}_ids has {len(ids)}")
    if of_queries.shape[1] != of_gallery.shape[1]:
        raise ValueError(f"query_codes has {of_queries.shape[1]} columns, but gallery_codes has {of_gallery.shape[1]}")

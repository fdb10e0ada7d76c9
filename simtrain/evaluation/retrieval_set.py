"""Queries and the gallery that is searched with them, with what is relevant to what."""

# Shapes: Q queries, G gallery items, D features, C queries of one chunk.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.evaluation.equal_codes import CodeOrder
from simtrain.evaluation.exclusions import Exclusions
from simtrain.evaluation.judged_pairs import JudgedPairs


@dataclass(frozen=True, kw_only=True)
class RelevanceCodes:
    """Ids of queries and of the gallery searched with them, and what is relevant to what.

    Query/gallery protocol: two sets, which may share items. Leave-one-out: the same set twice. A query is never its own
    neighbour, because gallery items with its id are left out.
    """

    query_ids: Sequence[str]
    """(Q,) unique."""
    gallery_ids: Sequence[str]
    """(G,) unique; equal similarities rank in the order of these."""
    query_groups: NDArray[np.int64]
    """(Q,) relevance code: relevant are the gallery items of the same code. -1: has no relevant items."""
    gallery_groups: NDArray[np.int64]
    """(G,) relevance code from the same numbering. -1: relevant to none."""
    exclusions: Exclusions | None = None
    """Gallery items that count neither as finds nor as misses of some queries, such as near copies; None: none."""
    judged: JudgedPairs | None = None
    """Pairs of rows of queries and gallery that say what is relevant, in the place of the codes, which then only say
    by -1 which queries were not judged at all; None: the codes say it."""


@dataclass(frozen=True, kw_only=True)
class RetrievalSet(RelevanceCodes):
    """Queries and gallery with their embeddings."""

    query_embeddings: Tensor
    """(Q, D) float32 rows of length 1, on the CPU or a CUDA device."""
    gallery_embeddings: Tensor
    """(G, D) float32 rows of length 1, on the same device."""

    def relevant_to(self, query_rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions in `query_rows`, and gallery columns, of relevant items, whether they count or not; (P,) each.

        Args:
            query_rows: (C,) rows of the queries.
        """
        if self.judged is not None:
            return self.judged.of_queries(query_rows)
        return self._gallery_order.pairs(self.query_groups[query_rows])

    @cached_property
    def _gallery_order(self) -> CodeOrder:
        return CodeOrder.of(self.gallery_groups)

    def relevant_among(self, query_rows: NDArray[np.int64], columns: Tensor) -> Tensor:
        """(C, K) bool, true where the gallery item is relevant to the query, whether it counts for it or not.

        Args:
            query_rows: (C,) rows of queries whose code is not -1.
            columns: (C, K) gallery columns.
        """
        rows = np.repeat(query_rows, columns.shape[1])
        relevant = self.relevant_pairs(rows, columns.cpu().numpy().reshape(-1))
        return torch.from_numpy(relevant.reshape(columns.shape)).to(columns.device)

    def relevant_pairs(self, query_rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) whether the gallery item is relevant to the query, for each of n pairs of rows."""
        if self.judged is not None:
            return self.judged.hold(query_rows, columns)
        return np.asarray(self.gallery_groups[columns] == self.query_groups[query_rows])

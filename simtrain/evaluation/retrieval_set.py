"""Queries and the gallery that is searched with them, with what is relevant to what."""

# Shapes: Q queries, G gallery items, D features, C queries of one chunk.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.evaluation.exclusions import Exclusions
from simtrain.evaluation.judged_pairs import JudgedPairs


@dataclass(frozen=True, kw_only=True)
class RetrievalSet:
    """Queries, and the gallery searched with them.

    Query/gallery protocol: two sets, which may share items. Leave-one-out: the same set twice. A query is never its own
    neighbour, because gallery items with its id are left out.
    """

    query_embeddings: Tensor
    """(Q, D) float32 rows of length 1, on the CPU or a CUDA device."""
    gallery_embeddings: Tensor
    """(G, D) float32 rows of length 1, on the same device."""
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

    def relevant(self, query_rows: NDArray[np.int64], *, device: torch.device) -> Tensor:
        """(C, G) bool, true where the gallery item is relevant to the query, whether it counts for it or not.

        Args:
            query_rows: (C,) rows of queries whose code is not -1.
            device: Device of the result.
        """
        if self.judged is not None:
            return self.judged.mask(query_rows, gallery=len(self.gallery_ids), device=device)
        query_groups = torch.from_numpy(self.query_groups[query_rows]).to(device)[:, None]
        # A copy, because a column of a pandas table is read-only, and torch warns of sharing such memory.
        return torch.tensor(self.gallery_groups, device=device) == query_groups

    def relevant_pairs(self, query_rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) whether the gallery item is relevant to the query, for each of n pairs of rows."""
        if self.judged is not None:
            return self.judged.hold(query_rows, columns)
        return np.asarray(self.gallery_groups[columns] == self.query_groups[query_rows])

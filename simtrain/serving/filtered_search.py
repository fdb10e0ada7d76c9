"""Nearest items among those that pass a filter."""

# Shapes: N items, D dimensions of the embedding.

import math

import numpy as np
from numpy.typing import NDArray

from simtrain.serving.index import ItemIndex

_COMPARED_WITH_EACH = 20_000
"""So many items that pass a filter are compared with the query one by one."""


def nearest_passing(
    index: ItemIndex, query: NDArray[np.float32], *, k: int, passing: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k nearest items among those that pass a filter, nearest first; fewer where an approximate index finds fewer.

    Args:
        index: Index of N items.
        query: (D,) of unit length.
        k: >= 1.
        passing: (N,) which items may be found; None: all.

    Returns:
        Their rows and cosine similarities.
    """
    if passing is None:
        return index.search(query[None], k=k)[0]
    rows = np.flatnonzero(passing)
    if not len(rows):
        return rows, np.empty(0, dtype=np.float32)
    if index.keeps_vectors and len(rows) <= _COMPARED_WITH_EACH:
        similarities = (index.vectors(rows).astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
        order = np.lexsort((rows, -similarities))[:k]
        return rows[order], similarities[order]
    wanted = math.ceil(1.5 * k * index.count / len(rows))
    while True:
        found, similarities = index.search(query[None], k=min(wanted, index.count))[0]
        kept = passing[found]
        if kept.sum() >= min(k, len(rows)) or wanted >= index.count:
            return found[kept][:k], similarities[kept][:k]
        wanted *= 4

"""Retrieval sets, most similarities of which are exactly tied, and their ranking by a plain loop."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from simtrain.evaluation.metrics import RetrievalSet


def tied_embeddings(generator: np.random.Generator, *, rows: int) -> Tensor:
    """(rows, 6) with four entries ±0.5, or one ±1: unit rows whose products are multiples of 1/4, exact in float32."""
    embeddings = np.zeros((rows, 6), dtype=np.float32)
    for row in embeddings:
        count, size = (4, 0.5) if generator.random() < 0.7 else (1, 1.0)
        row[generator.choice(6, size=count, replace=False)] = size * generator.choice([-1.0, 1.0], size=count)
    return torch.from_numpy(embeddings)


def retrieval_set(
    embeddings: Tensor,
    groups: Sequence[int],
    *,
    ids: Sequence[str] | None = None,
    queries: slice = slice(None),
    gallery: slice = slice(None),
) -> RetrievalSet:
    """Leave-one-out of some items, unless slices say which of them are queries and which are the gallery."""
    ids = [f"item-{row}" for row in range(len(embeddings))] if ids is None else ids
    codes = np.array(groups, dtype=np.int64)
    codes.flags.writeable = False  # as columns of a pandas table are
    return RetrievalSet(
        query_embeddings=embeddings[queries],
        gallery_embeddings=embeddings[gallery],
        query_ids=ids[queries],
        gallery_ids=ids[gallery],
        query_groups=codes[queries],
        gallery_groups=codes[gallery],
    )


def tied_set(*, seed: int, items: int, protocol: str) -> RetrievalSet:
    """Random items with many ties, many groups, some items without; "overlapping": queries and gallery share some."""
    generator = np.random.default_rng(seed)
    embeddings = tied_embeddings(generator, rows=items)
    groups = generator.integers(-1, max(2, items // 4), size=items).tolist()
    ids = [f"item-{number}" for number in generator.permutation(items)]
    if protocol == "leave-one-out":
        return retrieval_set(embeddings, groups, ids=ids)
    return retrieval_set(embeddings, groups, ids=ids, queries=slice(items * 2 // 3), gallery=slice(items // 3, None))


def loop_ranking(retrieval: RetrievalSet, query: int) -> list[int]:
    """Gallery rows of one query, nearest first, by sorting pairs of similarity and id."""
    vector = retrieval.query_embeddings[query].tolist()
    pairs = []
    for row, gallery_id in enumerate(retrieval.gallery_ids):
        if gallery_id != retrieval.query_ids[query]:
            products = [a * b for a, b in zip(vector, retrieval.gallery_embeddings[row].tolist(), strict=True)]
            pairs.append((-sum(products), gallery_id, row))
    return [row for _, _, row in sorted(pairs)]

"""Retrieval metrics of one's own embeddings and labels."""

# Shapes: N items, or Q queries and G gallery items; D dimensions.

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from simtrain.evaluation.metrics import NO_GROUP, RECALL_KS, score_queries
from simtrain.evaluation.protocol import Evaluation
from simtrain.evaluation.retrieval_set import RetrievalSet
from simtrain.evaluation.statistics import BootstrapSettings, cluster_bootstrap_intervals

Labels = Sequence[Any] | NDArray[Any] | Tensor


def retrieval_metrics(
    embeddings: ArrayLike | Tensor,
    labels: Labels,
    *,
    gallery: tuple[ArrayLike | Tensor, Labels] | None = None,
    recall_ks: Sequence[int] = RECALL_KS,
    confidence: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """How well embeddings find what has their label: `recall_at_k`, `r_precision`, `map_at_r` and `mrr`.

    Without a gallery each item searches all others (leave-one-out). Intervals are of a bootstrap over the labels, since
    items of one label succeed and fail together.

    Args:
        embeddings: (N, D) of any length above 0; compared by cosine similarity.
        labels: N texts or numbers, equal where items are relevant to each other; None or NaN: relevant to nothing.
        gallery: (G, D) embeddings and G labels to be searched with the N queries; None: the queries themselves.
        recall_ks: Numbers of neighbours for `recall_at_k`, each 1 or more.
        confidence: Level of the intervals, between 0 and 1.
        draws: Bootstrap samples, 100 or more.
        seed: Seed of the bootstrap; >= 0.

    Returns:
        The figures; `.metrics["map_at_r"].mean` is one of them, and `print` shows a table.

    Raises:
        ValueError: for shapes that do not fit, an embedding of length 0 or with NaN, or if no query has anything to
            find.

    Example:
        >>> result = retrieval_metrics([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]], ["a", "a", "b", "b"])
        >>> result.metrics["recall_at_1"].mean
        1.0
    """
    bootstrap = BootstrapSettings(draws=draws, confidence=confidence, seed=seed)
    queries = _unit("embeddings", embeddings)
    items = queries if gallery is None else _unit("gallery", gallery[0])
    if queries.shape[1] != items.shape[1]:
        raise ValueError(f"gallery: embeddings of {items.shape[1]} dimensions, the queries' have {queries.shape[1]}")
    item_labels = labels if gallery is None else gallery[1]
    query_groups, item_groups = _groups(labels, item_labels, queries=len(queries), items=len(items))
    query_ids, item_ids = _ids("q" if gallery is not None else "i", len(queries)), _ids("i", len(items))
    scores = score_queries(
        RetrievalSet(
            query_embeddings=queries,
            gallery_embeddings=items,
            query_ids=query_ids,
            gallery_ids=item_ids,
            query_groups=query_groups,
            gallery_groups=item_groups,
        ),
        recall_ks=recall_ks,
    )
    return Evaluation(
        metrics=cluster_bootstrap_intervals(scores.values, query_groups[scores.query_rows], bootstrap=bootstrap),
        queries=len(scores.query_rows),
        lone_queries=scores.lone_queries,
        copied_queries=0,
        near_copied_queries=0,
        gallery=len(items),
        confidence=confidence,
    )


def _unit(name: str, values: ArrayLike | Tensor) -> Tensor:
    """(N, D) float32 of unit length."""
    tensor = values.detach().float() if isinstance(values, Tensor) else torch.tensor(np.asarray(values, np.float32))
    if tensor.ndim != 2:
        raise ValueError(f"{name}: got shape {tuple(tensor.shape)}; allowed: (N, D)")
    lengths = tensor.norm(dim=1)
    wrong = torch.nonzero(~(lengths > 0) | ~torch.isfinite(lengths)).flatten()
    if len(wrong):
        raise ValueError(f"{name}: row {int(wrong[0])} has no direction: zero, NaN or infinite")
    return F.normalize(tensor, dim=1)


def _groups(
    query_labels: Labels, item_labels: Labels, *, queries: int, items: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One numbering for both; `NO_GROUP` where there is no label."""
    both = []
    for name, labels, rows in (("labels", query_labels, queries), ("gallery", item_labels, items)):
        values = list(labels.tolist() if isinstance(labels, Tensor | np.ndarray) else labels)
        if len(values) != rows:
            raise ValueError(f"{name}: {len(values)} labels for {rows} embeddings")
        both += values
    codes, _ = pd.factorize(pd.Series(both, dtype=object), use_na_sentinel=True)
    groups = np.where(codes < 0, NO_GROUP, codes).astype(np.int64)
    return groups[:queries], groups[queries:]


def _ids(prefix: str, count: int) -> list[str]:
    width = len(str(count))
    return [f"{prefix}{row:0{width}d}" for row in range(count)]

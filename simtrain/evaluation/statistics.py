"""How far a mean of retrieval metrics can be trusted: a bootstrap over products, not over queries.

The queries of one product succeed and fail together, so a bootstrap that draws queries gives intervals that are too
narrow. Hence products are drawn, each with all its queries: the cluster bootstrap of Field & Welsh 2007, "Bootstrapping
clustered data", https://doi.org/10.1111/j.1467-9868.2007.00593.x. The ends of an interval are percentiles of the draws:
Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
"""

# Shapes: S queries, P clusters (products), M metrics, T bootstrap draws, B draws of one block.

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK_ELEMENTS = 2**20
"""Weights drawn at once: 8 MiB of float64, and twice as much again while they are counted."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean and its confidence interval, in the unit of the values."""

    mean: float
    """Mean over all queries."""
    low: float
    """Lower end; NaN with fewer than 2 clusters."""
    high: float
    """Upper end; NaN with fewer than 2 clusters."""


def cluster_bootstrap_interval(
    values: NDArray[np.float64], clusters: NDArray[np.int64], *, draws: int, confidence: float, seed: int
) -> Interval:
    """Percentile bootstrap interval of the mean of one metric; see `cluster_bootstrap_intervals`."""
    intervals = cluster_bootstrap_intervals({"values": values}, clusters, draws=draws, confidence=confidence, seed=seed)
    return intervals["values"]


def cluster_bootstrap_intervals(
    values: Mapping[str, NDArray[np.float64]],
    clusters: NDArray[np.int64],
    *,
    draws: int,
    confidence: float,
    seed: int,
) -> dict[str, Interval]:
    """Percentile bootstrap interval of the mean of each metric; all metrics share the same draws.

    One draw takes as many clusters as there are, with replacement, and divides the sum of their values by the number
    of their queries. For a paired comparison give the differences of two encoders' values, query by query.

    Args:
        values: Metric name -> (S,) finite, one value per query.
        clusters: (S,) the cluster of each query, any integers.
        draws: Bootstrap draws T; >= 1, and 1,000 or more for an interval worth printing.
        confidence: Share of intervals that should hold the true mean; between 0 and 1, such as 0.95.
        seed: Of the draws; >= 0.

    Returns:
        Metric name -> mean and interval. With fewer than 2 clusters nothing is known about the spread between clusters,
        and the interval is (NaN, NaN).

    Raises:
        ValueError: No queries, sizes that differ, a value that is not finite, draws or confidence out of range.
    """
    _check(values, clusters, draws=draws, confidence=confidence)
    means = {name: float(metric.mean()) for name, metric in values.items()}
    distinct, cluster_of_query = np.unique(clusters, return_inverse=True)
    if len(distinct) < 2:
        return {name: Interval(mean=mean, low=np.nan, high=np.nan) for name, mean in means.items()}
    bootstrap_means = _bootstrap_means(list(values.values()), cluster_of_query, draws=draws, seed=seed)
    tail = (1.0 - confidence) / 2.0
    lows, highs = np.quantile(bootstrap_means, [tail, 1.0 - tail], axis=0)
    return {
        name: Interval(mean=means[name], low=float(low), high=float(high))
        for name, low, high in zip(values, lows, highs, strict=True)
    }


def cluster_weights(
    *, clusters: int, draws: int, seed: int, block_elements: int = _BLOCK_ELEMENTS
) -> Iterator[NDArray[np.float64]]:
    """How often each cluster is drawn, in blocks (B, P) that hold T rows in all; every row sums to P.

    The rows depend on the seed and the number of clusters only: not on `block_elements`, which bounds the memory.
    """
    generator = np.random.default_rng(seed)
    step = max(1, block_elements // clusters)
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        drawn = generator.integers(0, clusters, size=(rows, clusters))
        drawn += clusters * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * clusters)
        yield counts.reshape(rows, clusters).astype(np.float64)


def _bootstrap_means(
    metrics: Sequence[NDArray[np.float64]], cluster_of_query: NDArray[np.int64], *, draws: int, seed: int
) -> NDArray[np.float64]:
    """Mean of each metric in each draw, (T, M), where the clusters are 0 to P - 1."""
    sizes = np.bincount(cluster_of_query)
    sums = np.stack([sizes, *(np.bincount(cluster_of_query, weights=metric) for metric in metrics)], axis=1)
    totals = np.concatenate(
        [weights @ sums for weights in cluster_weights(clusters=len(sizes), draws=draws, seed=seed)]
    )
    means: NDArray[np.float64] = totals[:, 1:] / totals[:, :1]
    return means


def _check(
    values: Mapping[str, NDArray[np.float64]], clusters: NDArray[np.int64], *, draws: int, confidence: float
) -> None:
    if draws < 1:
        raise ValueError(f"draws is {draws}; allowed: 1 or more")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence}; allowed: between 0 and 1, such as 0.95")
    _check_array("clusters", clusters, rows=len(clusters))
    if len(clusters) == 0:
        raise ValueError("clusters is empty; allowed: one cluster for each of 1 or more queries")
    for name, metric in values.items():
        _check_array(name, metric, rows=len(clusters))
        if not np.isfinite(metric).all():
            row = int(np.flatnonzero(~np.isfinite(metric))[0])
            raise ValueError(f"{name}: value {row} is {metric[row]}; allowed: finite numbers")


def _check_array(name: str, array: NDArray[Any], *, rows: int) -> None:
    if array.shape != (rows,):
        raise ValueError(f"{name} has shape {array.shape}, but clusters has {rows} values")

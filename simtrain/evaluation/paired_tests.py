"""Paired permutation tests of two encoders over products.

The queries of one product succeed and fail together, so nothing here treats queries as independent of each other: the
permutation test exchanges the two encoders product by product, and the interval draws products.
"""

# Shapes: S queries, P clusters (products), M metrics, K seeds, H tests of one family, T permutations, B of one block.

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simtrain.evaluation.statistics import BootstrapSettings, Interval, cluster_bootstrap_differences

_BLOCK_ELEMENTS = 2**20
"""Signs drawn at once: 8 MiB of float64."""
_ROUNDING = 1e-12
"""Sums that differ by less than this share of what was summed are equal: recall_at_k has many ties."""


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Difference of two encoders in one metric over the same queries, in the unit of the metric."""

    interval: Interval
    """Mean over the queries of encoder minus baseline, and its studentised bootstrap interval."""
    p_value: float
    """Two-sided, of the permutation test, not corrected for other tests; in 1 / (T + 1)..1."""


@dataclass(frozen=True, kw_only=True)
class PooledSeeds:
    """One training repeated with several seeds, as one encoder."""

    values: NDArray[np.float64]
    """(S,) mean over the seeds of each query's value."""
    means: tuple[float, ...]
    """Mean over the queries of each seed."""
    spread: float
    """Standard deviation (K - 1 in its denominator) of the seeds' means; NaN for one seed."""


def paired_differences(
    differences: Mapping[str, NDArray[np.float64]],
    clusters: NDArray[np.int64],
    *,
    bootstrap: BootstrapSettings,
) -> dict[str, PairedDifference]:
    """Mean difference of two encoders, its interval, and the p-value of `sign_flip_p_values`.

    The interval is symmetric (`cluster_bootstrap_differences`). It and the test ask in different ways, so that near the
    level one may see a difference which the other does not; verdicts go by the test.

    Args:
        differences: Name -> (S,) finite, the encoder's value minus the baseline's, query by query.
        clusters: (S,) the product of each query, any integers.
        bootstrap: Settings of the interval's draws; as many permutations are drawn, by the same seed. 2,000 draws or
            more for figures worth printing.

    Raises:
        ValueError: as `cluster_bootstrap_differences`.
    """
    intervals = cluster_bootstrap_differences(differences, clusters, bootstrap=bootstrap)
    p_values = sign_flip_p_values(differences, clusters, draws=bootstrap.draws, seed=bootstrap.seed)
    return {name: PairedDifference(interval=intervals[name], p_value=p_values[name]) for name in differences}


def sign_flip_p_values(
    differences: Mapping[str, NDArray[np.float64]], clusters: NDArray[np.int64], *, draws: int, seed: int
) -> dict[str, float]:
    """Two-sided paired permutation test of each mean difference, exchanging the two encoders in whole products.

    If the encoders are alike, a product's queries could as well have come with the encoders' names swapped, which turns
    the sign of all its differences. The statistic is the mean over all S queries, as tables show it. The p-value is
    (b + 1) / (T + 1), where b of T random exchanges give a mean at least as far from 0: Phipson & Smyth 2010,
    "Permutation P-values should never be zero", https://doi.org/10.2202/1544-6115.1585. P products can't give less than
    about 2^(1 - P): 5 products never reach 0.05. All metrics share the exchanges.

    Args:
        differences: Name -> (S,) finite differences, query by query.
        clusters: (S,) the product of each query, any integers.
        draws: Number of permutations, T; >= 1.
        seed: Seed of the permutations; >= 0.

    Returns:
        Name -> p-value. Differences that are all 0 give 1.
    """
    _, cluster_of_query = np.unique(clusters, return_inverse=True)
    sums = np.stack([np.bincount(cluster_of_query, weights=values) for values in differences.values()], axis=1)
    totals = sums.sum(axis=0)
    reached = np.abs(totals) - _ROUNDING * np.abs(sums).sum(axis=0)
    extreme = np.zeros(len(differences), dtype=np.int64)
    for exchanged in exchanges(clusters=len(sums), draws=draws, seed=seed):
        extreme += (np.abs(totals - 2.0 * (exchanged @ sums)) >= reached).sum(axis=0)
    return {name: (int(count) + 1) / (draws + 1) for name, count in zip(differences, extreme, strict=True)}


def holm_corrected(p_values: Sequence[float]) -> tuple[float, ...]:
    """P-values of one family of tests, corrected by Holm's step-down method; at most 1, in the order given.

    The i-th smallest of H is multiplied by H - i + 1, and is at least as large as the one before. Calling everything
    below a level significant then errs anywhere in the family with at most that probability, whatever the tests have to
    do with each other: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
    Statistics 6, 65-70.
    """
    given = np.asarray(p_values, dtype=np.float64)
    ascending = np.argsort(given, kind="stable")
    corrected = np.empty_like(given)
    corrected[ascending] = np.maximum.accumulate(given[ascending] * np.arange(len(given), 0, -1))
    return tuple(np.minimum(corrected, 1.0).tolist())


def pool_seeds(values: NDArray[np.float64]) -> PooledSeeds:
    """Average each query over the seeds of one training.

    Tests and intervals of the averages tell how far the queries of the split can be trusted, for these very seeds; how
    much another seed would give, `spread` alone shows.

    Args:
        values: (K, S), one row per seed, one column per query; K >= 1.
    """
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"values has shape {values.shape}; allowed: (seeds, queries), 1 or more of each")
    means = values.mean(axis=1)
    spread = float(means.std(ddof=1)) if len(means) > 1 else math.nan
    return PooledSeeds(values=values.mean(axis=0), means=tuple(means.tolist()), spread=spread)


def exchanges(
    *, clusters: int, draws: int, seed: int, block_elements: int = _BLOCK_ELEMENTS
) -> Iterator[NDArray[np.float64]]:
    """Which clusters are exchanged, in blocks (B, P) of 0 and 1 with T rows in all, the same whatever the blocks.

    Args:
        clusters: P, number of clusters (products).
        draws: T, number of exchanges; >= 1.
        seed: Seed of the exchanges; >= 0.
        block_elements: Largest number of values in a block, but at least one row's; >= 1.
    """
    if draws < 1:
        raise ValueError(f"draws is {draws}; allowed: 1 or more")
    generator = np.random.default_rng(seed)
    step = max(1, block_elements // clusters)
    width = 4 * math.ceil(clusters / 32)  # the generator hands out 4 bytes at a time: rows must end where these do
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        drawn = np.frombuffer(generator.bytes(rows * width), dtype=np.uint8).reshape(rows, width)
        yield np.unpackbits(drawn, axis=1, count=clusters).astype(np.float64)

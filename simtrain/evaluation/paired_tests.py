"""Paired permutation tests of two encoders over products, and the smallest difference that a split can detect.

The queries of one product succeed and fail together, so nothing here treats queries as independent of each other: the
permutation test exchanges the two encoders product by product, the interval draws products, and the smallest difference
that a split can resolve counts products.
"""

# Shapes: S queries, P clusters (products), M metrics, K seeds, H tests of one family, T permutations, B of one block.

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

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


def resolvable_difference(
    differences: NDArray[np.float64], clusters: NDArray[np.int64], *, level: float, power: float
) -> float:
    """Smallest true mean difference that a two-sided test at `level` finds with probability `power`.

    (t_{1 - level/2} + t_{power}) · standard error: the minimum detectable effect of Bloom 1995,
    https://doi.org/10.1177/0193841X9501900504. The standard error of the mean counts products and corrects for those
    with many queries: √(Σ_products (Σ_queries (d - mean d))² / (1 - n / S)) / S, with n queries of a product (CR2 of
    Bell & McCaffrey 2002). For the same reason Student's t has P' - 1 degrees of freedom, with P' = S² / Σ n², the
    number of products of equal size that say as much (after Carter, Schnepel & Steigerwald 2017,
    https://doi.org/10.1162/REST_a_00639); equal sizes give P' = P. The differences are taken from their mean, so that
    looking at this number tells nothing of the result.

    Args:
        differences: (S,) finite differences, query by query.
        clusters: (S,) the product of each query.
        level: Level of the test, between 0 and 1. The strictest step of Holm's method over H tests is (1 - confidence)
            / H.
        power: Probability of finding the difference, between 0.5 and 1, such as 0.8.

    Returns:
        Smallest difference, in the unit of the differences. NaN where it is unknown: differences without any spread, or
        so few products
        with a difference that the permutation test cannot come below the level.
    """
    _, cluster_of_query = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(cluster_of_query)
    sums = np.bincount(cluster_of_query, weights=differences)
    if 2.0 ** (1 - int((np.abs(sums) > _ROUNDING).sum())) > level:
        return math.nan
    standard_error = _standard_error(sums - sizes * differences.mean(), sizes)
    return _smallest(standard_error, sizes, level=level, power=power)


def resolvable_difference_beforehand(
    baseline_values: NDArray[np.float64],
    clusters: NDArray[np.int64],
    *,
    correlation: float,
    level: float,
    power: float,
) -> float:
    """`resolvable_difference` before there is a second encoder: from the baseline's values of the same queries alone.

    The standard error of the difference of two encoders whose products vary alike is √(2 · (1 - correlation)) times
    that of one of them.

    Args:
        baseline_values: (S,) finite values of the baseline, query by query.
        clusters: (S,) the product of each query.
        correlation: Assumed correlation of the two encoders' results over products; below 1. 0 is pessimistic.
        level: Level of the test, as for `resolvable_difference`.
        power: Power of the test, as for `resolvable_difference`.
    """
    if not -1.0 <= correlation < 1.0:
        raise ValueError(f"correlation is {correlation}; allowed: -1 or more and below 1")
    return math.sqrt(2.0 * (1.0 - correlation)) * resolvable_difference(
        baseline_values, clusters, level=level, power=power
    )


def resolvable_share(
    clusters: NDArray[np.int64], *, discordant_share: float, within_product: float, level: float, power: float
) -> float:
    """Smallest difference of two shares, such as recall_at_1, that a split can resolve: before any encoder has run.

    Where one query counts 0 or 1, the variance of a difference is at most the share of queries at which exactly one of
    the encoders is right (Connor 1987, https://doi.org/10.2307/2531961). Queries of one product that agree multiply it
    by 1 + (Σ n² / Σ n - 1) · within_product, with n queries of a product (Eldridge, Ashby & Kerry 2006,
    https://doi.org/10.1093/ije/dyl129, whose (cv² + 1) · mean n is Σ n² / Σ n).

    Args:
        clusters: (S,) the product of each query of the split.
        discordant_share: Assumed share of queries at which exactly one of the two encoders is right; above 0, at most
            1.
        within_product: Assumed intraclass correlation of the differences within a product, 0..1. 1 is pessimistic.
        level: Level of the test, as for `resolvable_difference`.
        power: Power of the test, as for `resolvable_difference`.

    Returns:
        Smallest difference, 0..1. NaN where no difference can be resolved: too few products, or so few
        discordant queries that the encoders cannot differ by as much.
    """
    if not 0.0 < discordant_share <= 1.0:
        raise ValueError(f"discordant_share is {discordant_share}; allowed: above 0, at most 1")
    if not 0.0 <= within_product <= 1.0:
        raise ValueError(f"within_product is {within_product}; allowed: 0 to 1")
    sizes = np.unique(clusters, return_counts=True)[1]
    queries = float(sizes.sum())
    design_effect = 1.0 + (float((sizes.astype(np.float64) ** 2).sum()) / queries - 1.0) * within_product
    standard_error = math.sqrt(discordant_share * design_effect / queries)
    smallest = _smallest(standard_error, sizes, level=level, power=power)
    return smallest if smallest <= discordant_share else math.nan


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


def _standard_error(centred_sums: NDArray[np.float64], sizes: NDArray[np.int64]) -> float:
    queries = float(sizes.sum())
    if len(sizes) == 1:
        return 0.0
    return math.sqrt(float((centred_sums**2 / (1.0 - sizes / queries)).sum())) / queries


def _smallest(standard_error: float, sizes: NDArray[np.int64], *, level: float, power: float) -> float:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}; allowed: between 0 and 1, such as 0.05")
    if not 0.5 <= power < 1.0:
        raise ValueError(f"power is {power}; allowed: 0.5 or more and below 1, such as 0.8")
    products = float(sizes.sum()) ** 2 / float((sizes.astype(np.float64) ** 2).sum())  # of equal size, that say as much
    if 2.0 ** (1.0 - products) > level or standard_error <= _ROUNDING:
        return math.nan
    freedom = products - 1.0
    return (_student_quantile(1.0 - level / 2.0, freedom) + _student_quantile(power, freedom)) * standard_error


def _student_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t by its expansion around the normal one: Abramowitz & Stegun 1964, equation 26.7.5.

    Too small by 0.01 % at the 0.975 quantile with 5 degrees of freedom, by 0.08 % at 0.995; closer with more.
    """
    z = NormalDist().inv_cdf(probability)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / freedom**order for order, term in enumerate(terms))

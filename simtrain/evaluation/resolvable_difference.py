"""Smallest difference between two encoders that a split can detect: before any has run, from `val`, and afterwards.

The queries of one product succeed and fail together, so every standard error here counts products.
"""

# Shapes: S queries, P clusters (products).

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-12
"""Sums of differences below it are none."""


@dataclass(frozen=True, kw_only=True)
class DifferenceSpread:
    """How differences of two encoders vary from query to query.

    Attributes:
        variance: Variance of a query's difference.
        within_product: Covariance of two queries of one product; 0 to `variance`.
    """

    variance: float
    within_product: float


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


def resolvable_share(
    clusters: NDArray[np.int64],
    *,
    discordant_share: float,
    within_product: float,
    level: float,
    power: float,
    ranks: NDArray[np.int64] | None = None,
) -> float:
    """Smallest difference of two shares, such as recall_at_1, that a split can resolve: before any encoder has run.

    Where one query counts 0 or 1, the variance of a difference is at most the share of queries at which exactly one of
    the encoders is right (Connor 1987, https://doi.org/10.2307/2531961). Queries of one product that agree multiply it
    by 1 + (Σ n² / Σ n - 1) · within_product, with n queries of a product (Eldridge, Ashby & Kerry 2006,
    https://doi.org/10.1093/ije/dyl129, whose (cv² + 1) · mean n is Σ n² / Σ n).

    MAP@R of a query with R relevant images is taken for the mean of R such answers, which agree within a product as
    those of different queries do: its variance is a share within_product + (1 - within_product) / R of the one above,
    and the covariance of two queries stays. Measured on 108 products of 6 images by encoders of one family, the
    differences in MAP@R varied less (0.015 and 0.054, where this gives 0.072), by very different ones more (0.13).

    Args:
        clusters: (S,) the product of each query of the split.
        discordant_share: Assumed share of queries at which exactly one of the two encoders is right; above 0, at most
            1.
        within_product: Assumed intraclass correlation of the differences within a product, 0..1. 1 is pessimistic.
        level: Level of the test, as for `resolvable_difference`.
        power: Power of the test, as for `resolvable_difference`.
        ranks: (S,) number of relevant images R of each query, for MAP@R; None: one answer a query, as for recall_at_k.

    Returns:
        Smallest difference, 0..1. NaN where no difference can be resolved: too few products, or so few
        discordant queries that the encoders cannot differ by as much.
    """
    if not 0.0 < discordant_share <= 1.0:
        raise ValueError(f"discordant_share is {discordant_share}; allowed: above 0, at most 1")
    if not 0.0 <= within_product <= 1.0:
        raise ValueError(f"within_product is {within_product}; allowed: 0 to 1")
    answers = 1.0 if ranks is None else float((1.0 / ranks).mean())  # of the mean of R answers, 1 / R each
    variance = discordant_share * (within_product + (1.0 - within_product) * answers)
    spread = DifferenceSpread(variance=variance, within_product=discordant_share * within_product)
    smallest = resolvable_by_spread(clusters, spread, level=level, power=power)
    return smallest if smallest <= discordant_share else math.nan


def resolvable_by_spread(clusters: NDArray[np.int64], spread: DifferenceSpread, *, level: float, power: float) -> float:
    """`resolvable_difference` of a split from the spread of differences alone.

    The variance of the mean is (variance + (Σ n² / Σ n - 1) · within_product) / S, with n queries of a product.

    Args:
        clusters: (S,) the product of each query of the split.
        spread: Assumed, or measured by `spread_of` on another split of like products.
        level: Level of the test, as for `resolvable_difference`.
        power: Power of the test, as for `resolvable_difference`.

    Returns:
        Smallest difference, in the unit of the differences; NaN where it is unknown.
    """
    sizes = np.unique(clusters, return_counts=True)[1]
    queries = float(sizes.sum())
    others = float((sizes.astype(np.float64) ** 2).sum()) / queries - 1.0
    standard_error = math.sqrt((spread.variance + others * spread.within_product) / queries)
    return _smallest(standard_error, sizes, level=level, power=power)


def spread_of(differences: NDArray[np.float64], clusters: NDArray[np.int64]) -> DifferenceSpread:
    """Spread of the differences of two encoders, by the method of moments.

    The covariance within products is the mean product of the deviations of all pairs of queries of one product; without
    any such pair it is taken for as large as the variance, and a negative one for 0.

    Args:
        differences: (S,) finite differences, query by query; S >= 1.
        clusters: (S,) the product of each query.
    """
    deviations = differences - differences.mean()
    squares = deviations**2
    variance = float(squares.mean())
    _, product = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(product)
    pairs = float((sizes * (sizes - 1)).sum())
    if pairs == 0:
        return DifferenceSpread(variance=variance, within_product=variance)
    sums = np.bincount(product, weights=deviations)
    covariance = float((sums**2 - np.bincount(product, weights=squares)).sum()) / pairs
    return DifferenceSpread(variance=variance, within_product=min(max(covariance, 0.0), variance))


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

"""A validation figure, product by product, and how sure the difference of two epochs in it is."""

# Shapes: P products, K means that a figure is made of.

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEAST = 0.001


def geometric_mean(values: Iterable[float]) -> float:
    """Geometric mean of shares, 0..1; less than 0.001 counts as 0.001, so that one that is 0 does not make it 0."""
    logs = [math.log(max(value, _LEAST)) for value in values]
    return math.exp(sum(logs) / len(logs))


@dataclass(frozen=True, kw_only=True)
class ProductSums:
    """A figure that is the geometric mean of K means over queries (K = 1: a mean), as sums over each product's queries.

    Attributes:
        sums: (P, K) float64 sums of the queries' values.
        counts: (P, K) float64 numbers of queries.
    """

    sums: NDArray[np.float64]
    counts: NDArray[np.float64]

    def without_each(self) -> NDArray[np.float64]:
        """(P,) the figure without each product's queries; where none would be left for a mean, it stays as it is."""
        totals, numbers = self.sums.sum(axis=0), self.counts.sum(axis=0)
        left = numbers - self.counts
        means = np.divide(totals - self.sums, left, out=np.tile(totals / numbers, (len(left), 1)), where=left > 0)
        figures: NDArray[np.float64] = np.exp(np.log(np.maximum(means, _LEAST)).mean(axis=1))
        return figures


def standard_error(one: ProductSums, other: ProductSums | None = None) -> float:
    """Standard error of the difference of a figure of two encoders over the same queries, by the jackknife.

    Without another encoder it is that of the figure itself.

    The jackknife leaves out one product at a time, as the queries of one product succeed and fail together: the squared
    error is (P - 1) / P times the sum of squares of the differences so found, around their mean. Efron & Stein 1981,
    "The jackknife estimate of variance", Annals of Statistics 9.

    Returns:
        The error in the figure's unit; 0 for one product, of which nothing is known.
    """
    differences = one.without_each() - (0.0 if other is None else other.without_each())
    count = len(differences)
    return math.sqrt((count - 1) / count * float(((differences - differences.mean()) ** 2).sum()))

"""Standard errors of differences of a figure, against formulas and a jackknife by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from simtrain.training.product_sums import ProductSums, geometric_mean, standard_error


def mean_of(values: np.ndarray) -> ProductSums:
    """A mean over products of one query each."""
    return ProductSums(sums=values[:, None], counts=np.ones((len(values), 1)))


def test_of_a_plain_mean_it_is_the_standard_error_of_the_paired_differences() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.uniform(0.1, 1.0, size=(2, 40))
    assert standard_error(mean_of(one), mean_of(other)) == pytest.approx(stats.sem(one - other))


def test_of_products_with_several_queries_and_two_means_it_is_the_jackknife_s() -> None:
    generator = np.random.default_rng(1)
    products = np.repeat(np.arange(6), [1, 4, 2, 3, 2, 5])
    one, other = generator.uniform(0.1, 1.0, size=(2, 2, len(products)))  # two metrics of every query

    def sums(values: np.ndarray) -> ProductSums:
        added = np.stack([np.bincount(products, weights=metric) for metric in values], axis=1)
        return ProductSums(sums=added, counts=np.stack([np.bincount(products)] * 2, axis=1).astype(float))

    left_out = [
        math.sqrt(one[0, rest].mean() * one[1, rest].mean()) - math.sqrt(other[0, rest].mean() * other[1, rest].mean())
        for rest in (products != product for product in range(6))
    ]
    expected = math.sqrt(5 / 6 * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    assert standard_error(sums(one), sums(other)) == pytest.approx(expected)


def test_of_one_product_nothing_is_known() -> None:
    assert standard_error(mean_of(np.array([0.5])), mean_of(np.array([0.3]))) == 0


def test_a_product_that_holds_all_queries_of_one_mean_leaves_it_as_it_is() -> None:
    products = ProductSums(sums=np.array([[0.8, 0.5], [0.2, 0.0]]), counts=np.array([[1.0, 1.0], [1.0, 0.0]]))
    assert products.without_each() == pytest.approx([math.sqrt(0.2 * 0.5), math.sqrt(0.8 * 0.5)])


def test_a_share_that_is_0_does_not_make_the_geometric_mean_0() -> None:
    assert geometric_mean([0.0, 0.9]) == pytest.approx(math.sqrt(0.001 * 0.9))
    assert geometric_mean([0.4]) == pytest.approx(0.4)

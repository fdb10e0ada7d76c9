"""Paired tests against scipy, arithmetic, and simulated splits whose truth is known."""

# Shapes: S queries, P products, T draws.

import math

import numpy as np
import pytest
from scipy import stats
from simulated_splits import p_value, split_of_differences, split_of_hits

from simtrain.evaluation.paired_tests import (
    exchanges,
    holm_corrected,
    paired_differences,
    pool_seeds,
)
from simtrain.evaluation.statistics import BootstrapSettings, cluster_bootstrap_differences, cluster_bootstrap_interval


@pytest.mark.parametrize("metric", ["continuous", "hits"])
def test_p_value_is_scipys_of_all_exchanges(metric: str) -> None:
    generator = np.random.default_rng(4)
    clusters = np.repeat(np.arange(9) * 7 - 20, [1, 4, 2, 2, 1, 3, 1, 1, 2])
    differences = generator.normal(0.2, 0.4, len(clusters))
    if metric == "hits":
        differences = np.round(differences)  # -1, 0 and 1: many exchanges tie with what was seen
    sums = np.array([differences[clusters == product].sum() for product in np.unique(clusters)])
    exact = stats.permutation_test(
        (sums,), lambda flipped, axis: flipped.sum(axis=axis), permutation_type="samples", n_resamples=np.inf
    )
    found = p_value(differences, clusters, draws=40_000)
    assert 0.02 < exact.pvalue < 0.9
    assert found == pytest.approx(exact.pvalue, abs=4 * math.sqrt(exact.pvalue * (1 - exact.pvalue) / 40_000))


def test_smallest_p_value_is_one_in_draws_plus_one() -> None:
    assert p_value(np.full(60, 0.25), np.arange(60), draws=999) == 1 / 1000


def test_encoders_that_do_equally_well_have_p_value_1() -> None:
    assert p_value(np.zeros(50), np.arange(50), draws=99) == 1.0


def test_ties_survive_rounding() -> None:
    whole = np.array([1.0, 2.0, -3.0, 7.0, 6.0, 1.0, -2.0, 3.0, 1.0])  # exact sums, many exchanges of which tie
    assert p_value(whole / 10, np.arange(9), draws=999) == p_value(whole, np.arange(9), draws=999)


def test_one_product_has_p_value_1() -> None:
    assert p_value(np.ones(500), np.zeros(500, dtype=np.int64), draws=99) == 1.0


def test_queries_of_one_product_count_once() -> None:
    # Better at all 400 queries, but of 4 products: 2 of the 16 exchanges are as extreme.
    assert p_value(np.ones(400), np.repeat(np.arange(4), 100), draws=20_000) == pytest.approx(2 / 16, abs=0.01)


def test_swapping_the_encoders_keeps_the_p_value() -> None:
    differences, clusters = split_of_differences(np.random.default_rng(0), 40, truth=0.05)
    assert p_value(differences, clusters, draws=500) == p_value(-differences, clusters, draws=500)


def test_seed_decides_the_p_value() -> None:
    differences, clusters = split_of_differences(np.random.default_rng(1), 40, truth=0.02)
    first, again, other = (p_value(differences, clusters, draws=500, seed=seed) for seed in (4, 4, 5))
    assert first == again != other


@pytest.mark.parametrize("clusters", [1, 7, 32, 33, 100])
def test_exchanges_are_fair_coins_whatever_the_blocks(clusters: int) -> None:
    whole = np.concatenate(list(exchanges(clusters=clusters, draws=3000, seed=2)))
    small = list(exchanges(clusters=clusters, draws=3000, seed=2, block_elements=3 * clusters))
    np.testing.assert_array_equal(np.concatenate(small), whole)
    assert {len(block) for block in small} == {3}
    assert whole.shape == (3000, clusters)
    assert set(np.unique(whole).tolist()) == {0.0, 1.0}
    assert np.abs(whole.mean(axis=0) - 0.5).max() < 4.5 * 0.5 / math.sqrt(3000)
    if clusters > 1:
        correlations = np.corrcoef(whole.T)[np.triu_indices(clusters, 1)]
        assert np.abs(correlations).max() < 5 / math.sqrt(3000)


def test_paired_differences_are_the_interval_and_the_test() -> None:
    differences, clusters = split_of_differences(np.random.default_rng(2), 50, truth=0.1)
    found = paired_differences(
        {"a": differences, "b": -differences}, clusters, bootstrap=BootstrapSettings(draws=400, confidence=0.9, seed=6)
    )
    drawn = {"bootstrap": BootstrapSettings(draws=400, confidence=0.9, seed=6)}
    assert found["a"].interval == cluster_bootstrap_differences({"a": differences}, clusters, **drawn)["a"]
    assert found["a"].p_value == found["b"].p_value == p_value(differences, clusters, draws=400, seed=6)
    assert found["b"].interval.mean == pytest.approx(-differences.mean())


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ((0.01, 0.04, 0.03, 0.005), (0.03, 0.06, 0.06, 0.02)),  # 0.005·4, 0.01·3, 0.03·2, then 0.04·1 is held at 0.06
        ((0.6, 0.5), (1.0, 1.0)),
        ((0.02, 0.02, 0.02), (0.06, 0.06, 0.06)),
        ((0.03,), (0.03,)),
        ((), ()),
    ],
)
def test_holm_by_hand(p_values: tuple[float, ...], expected: tuple[float, ...]) -> None:
    assert holm_corrected(p_values) == pytest.approx(expected)


def test_seeds_are_averaged_query_by_query() -> None:
    pooled = pool_seeds(np.array([[0.0, 1.0, 0.5, 0.5], [1.0, 1.0, 0.5, 0.7], [0.5, 1.0, 0.5, 0.6]]))
    assert pooled.values == pytest.approx([0.5, 1.0, 0.5, 0.6])
    assert pooled.means == pytest.approx((0.5, 0.8, 0.65))
    assert pooled.spread == pytest.approx(0.15)  # √((0.15² + 0.15² + 0) / 2)


def test_one_seed_has_no_spread() -> None:
    pooled = pool_seeds(np.array([[0.25, 0.75]]))
    assert pooled.means == (0.5,)
    assert math.isnan(pooled.spread)


def test_other_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match=r"^draws is 0; allowed: 1 or more$"):
        p_value(np.ones(3), np.arange(3), draws=0)
    with pytest.raises(ValueError, match=r"^values has shape \(3,\); allowed: \(seeds, queries\), 1 or more of each$"):
        pool_seeds(np.zeros(3))


# 500 splits know a share of 0.95 to within 0.01, one standard error.
@pytest.mark.slow
@pytest.mark.parametrize("products", [10, 20, 50, 100, 200])
@pytest.mark.parametrize("kind", ["share", "difference"])
def test_95_percent_intervals_of_500_splits_hold_the_truth(kind: str, products: int) -> None:
    generator = np.random.default_rng(products)
    truth = 0.8 if kind == "share" else 0.03
    held = 0
    for seed in range(500):
        if kind == "share":
            split = split_of_hits(generator, products)
            interval = cluster_bootstrap_interval(
                *split, bootstrap=BootstrapSettings(draws=1000, confidence=0.95, seed=seed)
            )
        else:
            values, clusters = split_of_differences(generator, products, truth=truth)
            found = paired_differences(
                {"a": values}, clusters, bootstrap=BootstrapSettings(draws=1000, confidence=0.95, seed=seed)
            )
            interval = found["a"].interval
        held += interval.low <= truth <= interval.high
    print(f"{kind}, {products} products: {held / 500:.3f}")
    assert 0.92 <= held / 500 <= 0.98

"""Paired tests against scipy, arithmetic, and simulated splits whose truth is known."""

# Shapes: S queries, P products, T draws.

import math
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from simtrain.evaluation.paired_tests import (
    exchanges,
    holm_corrected,
    paired_differences,
    pool_seeds,
    resolvable_difference,
    resolvable_difference_beforehand,
    resolvable_share,
    sign_flip_p_values,
)
from simtrain.evaluation.statistics import BootstrapSettings, cluster_bootstrap_differences, cluster_bootstrap_interval

Split = tuple[NDArray[np.float64], NDArray[np.int64]]


def p_value(differences: NDArray[np.float64], clusters: NDArray[np.int64], *, draws: int, seed: int = 0) -> float:
    return sign_flip_p_values({"map_at_r": differences}, clusters, draws=draws, seed=seed)["map_at_r"]


def skewed_clusters(generator: np.random.Generator, products: int) -> NDArray[np.int64]:
    """1 to 60 queries of each product: half of the products have 3 or fewer, a tenth 10 or more."""
    sizes = np.ceil(generator.lognormal(1.0, 1.0, products)).astype(np.int64).clip(1, 60)
    return np.repeat(np.arange(products), sizes)


def split_of_hits(generator: np.random.Generator, products: int) -> Split:
    """Queries right or wrong: products of very different difficulty, 0.8 of the queries right in the long run."""
    clusters = skewed_clusters(generator, products)
    difficulty = generator.beta(2.4, 0.6, products)
    return (generator.random(len(clusters)) < difficulty[clusters]).astype(np.float64), clusters


def split_of_differences(generator: np.random.Generator, products: int, *, truth: float) -> Split:
    """Differences of two encoders: every product has its own, and every query adds to it."""
    clusters = skewed_clusters(generator, products)
    own = generator.normal(truth, 0.15, products)
    return own[clusters] + generator.normal(0.0, 0.3, len(clusters)), clusters


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


def test_resolvable_difference_of_single_queries_is_that_of_a_t_test() -> None:
    differences = np.random.default_rng(7).normal(0.3, 0.2, 40)
    multiplier = stats.t.ppf(0.975, 39) + stats.t.ppf(0.8, 39)
    expected = multiplier * differences.std(ddof=1) / math.sqrt(40)
    found = resolvable_difference(differences, np.arange(40), level=0.05, power=0.8)
    assert found == pytest.approx(expected, rel=1e-6)


def test_resolvable_difference_counts_products() -> None:
    differences, clusters = split_of_differences(np.random.default_rng(8), 30, truth=0.1)
    squares, sizes = 0.0, []
    for product in range(30):
        own = differences[clusters == product]
        squares += sum(own - differences.mean()) ** 2 / (1 - len(own) / len(differences))
        sizes.append(len(own))
    standard_error = math.sqrt(squares) / len(differences)
    freedom = sum(sizes) ** 2 / sum(size**2 for size in sizes) - 1
    assert 5 < freedom < 25
    expected = (stats.t.ppf(1 - 0.01 / 2, freedom) + stats.t.ppf(0.9, freedom)) * standard_error
    assert resolvable_difference(differences, clusters, level=0.01, power=0.9) == pytest.approx(expected, rel=3e-4)


@pytest.mark.parametrize(("products", "level"), [(6, 0.05), (10, 0.01), (40, 0.001)])
def test_students_quantile_is_scipys(products: int, level: float) -> None:
    differences = np.resize([1.0, -1.0], products)
    multiplier = stats.t.ppf(1 - level / 2, products - 1) + stats.t.ppf(0.8, products - 1)
    expected = multiplier * differences.std(ddof=1) / math.sqrt(products)
    found = resolvable_difference(differences, np.arange(products), level=level, power=0.8)
    assert found == pytest.approx(expected, rel=4e-4)


def test_resolvable_difference_tells_nothing_of_the_result() -> None:
    differences, clusters = split_of_differences(np.random.default_rng(9), 30, truth=0.0)
    found = [resolvable_difference(differences + shift, clusters, level=0.05, power=0.8) for shift in (0.0, 0.2, -5.0)]
    assert found == pytest.approx([found[0]] * 3)


@pytest.mark.parametrize(
    "differences",
    [
        np.array([0.1, -0.2, 0.3, 0.1, 0.2]),  # 5 products: p-values of 1/16 or more
        np.concatenate([np.ones(5), np.zeros(200)]),  # likewise, as only 5 products differ
        np.full(50, 0.1),
        np.zeros(50),
        np.ones(1),
    ],
)
def test_what_cannot_be_resolved_is_nan(differences: NDArray[np.float64]) -> None:
    clusters = np.arange(len(differences))
    assert math.isnan(resolvable_difference(differences, clusters, level=0.05, power=0.8))


def test_beforehand_is_the_difference_of_two_such_encoders() -> None:
    generator = np.random.default_rng(10)
    clusters = np.arange(20_000)
    shared, first, second = generator.normal(size=(3, 20_000))
    baseline, other = (math.sqrt(0.7) * shared + math.sqrt(0.3) * own for own in (first, second))
    beforehand = resolvable_difference_beforehand(baseline, clusters, correlation=0.7, level=0.05, power=0.8)
    afterwards = resolvable_difference(other - baseline, clusters, level=0.05, power=0.8)
    assert beforehand == pytest.approx(afterwards, rel=0.03)


def test_resolvable_share_by_arithmetic() -> None:
    # 1,247 queries, each of its own product, a fifth of them discordant: (1.960 + 0.842)·√(0.2 / 1247) = 0.0355.
    found = resolvable_share(np.arange(1247), discordant_share=0.2, within_product=1.0, level=0.05, power=0.8)
    assert found == pytest.approx(0.0355, abs=5e-5)
    # 10 products of 10 queries and 10 of 30, that agree wholly: variance times (10·100 + 10·900) / 400 = 25.
    clusters = np.repeat(np.arange(20), [10] * 10 + [30] * 10)
    freedom = 400**2 / (10 * 100 + 10 * 900) - 1
    expected = (stats.t.ppf(0.975, freedom) + stats.t.ppf(0.8, freedom)) * math.sqrt(0.6 * 25 / 400)
    found = resolvable_share(clusters, discordant_share=0.6, within_product=1.0, level=0.05, power=0.8)
    assert found == pytest.approx(expected, rel=1e-5)


def test_share_beyond_the_discordant_queries_cannot_be_resolved() -> None:
    found = resolvable_share(np.arange(100), discordant_share=0.02, within_product=0.0, level=0.05, power=0.8)
    assert math.isnan(found)  # (1.984 + 0.845)·√(0.02 / 100) = 0.040, but two encoders differ by at most 0.02


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"level": 5.0}, "level is 5.0; allowed: between 0 and 1, such as 0.05"),
        ({"power": 80.0}, "power is 80.0; allowed: 0.5 or more and below 1, such as 0.8"),
        ({"discordant_share": 0.0}, "discordant_share is 0.0; allowed: above 0, at most 1"),
        ({"within_product": 1.5}, "within_product is 1.5; allowed: 0 to 1"),
    ],
)
def test_wrong_settings_of_a_share_are_named(setting: dict[str, float], message: str) -> None:
    settings = {"discordant_share": 0.5, "within_product": 0.0, "level": 0.05, "power": 0.8} | setting
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        resolvable_share(np.arange(9), **settings)


def test_other_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match=r"^draws is 0; allowed: 1 or more$"):
        p_value(np.ones(3), np.arange(3), draws=0)
    with pytest.raises(ValueError, match=r"^values has shape \(3,\); allowed: \(seeds, queries\), 1 or more of each$"):
        pool_seeds(np.zeros(3))
    with pytest.raises(ValueError, match=r"^correlation is 1.0; allowed: -1 or more and below 1$"):
        resolvable_difference_beforehand(np.ones(3), np.arange(3), correlation=1.0, level=0.05, power=0.8)


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


@pytest.mark.slow
@pytest.mark.parametrize(("products", "at_least"), [(20, 0.76), (50, 0.76), (100, 0.76), (300, 0.76)])
def test_power_at_the_resolvable_difference(products: int, at_least: float) -> None:
    generator = np.random.default_rng(products)
    null = [split_of_differences(generator, products, truth=0.0) for _ in range(300)]
    known = [resolvable_difference(*split, level=0.05, power=0.8) for split in null]
    assert np.isnan(known).mean() < 0.1  # of 20 products a few splits have one that outweighs the rest
    smallest = float(np.nanmean(known))
    found = 0
    for seed in range(1000):
        split = split_of_differences(generator, products, truth=smallest)
        found += p_value(*split, draws=999, seed=seed) < 0.05
    print(f"{products} products: {smallest:.4f} is found in {found / 1000:.3f}")
    assert at_least <= found / 1000 <= 0.85


@pytest.mark.slow
@pytest.mark.parametrize("within_product", [0.0, 0.4])
def test_power_at_the_resolvable_share(within_product: float) -> None:
    generator = np.random.default_rng(5)
    clusters = skewed_clusters(generator, 150)
    smallest = resolvable_share(clusters, discordant_share=0.2, within_product=within_product, level=0.05, power=0.8)
    likely = [0.1 - smallest / 2, 0.8, 0.1 + smallest / 2]
    found = 0
    for seed in range(1000):
        own = generator.choice([-1.0, 0.0, 1.0], size=len(clusters), p=likely)
        of_product = generator.choice([-1.0, 0.0, 1.0], size=150, p=likely)[clusters]
        # Two queries of a product are alike if both take the product's value: √ρ · √ρ.
        takes = generator.random(len(clusters)) < math.sqrt(within_product)
        found += p_value(np.where(takes, of_product, own), clusters, draws=999, seed=seed) < 0.05
    print(f"{within_product}: {smallest:.4f} is found in {found / 1000:.3f}")
    assert found / 1000 == pytest.approx(0.8, abs=0.05)

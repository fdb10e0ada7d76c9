"""The smallest difference that a split can detect, against scipy, arithmetic and simulated comparisons."""

import math
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from simulated_splits import p_value, skewed_clusters, split_of_differences

from simtrain.evaluation.resolvable_difference import (
    resolvable_by_spread,
    resolvable_difference,
    resolvable_share,
    spread_of,
)


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


def test_map_at_r_of_one_relevant_image_is_recall_at_1() -> None:
    clusters = skewed_clusters(np.random.default_rng(1), 60)
    settings = {"discordant_share": 0.2, "within_product": 0.2, "level": 0.05, "power": 0.8}
    found = resolvable_share(clusters, ranks=np.ones(len(clusters), dtype=np.int64), **settings)
    assert found == pytest.approx(resolvable_share(clusters, **settings))


def test_map_at_r_by_arithmetic() -> None:
    # 108 products of 6 images: a query's mean of 5 answers varies by 0.2 · (0.2 + 0.8 / 5) = 0.072, two queries of a
    # product vary together by 0.04, and the mean of all by (0.072 + 5 · 0.04) / 648 = 0.02049 ^ 2.
    clusters = np.repeat(np.arange(108), 6)
    quantiles = stats.t.ppf(0.975, 107) + stats.t.ppf(0.8, 107)
    found = resolvable_share(
        clusters, ranks=np.full(648, 5), discordant_share=0.2, within_product=0.2, level=0.05, power=0.8
    )
    assert found == pytest.approx(quantiles * math.sqrt(0.272 / 648), rel=1e-5)


def test_spread_is_the_variance_and_the_mean_product_of_pairs() -> None:
    generator = np.random.default_rng(3)
    clusters = generator.permutation(np.repeat(np.arange(5), [1, 2, 3, 4, 2]))
    differences = generator.normal(size=5)[clusters] + generator.normal(size=12)
    deviations = differences - differences.mean()
    pairs = [
        deviations[i] * deviations[j] for i in range(12) for j in range(12) if i != j and clusters[i] == clusters[j]
    ]
    found = spread_of(differences, clusters)
    assert found.variance == pytest.approx(differences.var())
    assert found.within_product == pytest.approx(np.mean(pairs))


def test_covariance_of_a_spread_lies_between_0_and_the_variance() -> None:
    assert spread_of(np.array([1.0, -1.0, -1.0, 1.0]), np.array([0, 0, 1, 1])).within_product == 0
    assert spread_of(np.array([1.0, -1.0, 0.5]), np.arange(3)).within_product == pytest.approx(
        np.var([1.0, -1.0, 0.5])
    )  # nothing is known of pairs


def test_of_equal_products_the_spread_says_what_the_differences_say() -> None:
    clusters = np.repeat(np.arange(200), 4)
    generator = np.random.default_rng(4)
    differences = generator.normal(0.0, 0.2, 200)[clusters] + generator.normal(0.0, 0.3, 800)
    found = resolvable_by_spread(clusters, spread_of(differences, clusters), level=0.05, power=0.8)
    assert found == pytest.approx(resolvable_difference(differences, clusters, level=0.05, power=0.8), rel=0.01)


def map_at_r(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(S,) MAP@R of queries whose R first images are right or wrong, (S, R)."""
    precision = right.cumsum(axis=1) / np.arange(1, right.shape[1] + 1)
    return (precision * right).mean(axis=1)


def simulated_map_at_r(
    generator: np.random.Generator, clusters: NDArray[np.int64], *, better_by: float, relevant: int
) -> NDArray[np.float64]:
    """Differences in MAP@R of two encoders, of which each product suits one more than the other."""
    products = int(clusters.max()) + 1
    skill = generator.beta(4.0, 2.0, products)
    lean = generator.normal(0.0, 0.12, (2, products))
    sides = [np.clip(skill + lean[side] + side * better_by, 0.0, 1.0)[clusters] for side in (0, 1)]
    drawn = [generator.random((len(clusters), relevant)) < side[:, None] for side in sides]
    return map_at_r(drawn[1]) - map_at_r(drawn[0])


@pytest.mark.slow
@pytest.mark.parametrize("within_product", [0.0, 0.2])
@pytest.mark.parametrize("relevant", [1, 5, 30])
def test_power_at_the_resolvable_map_at_r(relevant: int, within_product: float) -> None:
    """Answers of -1, 0 and 1, R a query, of which two of one product are alike with the assumed correlation."""
    generator = np.random.default_rng(relevant)
    clusters = skewed_clusters(generator, 150)
    ranks = np.full(len(clusters), relevant)
    smallest = resolvable_share(
        clusters, ranks=ranks, discordant_share=0.2, within_product=within_product, level=0.05, power=0.8
    )
    likely = [0.1 - smallest / 2, 0.8, 0.1 + smallest / 2]
    found = 0
    for seed in range(600):
        own = generator.choice([-1.0, 0.0, 1.0], size=(len(clusters), relevant), p=likely)
        of_product = generator.choice([-1.0, 0.0, 1.0], size=150, p=likely)[clusters]
        takes = generator.random(own.shape) < math.sqrt(within_product)
        answers = np.where(takes, of_product[:, None], own).mean(axis=1)
        found += p_value(answers, clusters, draws=499, seed=seed) < 0.05
    print(f"R {relevant}, {within_product}: {smallest:.4f} is found in {found / 600:.3f}")
    assert found / 600 == pytest.approx(0.8, abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("relevant", [1, 5, 30])
def test_the_spread_on_val_tells_what_test_detects(relevant: int) -> None:
    """MAP@R of simulated rankings: measured on 80 products, found on 150 others in the promised share of splits."""
    generator = np.random.default_rng(relevant)
    val, test = skewed_clusters(generator, 80), skewed_clusters(generator, 150)
    said = [
        resolvable_by_spread(
            test,
            spread_of(simulated_map_at_r(generator, val, better_by=0.0, relevant=relevant), val),
            level=0.05,
            power=0.8,
        )
        for _ in range(50)
    ]
    smallest = float(np.mean(said))
    points = np.linspace(0.0, 0.3, 13)
    means = [
        np.mean([
            simulated_map_at_r(generator, test, better_by=by, relevant=relevant).mean() for _ in range(60)
        ])
        for by in points
    ]  # fmt: skip
    better_by = float(np.interp(smallest, means, points))
    found = 0
    for seed in range(600):
        differences = simulated_map_at_r(generator, test, better_by=better_by, relevant=relevant)
        found += p_value(differences, test, draws=499, seed=seed) < 0.05
    print(f"R {relevant}: {smallest:.4f} (of {min(said):.4f} to {max(said):.4f}) is found in {found / 600:.3f}")
    assert found / 600 == pytest.approx(0.8, abs=0.08)

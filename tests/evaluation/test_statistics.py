"""The cluster bootstrap against a plain loop, a simulation with a known truth, and its limits."""

# Shapes: S queries, P clusters, T draws.

import json
import math
import re

import numpy as np
import pytest
from numpy.typing import NDArray

from simtrain.evaluation.statistics import (
    BootstrapSettings,
    Interval,
    cluster_bootstrap_differences,
    cluster_bootstrap_interval,
    cluster_bootstrap_intervals,
    cluster_weights,
)


def clustered_values(*, clusters: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values of clusters of 1 to 8 queries: a cluster's own level, independent of its size, plus a little noise."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 9, size=clusters)
    of_query = np.repeat(np.arange(clusters), sizes)
    levels = generator.normal(0.4, 0.2, size=clusters)
    return levels[of_query] + generator.normal(0, 0.05, size=len(of_query)), of_query


def plain_loop(
    values: NDArray[np.float64], labels: NDArray[np.int64], *, draws: int, seed: int
) -> tuple[float, list[float]]:
    """Standard error of the mean, and how many of its own each draw lies away, from the queries as they are drawn."""
    distinct = sorted(set(labels.tolist()))
    own = {label: [value for value, of in zip(values, labels, strict=True) if of == label] for label in distinct}

    def mean_and_error(drawn: list[int]) -> tuple[float, float]:
        queries = [value for label in drawn for value in own[label]]
        mean = sum(queries) / len(queries)
        squares = sum(sum(value - mean for value in own[label]) ** 2 for label in drawn)
        return mean, math.sqrt(len(drawn) / (len(drawn) - 1) * squares) / len(queries)

    mean, error = mean_and_error(distinct)
    away = []
    for weights in np.concatenate(list(cluster_weights(clusters=len(distinct), draws=draws, seed=seed))):
        drawn = [label for label, weight in zip(distinct, weights, strict=True) for _ in range(int(weight))]
        its_mean, its_error = mean_and_error(drawn)
        away.append((its_mean - mean) / max(its_error, error / math.sqrt(len(distinct))))
    return error, away


@pytest.mark.parametrize("metric", ["continuous", "nearly always right"])
def test_equals_a_plain_loop_over_the_same_draws(metric: str) -> None:
    values, clusters = clustered_values(clusters=12, seed=0)
    if metric == "nearly always right":
        values = (clusters != 4).astype(float)  # many draws are without the one cluster that is wrong
    labels = np.array([50, -3, 7, 8, 1000, 2, 90, 91, 92, 93, 94, 95])[clusters]  # any integers, in any order
    error, away = plain_loop(values, labels, draws=200, seed=5)
    interval = cluster_bootstrap_interval(
        values, labels, bootstrap=BootstrapSettings(draws=200, confidence=0.9, seed=5)
    )
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(max(0.0, values.mean() - error * np.percentile(away, 95)))
    assert interval.high == pytest.approx(min(1.0, values.mean() - error * np.percentile(away, 5)))


def test_differences_equal_a_plain_loop_over_the_same_draws() -> None:
    values, clusters = clustered_values(clusters=15, seed=1)
    error, away = plain_loop(values - 0.5, clusters, draws=200, seed=2)
    interval = cluster_bootstrap_differences(
        {"mrr": values - 0.5}, clusters, bootstrap=BootstrapSettings(draws=200, confidence=0.9, seed=2)
    )["mrr"]
    reach = error * np.percentile(np.abs(away), 90)
    assert (interval.low, interval.high) == pytest.approx((interval.mean - reach, interval.mean + reach))


def test_many_clusters_give_the_interval_of_the_normal_distribution() -> None:
    values, clusters = np.random.default_rng(0).random(3000), np.arange(3000)
    found = cluster_bootstrap_interval(
        values, clusters, bootstrap=BootstrapSettings(draws=4000, confidence=0.95, seed=0)
    )
    half = 1.96 * values.std(ddof=1) / math.sqrt(3000)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.06 * half)


def test_interval_of_values_in_0_to_1_stays_there() -> None:
    clusters = np.repeat(np.arange(6), 3)
    values = np.array([1.0] * 16 + [0.0, 0.5])
    interval = cluster_bootstrap_interval(
        values, clusters, bootstrap=BootstrapSettings(draws=500, confidence=0.95, seed=0)
    )
    beyond = cluster_bootstrap_interval(
        values + 1, clusters, bootstrap=BootstrapSettings(draws=500, confidence=0.95, seed=0)
    )
    assert beyond.high > 2  # nothing is cut where the values are of another range
    assert (interval.low, interval.high) == (pytest.approx(beyond.low - 1), 1.0)


def test_swapping_the_encoders_turns_the_interval_around() -> None:
    differences, clusters = clustered_values(clusters=10, seed=6)  # nearly all of one sign
    found = cluster_bootstrap_differences(
        {"a": differences, "b": -differences}, clusters, bootstrap=BootstrapSettings(draws=200, confidence=0.95, seed=0)
    )
    assert (found["b"].low, found["b"].high) == (pytest.approx(-found["a"].high), pytest.approx(-found["a"].low))


def test_interval_of_differences_stays_in_minus_1_to_1() -> None:
    clusters = np.arange(4)
    differences = np.array([-1.0, 1.0, -1.0, 1.0])
    found = cluster_bootstrap_differences(
        {"a": differences}, clusters, bootstrap=BootstrapSettings(draws=500, confidence=0.95, seed=0)
    )["a"]
    assert found == Interval(mean=0.0, low=-1.0, high=1.0)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_queries_that_are_all_alike_give_the_value_itself(value: float) -> None:
    values, clusters = np.full(20, value), np.repeat(np.arange(5), 4)
    expected = Interval(mean=value, low=value, high=value)
    assert (
        cluster_bootstrap_interval(values, clusters, bootstrap=BootstrapSettings(draws=100, confidence=0.95, seed=0))
        == expected
    )
    drawn = {"bootstrap": BootstrapSettings(draws=100, confidence=0.95, seed=0)}
    assert cluster_bootstrap_differences({"a": values}, clusters, **drawn)["a"] == expected


def test_weights_are_draws_with_replacement() -> None:
    weights = np.concatenate(list(cluster_weights(clusters=50, draws=4000, seed=1)))
    assert weights.shape == (4000, 50)
    assert (weights.sum(axis=1) == 50).all()
    # Multinomial: mean 1 and variance 1 - 1/P for each cluster; 4 standard errors of 4,000 draws.
    assert np.abs(weights.mean(axis=0) - 1).max() < 4 / np.sqrt(4000)
    assert weights.var() == pytest.approx(1 - 1 / 50, rel=0.02)


@pytest.mark.parametrize("block_elements", [1, 21, 100])
def test_block_size_does_not_change_the_draws(block_elements: int) -> None:
    whole = np.concatenate(list(cluster_weights(clusters=7, draws=30, seed=2)))
    blocks = list(cluster_weights(clusters=7, draws=30, seed=2, block_elements=block_elements))
    assert max(block.size for block in blocks) <= max(7, block_elements)
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def split_like_map_at_r(generator: np.random.Generator, products: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values like those of MAP@R: many 1, many 0, products of 1 to 12 queries and of very different difficulty."""
    clusters = np.repeat(np.arange(products), generator.integers(1, 13, size=products))
    ease = generator.beta(1.6, 1.1, size=products)[clusters]
    drawn = generator.random((2, len(clusters)))
    values = generator.beta(4 * ease + 0.3, 4 * (1 - ease) + 0.3)
    values[drawn[0] < 0.8 * ease**2] = 1.0
    values[(values < 1) & (drawn[1] < 0.5 * (1 - ease))] = 0.0
    return values, clusters


# 500 splits know a share of 0.95 to within 0.01, one standard error.
@pytest.mark.slow
@pytest.mark.parametrize("products", [20, 50, 200])
def test_95_percent_intervals_of_500_splits_hold_the_truth(products: int) -> None:
    values, _ = split_like_map_at_r(np.random.default_rng(0), 400_000)
    generator, truth, held = np.random.default_rng(products), values.mean(), 0
    for seed in range(500):
        split = split_like_map_at_r(generator, products)
        interval = cluster_bootstrap_interval(
            *split, bootstrap=BootstrapSettings(draws=2000, confidence=0.95, seed=seed)
        )
        held += interval.low <= truth <= interval.high
    print(f"{products} products: {held / 500:.3f}")
    assert 0.93 <= held / 500 <= 0.97


def test_clusters_widen_the_interval() -> None:
    values, clusters = clustered_values(clusters=80, seed=3)
    by_product = cluster_bootstrap_interval(
        values, clusters, bootstrap=BootstrapSettings(draws=1000, confidence=0.95, seed=0)
    )
    by_query = cluster_bootstrap_interval(
        values, np.arange(len(values)), bootstrap=BootstrapSettings(draws=1000, confidence=0.95, seed=0)
    )
    # Clusters of 1 to 8 that agree almost wholly: the variance is about mean(n²) / mean(n) = 5.7 times that of single
    # queries, so the interval is about 2.4 times as wide.
    assert 1.8 < (by_product.high - by_product.low) / (by_query.high - by_query.low) < 3.0


def test_metrics_share_the_draws() -> None:
    values, clusters = clustered_values(clusters=30, seed=4)
    together = cluster_bootstrap_intervals(
        {"first": values, "second": 2 * values + 1},
        clusters,
        bootstrap=BootstrapSettings(draws=300, confidence=0.8, seed=7),
    )
    assert together["first"] == cluster_bootstrap_interval(
        values, clusters, bootstrap=BootstrapSettings(draws=300, confidence=0.8, seed=7)
    )
    assert together["second"].mean == pytest.approx(2 * together["first"].mean + 1)
    assert together["second"].low == pytest.approx(2 * together["first"].low + 1)
    assert together["second"].high == pytest.approx(2 * together["first"].high + 1)


def test_seed_decides_the_interval() -> None:
    values, clusters = clustered_values(clusters=30, seed=5)
    first, again, other = (
        cluster_bootstrap_interval(values, clusters, bootstrap=BootstrapSettings(draws=200, confidence=0.95, seed=seed))
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first.mean == other.mean
    assert first.low != other.low


def test_one_cluster_has_no_interval() -> None:
    interval = cluster_bootstrap_interval(
        np.array([0.0, 1.0]), np.array([3, 3]), bootstrap=BootstrapSettings(draws=10, confidence=0.95, seed=0)
    )
    assert interval.mean == 0.5
    assert np.isnan([interval.low, interval.high]).all()


@pytest.mark.parametrize(
    ("values", "clusters", "draws", "confidence", "message"),
    [
        ([0.0, 1.0], [0, 1, 2], 10, 0.95, "recall has shape (2,), but clusters has 3 values"),
        ([[0.0, 1.0]], [0, 1], 10, 0.95, "recall has shape (1, 2), but clusters has 2 values"),
        ([0.0, np.nan], [0, 1], 10, 0.95, "recall: value 1 is nan; allowed: finite numbers"),
        ([], [], 10, 0.95, "clusters is empty; allowed: one cluster for each of 1 or more queries"),
        ([0.0, 1.0], [0, 1], 0, 0.95, "draws is 0; allowed: 1 or more"),
        ([0.0, 1.0], [0, 1], 10, 95.0, "confidence is 95.0; allowed: between 0 and 1, such as 0.95"),
    ],
)
def test_wrong_input_is_named(
    values: list[float], clusters: list[int], draws: int, confidence: float, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        cluster_bootstrap_intervals(
            {"recall": np.array(values)},
            np.array(clusters, dtype=np.int64),
            bootstrap=BootstrapSettings(draws=draws, confidence=confidence, seed=0),
        )


@pytest.mark.parametrize(
    ("interval", "plain"),
    [
        (Interval(mean=0.5, low=0.25, high=0.75), {"mean": 0.5, "low": 0.25, "high": 0.75}),
        (Interval(mean=0.0, low=-1.0, high=0.0), {"mean": 0.0, "low": -1.0, "high": 0.0}),
        (Interval(mean=0.5, low=math.nan, high=math.nan), {"mean": 0.5, "low": None, "high": None}),
    ],
)
def test_an_interval_goes_to_json_and_comes_back(interval: Interval, plain: dict[str, float | None]) -> None:
    assert json.loads(json.dumps(interval.to_dict(), allow_nan=False)) == plain
    back = Interval.from_dict(plain)
    assert [back.mean, back.low, back.high] == pytest.approx(
        [interval.mean, interval.low, interval.high], abs=0, rel=0, nan_ok=True
    )


def test_what_is_no_interval_is_refused() -> None:
    with pytest.raises(KeyError, match="high"):
        Interval.from_dict({"mean": 0.5, "low": 0.25})

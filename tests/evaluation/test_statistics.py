"""The cluster bootstrap against a plain loop, a simulation with a known truth, and its limits."""

# Shapes: S queries, P clusters, T draws.

import re

import numpy as np
import pytest
from numpy.typing import NDArray

from simtrain.evaluation.statistics import cluster_bootstrap_interval, cluster_bootstrap_intervals, cluster_weights

TRUE_MEAN = 0.4


def clustered_values(*, clusters: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values of clusters of 1 to 8 queries: a cluster's own level, independent of its size, plus a little noise."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 9, size=clusters)
    of_query = np.repeat(np.arange(clusters), sizes)
    levels = generator.normal(TRUE_MEAN, 0.2, size=clusters)
    return levels[of_query] + generator.normal(0, 0.05, size=len(of_query)), of_query


def test_equals_a_plain_loop_over_the_same_draws() -> None:
    values, clusters = clustered_values(clusters=12, seed=0)
    labels = np.array([50, -3, 7, 8, 1000, 2, 90, 91, 92, 93, 94, 95])[clusters]  # any integers, in any order
    means = []
    for weights in np.concatenate(list(cluster_weights(clusters=12, draws=200, seed=5))):
        drawn = []
        for weight, label in zip(weights, sorted(set(labels.tolist())), strict=True):
            drawn += [value for value, own in zip(values, labels, strict=True) if own == label] * int(weight)
        means.append(sum(drawn) / len(drawn))
    interval = cluster_bootstrap_interval(values, labels, draws=200, confidence=0.9, seed=5)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(np.percentile(means, 5))
    assert interval.high == pytest.approx(np.percentile(means, 95))


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


def test_95_percent_intervals_cover_the_true_mean() -> None:
    covered = 0
    for seed in range(200):
        values, clusters = clustered_values(clusters=60, seed=seed)
        interval = cluster_bootstrap_interval(values, clusters, draws=400, confidence=0.95, seed=seed)
        covered += interval.low <= TRUE_MEAN <= interval.high
    assert 0.90 <= covered / 200 <= 0.99


def test_clusters_widen_the_interval() -> None:
    values, clusters = clustered_values(clusters=80, seed=3)
    by_product = cluster_bootstrap_interval(values, clusters, draws=1000, confidence=0.95, seed=0)
    by_query = cluster_bootstrap_interval(values, np.arange(len(values)), draws=1000, confidence=0.95, seed=0)
    # Clusters of 1 to 8 that agree almost wholly: the variance is about mean(n²) / mean(n) = 5.7 times that of single
    # queries, so the interval is about 2.4 times as wide.
    assert 1.8 < (by_product.high - by_product.low) / (by_query.high - by_query.low) < 3.0


def test_metrics_share_the_draws() -> None:
    values, clusters = clustered_values(clusters=30, seed=4)
    together = cluster_bootstrap_intervals(
        {"first": values, "second": 2 * values + 1}, clusters, draws=300, confidence=0.8, seed=7
    )
    assert together["first"] == cluster_bootstrap_interval(values, clusters, draws=300, confidence=0.8, seed=7)
    assert together["second"].mean == pytest.approx(2 * together["first"].mean + 1)
    assert together["second"].low == pytest.approx(2 * together["first"].low + 1)
    assert together["second"].high == pytest.approx(2 * together["first"].high + 1)


def test_seed_decides_the_interval() -> None:
    values, clusters = clustered_values(clusters=30, seed=5)
    first, again, other = (
        cluster_bootstrap_interval(values, clusters, draws=200, confidence=0.95, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.mean == other.mean
    assert first.low != other.low


def test_one_cluster_has_no_interval() -> None:
    interval = cluster_bootstrap_interval(np.array([0.0, 1.0]), np.array([3, 3]), draws=10, confidence=0.95, seed=0)
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
            draws=draws,
            confidence=confidence,
            seed=0,
        )

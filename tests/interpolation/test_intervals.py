import math

import numpy as np
import pytest

from simtrain.evaluation.named_scores import NamedScores
from simtrain.evaluation.statistics import BootstrapSettings
from simtrain.interpolation.intervals import gain, intervals

BOOTSTRAP = BootstrapSettings(draws=2000, confidence=0.95, seed=0)


def scores(generator: np.random.Generator, *, products: int = 40, better: float = 0.0) -> NamedScores:
    clusters = np.repeat(np.arange(products), 3)
    names = ("map_at_r", "recall_at_1", "kind_map_at_r", "kind_recall_at_1")
    drawn = {name: np.clip(generator.uniform(0.2, 0.8, len(clusters)) + better, 0, 1) for name in names}
    return NamedScores(values=drawn, clusters=dict.fromkeys(drawn, clusters))


def balanced(found: NamedScores, kept: np.ndarray) -> float:
    return math.prod(values[kept].mean() for values in found.values.values()) ** (1 / len(found.values))


def test_balanced_has_the_interval_of_the_jackknife() -> None:
    one, other = (scores(np.random.default_rng(seed), better=0.1 * seed) for seed in (0, 1))
    clusters = one.clusters["map_at_r"]
    whole = np.ones(len(clusters), dtype=bool)
    left = [balanced(other, clusters != product) - balanced(one, clusters != product) for product in range(40)]
    error = math.sqrt(39 / 40 * sum((value - sum(left) / 40) ** 2 for value in left))
    found = gain(other, over=one, metric="balanced", bootstrap=BOOTSTRAP)
    assert found.mean == pytest.approx(balanced(other, whole) - balanced(one, whole))
    assert (found.low, found.high) == pytest.approx((found.mean - 1.959964 * error, found.mean + 1.959964 * error))
    own = intervals(one, bootstrap=BOOTSTRAP)["balanced"]
    assert own.mean == pytest.approx(balanced(one, whole))
    assert own.low < own.mean < own.high


def test_one_product_has_no_interval() -> None:
    found = scores(np.random.default_rng(0), products=1)
    assert math.isnan(intervals(found, bootstrap=BOOTSTRAP)["balanced"].low)
    assert gain(found, over=found, metric="balanced", bootstrap=BOOTSTRAP).mean == 0


def test_metrics_of_texts_are_not_balanced() -> None:
    values = {"text_to_image_recall_at_1": np.array([0.0, 1.0, 1.0, 0.0])}
    found = NamedScores(values=values, clusters={"text_to_image_recall_at_1": np.arange(4)})
    assert list(intervals(found, bootstrap=BOOTSTRAP)) == ["text_to_image_recall_at_1"]


def test_a_metric_s_gain_is_paired_by_query() -> None:
    one = scores(np.random.default_rng(0))
    other = NamedScores(values={name: values + 0.1 for name, values in one.values.items()}, clusters=one.clusters)
    found = gain(other, over=one, metric="map_at_r", bootstrap=BOOTSTRAP)
    assert (found.mean, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))

"""Intervals of the metrics of a mix, and of what it gains over another."""

import math
from statistics import NormalDist

from simtrain.evaluation.balance import BALANCED, balanced_parts
from simtrain.evaluation.named_scores import NamedScores
from simtrain.evaluation.statistics import (
    BootstrapSettings,
    Interval,
    cluster_bootstrap_differences,
    cluster_bootstrap_interval,
)
from simtrain.training.product_sums import ProductSums, standard_error


def intervals(scores: NamedScores, *, bootstrap: BootstrapSettings) -> dict[str, Interval]:
    """Each metric with its interval, and of images `balanced`, whose interval is the jackknife's.

    Args:
        scores: Values of one mix.
        bootstrap: Number of draws, confidence and seed.
    """
    found = {
        name: cluster_bootstrap_interval(values, scores.clusters[name], bootstrap=bootstrap)
        for name, values in scores.values.items()
    }
    if balanced_parts(found):
        found[BALANCED] = _normal(scores.means()[BALANCED], scores.product_sums(BALANCED), None, bootstrap=bootstrap)
    return found


def gain(scores: NamedScores, *, over: NamedScores, metric: str, bootstrap: BootstrapSettings) -> Interval:
    """Difference of two mixes over the same queries, with its interval.

    Args:
        scores: Values of one mix.
        over: Values of the other.
        metric: Name of a metric, or `balanced`.
        bootstrap: Number of draws, confidence and seed.
    """
    if metric == BALANCED:
        change = scores.means()[BALANCED] - over.means()[BALANCED]
        return _normal(change, scores.product_sums(BALANCED), over.product_sums(BALANCED), bootstrap=bootstrap)
    differences = {metric: scores.values[metric] - over.values[metric]}
    return cluster_bootstrap_differences(differences, scores.clusters[metric], bootstrap=bootstrap)[metric]


def _normal(mean: float, one: ProductSums, other: ProductSums | None, *, bootstrap: BootstrapSettings) -> Interval:
    if len(one.sums) < 2:
        return Interval(mean=mean, low=math.nan, high=math.nan)
    reach = NormalDist().inv_cdf((1 + bootstrap.confidence) / 2) * standard_error(one, other)
    return Interval(mean=mean, low=mean - reach, high=mean + reach)

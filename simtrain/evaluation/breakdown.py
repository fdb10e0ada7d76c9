"""Metrics by category: macro means, each category's own, and confused categories."""

# Shapes: S scored queries, Q queries, K classes, P clusters (products), T bootstrap draws.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simtrain.evaluation.metrics import NO_GROUP
from simtrain.evaluation.statistics import BootstrapSettings, Interval, cluster_bootstrap_intervals, cluster_weights
from simtrain.phrases import counted


@dataclass(frozen=True, kw_only=True)
class CategoryFigures:
    """Metrics of one category's queries."""

    name: str
    queries: int
    products: int
    """Number of clusters (products) that the queries belong to."""
    metrics: dict[str, Interval]
    """Name -> mean and interval; its ends are NaN where there are too few products."""
    note: str | None
    """Why there is no interval, as a sentence; None where there is one."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an unknown interval is null."""
        return {**asdict(self), "metrics": {name: interval.to_dict() for name, interval in self.metrics.items()}}


@dataclass(frozen=True, kw_only=True)
class ConfusedPair:
    """How often the nearest image of one category's queries is of another category."""

    category: str
    answer: str
    """The other category."""
    count: int
    """Number of queries of `category` whose nearest image is of it."""
    queries: int
    """Number of queries of `category` that have a nearest image."""

    @property
    def share(self) -> float:
        """Share of the queries of `category` whose nearest image is of the other category, above 0 to 1."""
        return self.count / self.queries

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "share": self.share}


def macro_means(values: Mapping[str, NDArray[np.float64]], classes: NDArray[np.int64]) -> dict[str, float]:
    """Mean over classes of each class' mean, so that a class of ten queries counts as much as one of a thousand.

    Args:
        values: Metric name -> (S,) one value per query.
        classes: (S,) code of each query's class; -1: none, left out.

    Raises:
        ValueError: No query with a class, or sizes that differ.
    """
    _check(values, classes, clusters=classes)
    kept = classes != NO_GROUP
    _, class_of_query, sizes = np.unique(classes[kept], return_inverse=True, return_counts=True)
    return {name: float((np.bincount(class_of_query, metric[kept]) / sizes).mean()) for name, metric in values.items()}


def macro_intervals(
    values: Mapping[str, NDArray[np.float64]],
    classes: NDArray[np.int64],
    clusters: NDArray[np.int64],
    *,
    bootstrap: BootstrapSettings,
) -> dict[str, Interval]:
    """`macro_means` with intervals by a bootstrap over clusters; the classes are the shop's, and not drawn.

    Drawn is what each cluster adds to the mean (its influence, first order), so that a draw that misses a small class
    altogether is no problem. A class of n clusters shows (n - 1)/n of its variance, which is made up for; one of a
    single cluster shows none, and is taken to vary as the clusters of the other classes do. The ends are percentiles of
    the draws.

    Args:
        values: Metric name -> (S,) finite, one value per query.
        classes: (S,) code of each query's class; -1: none, left out.
        clusters: (S,) cluster (product) of each query; any integers.
        bootstrap: Settings of the draws.

    Returns:
        Metric name -> mean and interval; (NaN, NaN) where each class has a single cluster.

    Raises:
        ValueError: No query with a class, sizes that differ, draws < 1, or confidence outside 0..1.
    """
    if bootstrap.draws < 1 or not 0.0 < bootstrap.confidence < 1.0:
        given = f"draws is {bootstrap.draws} and confidence {bootstrap.confidence}"
        raise ValueError(f"{given}; allowed: 1 or more draws, a confidence between 0 and 1")
    _check(values, classes, clusters=clusters)
    means = macro_means(values, classes)
    kept = classes != NO_GROUP
    influences = np.stack(
        [_influences(metric[kept], classes[kept], clusters[kept]) for metric in values.values()], axis=1
    )
    tail = (1.0 - bootstrap.confidence) / 2.0
    blocks = cluster_weights(clusters=len(influences), draws=bootstrap.draws, seed=bootstrap.seed)
    drawn = [weights @ influences for weights in blocks]
    ends = np.quantile(np.concatenate(drawn), [tail, 1.0 - tail], axis=0)
    return {
        name: Interval(mean=means[name], low=means[name] + float(low), high=means[name] + float(high))
        for name, low, high in zip(values, *ends, strict=True)
    }


def category_figures(
    values: Mapping[str, NDArray[np.float64]],
    classes: NDArray[np.int64],
    clusters: NDArray[np.int64],
    *,
    names: Sequence[str],
    least_products: int,
    bootstrap: BootstrapSettings,
) -> list[CategoryFigures]:
    """Each category's means, with intervals by a bootstrap over its clusters, in the order of the codes.

    Args:
        values: Metric name -> (S,) finite, one value per query.
        classes: (S,) code of each query's category; -1: none, left out.
        clusters: (S,) cluster (product) of each query; any integers.
        names: Name of each category, by its code.
        least_products: Number of clusters that an interval needs, at least 2. Of few clusters an interval is too
            narrow: where it should have held the truth in 95 of 100 simulations, it did in 88 with 5 clusters, and
            from 10 on in 95; where 95 % of the queries are right, in 86 with 10 clusters and in 93 with 20.
        bootstrap: Settings of the draws.

    Raises:
        ValueError: No query with a category, or sizes that differ.
    """
    _check(values, classes, clusters=clusters)
    figures = []
    for code in np.unique(classes[classes != NO_GROUP]).tolist():
        rows = np.flatnonzero(classes == code)
        own, products = {name: metric[rows] for name, metric in values.items()}, len(np.unique(clusters[rows]))
        if products < least_products:
            note = f"{counted(products, 'product')}; an interval needs {least_products}"
            metrics = {name: Interval(mean=float(of.mean()), low=np.nan, high=np.nan) for name, of in own.items()}
        else:
            note = None
            metrics = cluster_bootstrap_intervals(own, clusters[rows], bootstrap=bootstrap)
        figures.append(
            CategoryFigures(name=names[code], queries=len(rows), products=products, metrics=metrics, note=note)
        )
    return figures


def confused_pairs(
    query_classes: NDArray[np.int64], answer_classes: NDArray[np.int64], *, names: Sequence[str], most: int
) -> list[ConfusedPair]:
    """The categories whose queries are most often answered with another one.

    Ordered by what the share is at least (lower end of Wilson's 95 % interval), so that one answer of one does not come
    before 40 of 100; equals by name.

    Args:
        query_classes: (Q,) code of each query's category; -1: none, left out.
        answer_classes: (Q,) code of the category of its nearest image; -1: it has none, which counts as an answer of no
            category.
        names: Name of each category, by its code.
        most: Largest number of pairs returned; 0 or more.

    Raises:
        ValueError: Sizes that differ.
    """
    if query_classes.shape != answer_classes.shape:
        raise ValueError(
            f"query_classes has shape {query_classes.shape}, but answer_classes has {answer_classes.shape}"
        )
    asked = query_classes != NO_GROUP
    totals = np.bincount(query_classes[asked], minlength=len(names))
    wrong = asked & (answer_classes != NO_GROUP) & (answer_classes != query_classes)
    pairs, counts = np.unique(
        np.stack([query_classes[wrong], answer_classes[wrong]], axis=1), axis=0, return_counts=True
    )
    confused = [
        ConfusedPair(category=names[category], answer=names[answer], count=count, queries=int(totals[category]))
        for (category, answer), count in zip(pairs.tolist(), counts.tolist(), strict=True)
    ]
    return sorted(confused, key=lambda pair: (-_least_share(pair.count, pair.queries), pair.category, pair.answer))[
        :most
    ]


def _influences(
    metric: NDArray[np.float64], classes: NDArray[np.int64], clusters: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What each cluster adds to the macro mean, (P,), widened for small classes; NaN where none shows its spread."""
    _, class_of_query = np.unique(classes, return_inverse=True)
    distinct, cluster_of_query = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(class_of_query)
    deviations = (metric - (np.bincount(class_of_query, metric) / sizes)[class_of_query]) / sizes[class_of_query]
    # A cell is what one cluster adds to one class: nearly always its only one.
    cells, cell_of_query = np.unique(class_of_query * len(distinct) + cluster_of_query, return_inverse=True)
    of_cell, cell_class = np.bincount(cell_of_query, deviations), cells // len(distinct)
    in_class = np.bincount(cell_class)
    if (in_class < 2).all():
        return np.full(len(distinct), np.nan)
    of_cell *= np.sqrt(in_class / np.maximum(in_class - 1, 1))[cell_class]
    variances, several = np.bincount(cell_class, of_cell**2), in_class >= 2
    unseen = (~several).sum() * (variances * in_class)[several].mean()
    seen = variances.sum()
    widening = np.sqrt((seen + unseen) / seen) if seen > 0 else 1.0
    return np.bincount(cells % len(distinct), of_cell, minlength=len(distinct)) * widening / len(sizes)


def _least_share(count: int, total: int) -> float:
    """Lower end of the 95 % score interval of a share: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953."""
    z, share = 1.96, count / total
    middle, half = share + z**2 / (2 * total), z * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return float((middle - half) / (1 + z**2 / total))


def _check(
    values: Mapping[str, NDArray[np.float64]], classes: NDArray[np.int64], *, clusters: NDArray[np.int64]
) -> None:
    for name, array in {**values, "clusters": clusters}.items():
        if array.shape != classes.shape:
            raise ValueError(f"{name} has shape {array.shape}, but classes has {classes.shape}")
    if not (classes != NO_GROUP).any():
        raise ValueError(f"none of {len(classes)} queries has a class; needed: a code of 0 or more for at least one")

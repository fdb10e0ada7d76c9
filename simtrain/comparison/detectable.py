"""Smallest differences that a comparison can detect: by assumptions before any encoder runs, and measured on `val`."""

# Shapes: S queries.

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.changed_rows import has_changed_rows
from simtrain.catalog.table import FOLD_COLUMN
from simtrain.comparison.folds import Fold, distinct_clusters
from simtrain.comparison.protocol import ComparisonProtocol
from simtrain.comparison.scoring import ScoredEncoder
from simtrain.evaluation.resolvable_difference import resolvable_by_spread, resolvable_share, spread_of
from simtrain.phrases import counted
from simtrain.runs.validation_precision import DISCORDANT_SHARE, WITHIN_PRODUCT

DETECTED = ("recall_at_1", "map_at_r")
"""Metrics whose smallest detectable differences are told."""

_FEWEST_PRODUCTS = 10

Differences = dict[str, dict[str, float | None]]
"""Definition of relevance -> metric -> smallest difference, 0..1; None: none can be detected."""


@dataclass(frozen=True, kw_only=True)
class DetectableDifferences:
    """Smallest differences that the queries can detect.

    Attributes:
        smallest: By definition of relevance and metric.
        sentences: The same in sentences, with what was assumed or measured.
    """

    smallest: Differences
    sentences: list[str]


def detectable_differences(protocol: ComparisonProtocol, *, comparisons: int) -> DetectableDifferences:
    """Smallest detectable differences before any encoder runs, by assumptions.

    Args:
        protocol: Protocol with the queries.
        comparisons: Number of verdicts that are corrected together; >= 0.
    """
    level, power = _level(protocol, comparisons), protocol.config.power
    smallest: Differences = {}
    for relevance in protocol.relevance:
        clusters, ranks = _queries(protocol.folds, relevance)
        smallest[relevance] = {
            "recall_at_1": _assumed(clusters, None, level=level, power=power),
            "map_at_r": _assumed(clusters, ranks, level=level, power=power),
        }
    sentences = [
        _sentence(f"Relevance {relevance}, estimated beforehand", found, power) for relevance, found in smallest.items()
    ]
    sentences.append(
        f"The estimate assumes that at {100 * DISCORDANT_SHARE:g} % of the queries exactly one of two encoders is "
        "right, for map_at_r at as many of the places of each query; results within a product correlate by "
        f"{WITHIN_PRODUCT:g}; {counted(comparisons, 'verdict is', 'verdicts are')} corrected together."
    )
    with_folds = _folds_sentence(protocol, level=level)
    return DetectableDifferences(smallest=smallest, sentences=[*sentences, *([with_folds] if with_folds else [])])


def differences_measured_on_val(
    protocol: ComparisonProtocol,
    scored_encoders: Sequence[ScoredEncoder],
    baselines: Mapping[str, ScoredEncoder],
    *,
    comparisons: int,
) -> DetectableDifferences:
    """Smallest detectable differences by how the baseline and the best other encoder on `val` differ there.

    The best run is taken where there are runs. Nothing is measured where `val` is what is evaluated, or has queries of
    fewer than 10 products.

    Args:
        protocol: Protocol with the queries.
        scored_encoders: Every encoder with its scores.
        baselines: Definition of relevance -> baseline.
        comparisons: Number of verdicts that are corrected together; >= 0.
    """
    level, power = _level(protocol, comparisons), protocol.config.power
    smallest: Differences = {}
    sentences = []
    for relevance, baseline in baselines.items():
        other = _best_other(scored_encoders, baseline, relevance)
        if protocol.config.split == "val" or other is None:
            continue
        of_baseline, of_other = baseline.validation_scores[relevance], other.validation_scores[relevance]
        if len(np.unique(of_other.clusters)) < _FEWEST_PRODUCTS:
            continue
        clusters, _ = _queries(protocol.folds, relevance)
        smallest[relevance] = {}
        for metric in DETECTED:
            differences = of_other.over_seeds(metric) - of_baseline.over_seeds(metric)
            spread = spread_of(differences, of_other.clusters)
            found = resolvable_by_spread(clusters, spread, level=level, power=power)
            smallest[relevance][metric] = None if math.isnan(found) else found
        opening = f"Relevance {relevance}, as {other.figures.name} and {baseline.figures.name} differ on val"
        sentences.append(_sentence(opening, smallest[relevance], power))
    return DetectableDifferences(smallest=smallest, sentences=sentences)


def _best_other(
    scored_encoders: Sequence[ScoredEncoder], baseline: ScoredEncoder, relevance: str
) -> ScoredEncoder | None:
    if relevance not in baseline.validation_scores:
        return None
    others = [one for one in scored_encoders if one is not baseline and relevance in one.validation_scores]
    runs = [one for one in others if one.figures.kind == "run"]
    return max(runs or others, key=lambda one: one.validation[relevance], default=None)


def _level(protocol: ComparisonProtocol, comparisons: int) -> float:
    return (1 - protocol.config.confidence) / max(1, comparisons)


def _queries(folds: Sequence[Fold], relevance: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(S,) product of each query that has a relevant image, and (S,) number of these."""
    tasks = [fold.tasks[relevance] for fold in folds]
    answers = [task.answers() for task in tasks]
    clusters = [distinct_clusters(task.clusters[task.queries], index) for index, task in enumerate(tasks)]
    counts = np.concatenate(answers)
    return np.concatenate(clusters)[counts > 0], counts[counts > 0]


def _assumed(
    clusters: NDArray[np.int64], ranks: NDArray[np.int64] | None, *, level: float, power: float
) -> float | None:
    found = resolvable_share(
        clusters,
        discordant_share=DISCORDANT_SHARE,
        within_product=WITHIN_PRODUCT,
        level=level,
        power=power,
        ranks=ranks,
    )
    return None if math.isnan(found) else found


def _sentence(opening: str, smallest: Mapping[str, float | None], power: float) -> str:
    told = [
        f"in {metric} of {100 * found:.1f} points or more" for metric, found in smallest.items() if found is not None
    ]
    if not told:
        return f"{opening}: the split has too few products to detect a difference."
    none = [metric for metric, found in smallest.items() if found is None]
    but = f" (in {none[0]} none)" if none else ""
    return f"{opening}: the split can detect differences {' and '.join(told)}{but}, with {100 * power:g} % probability."


def _folds_sentence(protocol: ComparisonProtocol, *, level: float) -> str:
    """Smallest detectable difference with cross-validation folds; empty if folds are in use or would not help."""
    fold = protocol.folds[0]
    if fold.number is not None or has_changed_rows(fold.catalog):
        return ""
    products = fold.catalog.groups(["product"])
    own_numbers = products.max(initial=-1) + 1 + np.arange(len(products))
    clusters = np.where(products >= 0, products, own_numbers)
    difference = _assumed(clusters, None, level=level, power=protocol.config.power)
    if difference is None:
        return ""
    prepare = "" if FOLD_COLUMN in fold.catalog.rows.columns else "prepare with --set split.folds=5, "
    return (
        f"With folds every image is a query; differences in recall_at_1 of {100 * difference:.1f} points become "
        f"detectable: {prepare}fit once for each fold with --set fold=0, fold=1 and so on, then compare with --run for "
        "each."
    )

"""Verdicts of paired tests, `better`, `not shown to be better` or `worse`, with their reasons in sentences.

The comparisons that are judged together are one family: their p-values are corrected for there being several (Holm), so
with a confidence of 0.95 the chance that any of them calls a difference that is not there is at most 5 %. Hence give
together what is read together, such as every encoder of a report in its main metric, and not thirty metrics besides.
"""

# Shapes: S queries, K seeds of the encoder, L seeds of the baseline, H comparisons.

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simtrain.comparison.verdict_sentences import verdict_sentences
from simtrain.evaluation.paired_tests import (
    PairedDifference,
    PooledSeeds,
    holm_corrected,
    paired_differences,
    pool_seeds,
)
from simtrain.evaluation.resolvable_difference import resolvable_difference
from simtrain.evaluation.statistics import BootstrapSettings, Interval

_ROUNDING = 1e-12

VerdictWord = Literal["better", "mixed", "not shown to be better", "worse"]
"""`mixed`: better in the verdict's own metric and worse in another headline metric, or the other way round."""


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """Values of an encoder and of its baseline on the same queries, to be compared in one metric."""

    encoder: str
    """Name of the encoder."""
    baseline: str
    """Name of the baseline."""
    metric: str
    """Name of the metric, such as `map_at_r`; larger is better."""
    relevance: str
    """Name of the definition of relevance."""
    values: NDArray[np.float64]
    """(K, S) values of the encoder, 0..1: one row per seed of its training."""
    baseline_values: NDArray[np.float64]
    """(L, S) values of the baseline, 0..1, on the same queries in the same order."""
    clusters: NDArray[np.int64]
    """(S,) code of the product of each query."""

    @property
    def title(self) -> str:
        """Name of the comparison, unique within a family."""
        return f"{self.encoder} against {self.baseline}, {self.metric} by {self.relevance}"


@dataclass(frozen=True, kw_only=True)
class VerdictSettings:
    """Settings of verdicts: confidence, number of permutations, power. `config` holds the defaults."""

    bootstrap: BootstrapSettings
    """Confidence of intervals and verdicts, number of bootstrap draws and of permutations of each test; H comparisons
    need H / (1 - confidence) draws or more."""
    power: float
    """Probability with which the smallest resolvable difference is detected; 0.5 or more and below 1, such as 0.8."""


@dataclass(frozen=True, kw_only=True)
class Contradiction:
    """A significant difference that speaks against a verdict, or that it hides."""

    metric: str
    """Name of the metric."""
    relevance: str
    """Name of the definition of relevance, or of the category."""
    baseline: str
    """Name of the baseline."""
    word: VerdictWord
    """`better` or `worse`."""
    difference: float
    """Mean difference, encoder minus baseline, -1..1."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Verdict on one comparison. Differences are encoder minus baseline, in the metric's unit (0.01 is a point)."""

    encoder: str
    baseline: str
    metric: str
    relevance: str
    word: VerdictWord
    difference: Interval
    """Mean over the queries, and its interval for this comparison alone."""
    p_value: float
    """Two-sided, of the permutation test of this comparison alone."""
    corrected_p_value: float
    """P-value after Holm's correction, which `word` is decided by."""
    comparisons: int
    """Number of comparisons that are corrected together, H."""
    resolvable_difference: float | None
    """Smallest true difference that a test at the family's strictest level detects with the power; None: unknown."""
    queries: int
    products: int
    differing_products: int
    """Number of products at which the encoders differ, all queries of the product together."""
    seed_means: tuple[float, ...]
    """Mean of the encoder's metric of each seed."""
    seed_spread: float | None
    """Standard deviation of `seed_means`; None for one seed."""
    confidence: float
    power: float
    contradictions: tuple[Contradiction, ...] = ()
    """Significant differences the other way, for which `word` is `mixed`."""
    falling_categories: tuple[Contradiction, ...] = ()
    """Categories in which the encoder is significantly worse; empty where they were not tested."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict, falling categories, the smallest detectable difference, the seeds' spread; a point is 0.01."""
        return verdict_sentences(self)

    def __str__(self) -> str:
        return "\n".join(self.sentences)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; unknown values are null."""
        lists = {"seed_means": list(self.seed_means), "sentences": list(self.sentences)}
        return {**asdict(self), **lists, "difference": self.difference.to_dict()}


def verdicts_with_correction(comparisons: Sequence[PairedComparison], *, settings: VerdictSettings) -> list[Verdict]:
    """Verdicts of paired permutation tests with Holm's correction, in the order of the comparisons.

    Args:
        comparisons: All comparisons that are read together.
        settings: Settings of tests and intervals.

    Raises:
        ValueError: Shapes that do not fit, a value that is not finite, one comparison twice, or draws too few for any
            verdict in so large a family.
    """
    _check(comparisons, settings)
    encoders = [pool_seeds(comparison.values) for comparison in comparisons]
    differences = [
        pooled.values - pool_seeds(comparison.baseline_values).values
        for pooled, comparison in zip(encoders, comparisons, strict=True)
    ]
    tests = _paired_tests(comparisons, differences, settings)
    corrected = holm_corrected([test.p_value for test in tests])
    tested = [
        _TestedComparison(
            comparison=comparison, encoder=encoder, differences=of_queries, test=test, corrected_p_value=p_value
        )
        for comparison, encoder, of_queries, test, p_value in zip(
            comparisons, encoders, differences, tests, corrected, strict=True
        )
    ]
    return [_verdict(one, comparisons=len(comparisons), settings=settings) for one in tested]


@dataclass(frozen=True, kw_only=True)
class _TestedComparison:
    """A comparison with its seeds pooled, its differences query by query, (S,), and its test."""

    comparison: PairedComparison
    encoder: PooledSeeds
    differences: NDArray[np.float64]
    test: PairedDifference
    corrected_p_value: float


def _paired_tests(
    comparisons: Sequence[PairedComparison], differences: Sequence[NDArray[np.float64]], settings: VerdictSettings
) -> list[PairedDifference]:
    # Comparisons over the same queries share their draws, which cost more than what is done with them.
    of_same_queries: dict[bytes, list[int]] = {}
    for index, comparison in enumerate(comparisons):
        of_same_queries.setdefault(comparison.clusters.tobytes(), []).append(index)
    tests: dict[str, PairedDifference] = {}
    for indices in of_same_queries.values():
        tests |= paired_differences(
            {comparisons[index].title: differences[index] for index in indices},
            comparisons[indices[0]].clusters,
            bootstrap=settings.bootstrap,
        )
    return [tests[comparison.title] for comparison in comparisons]


def _verdict(tested: _TestedComparison, *, comparisons: int, settings: VerdictSettings) -> Verdict:
    comparison, test = tested.comparison, tested.test
    _, product_of_query = np.unique(comparison.clusters, return_inverse=True)
    sums = np.bincount(product_of_query, weights=tested.differences)
    level = 1.0 - settings.bootstrap.confidence
    resolvable = resolvable_difference(
        tested.differences, comparison.clusters, level=level / comparisons, power=settings.power
    )
    return Verdict(
        encoder=comparison.encoder,
        baseline=comparison.baseline,
        metric=comparison.metric,
        relevance=comparison.relevance,
        word=_word(test.interval.mean, tested.corrected_p_value, level=level),
        difference=test.interval,
        p_value=test.p_value,
        corrected_p_value=tested.corrected_p_value,
        comparisons=comparisons,
        resolvable_difference=_or_none(resolvable),
        queries=len(tested.differences),
        products=len(sums),
        differing_products=int((np.abs(sums) > _ROUNDING).sum()),
        seed_means=tested.encoder.means,
        seed_spread=_or_none(tested.encoder.spread),
        confidence=settings.bootstrap.confidence,
        power=settings.power,
    )


def _word(difference: float, corrected_p_value: float, *, level: float) -> VerdictWord:
    if corrected_p_value >= level:
        return "not shown to be better"
    return "better" if difference > 0 else "worse"


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _check(comparisons: Sequence[PairedComparison], settings: VerdictSettings) -> None:
    needed = math.ceil(len(comparisons) / (1.0 - settings.bootstrap.confidence))
    if settings.bootstrap.draws < needed:
        raise ValueError(
            f"draws is {settings.bootstrap.draws}; allowed: {needed} or more, or no p-value of {len(comparisons)} "
            f"comparisons can come below {1.0 - settings.bootstrap.confidence:.4g}"
        )
    titles: set[str] = set()
    for comparison in comparisons:
        if comparison.title in titles:
            raise ValueError(f"{comparison.title}: more than once; allowed: each comparison once")
        titles.add(comparison.title)
        queries = len(comparison.clusters)
        for side, values in (("values", comparison.values), ("baseline_values", comparison.baseline_values)):
            if values.ndim != 2 or values.shape[1] != queries or len(values) == 0:
                raise ValueError(
                    f"{comparison.title}: {side} has shape {values.shape}, but clusters has {queries} queries; "
                    f"allowed: (seeds, {queries})"
                )

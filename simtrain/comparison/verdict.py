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

from simtrain.evaluation.paired_tests import (
    PairedDifference,
    PooledSeeds,
    holm_corrected,
    paired_differences,
    pool_seeds,
    resolvable_difference,
)
from simtrain.evaluation.statistics import BootstrapSettings, Interval
from simtrain.phrases import between, counted, fine_percent, fine_signed_percent

_ROUNDING = 1e-12

VerdictWord = Literal["better", "not shown to be better", "worse"]


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

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict, the smallest detectable difference and, with several seeds, their spread. A point is 0.01."""
        seeds = [_seeds_sentence(self)] if self.seed_spread is not None else []
        return (_verdict_sentence(self), _detection_sentence(self), *seeds)

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


def _verdict_sentence(verdict: Verdict) -> str:
    found = verdict.difference
    ends = between(found.low, found.high, write=fine_signed_percent, unknown="")
    interval = f"{100 * verdict.confidence:g} % interval {ends}, " if ends else ""
    together = f" corrected for {verdict.comparisons} comparisons" if verdict.comparisons > 1 else ""
    return (
        f"{verdict.encoder} is {verdict.word} than {verdict.baseline}: "
        f"{verdict.metric} by {verdict.relevance} differs by {fine_signed_percent(found.mean)} points ({interval}"
        f"{_p_value(verdict.corrected_p_value)}{together}) over {counted(verdict.queries, 'query', 'queries')} of "
        f"{counted(verdict.products, 'product')}."
    )


def _detection_sentence(verdict: Verdict) -> str:
    if verdict.differing_products == 0:
        return "Both have the same result at every product."
    if 2.0 ** (1 - verdict.differing_products) * verdict.comparisons > 1.0 - verdict.confidence:
        few = counted(verdict.differing_products, "product")
        return f"They differ at {few}; that is too few for a verdict at this confidence."
    if verdict.resolvable_difference is None:
        return "The difference is the same at every query, so the smallest detectable difference is unknown."
    unseen = "; a smaller one may exist" if verdict.word == "not shown to be better" else ""
    return (
        f"The smallest difference that this split can detect is {fine_percent(verdict.resolvable_difference)} points "
        f"(with {100 * verdict.power:g} % probability){unseen}."
    )


def _seeds_sentence(verdict: Verdict) -> str:
    spread = fine_percent(verdict.seed_spread or 0.0)
    return (
        f"{verdict.encoder} is the mean of {len(verdict.seed_means)} seeds; the standard deviation of their means "
        f"is {spread} points. The interval covers the choice of products, not of seeds."
    )


def _p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


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

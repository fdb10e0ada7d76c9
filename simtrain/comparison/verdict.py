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

Word = Literal["better", "not shown to be better", "worse"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One question: is this encoder better than that one, in this metric, for this idea of relevance?"""

    encoder: str
    """As the sentences call it."""
    baseline: str
    """Likewise."""
    metric: str
    """Such as map_at_r; larger is better."""
    relevance: str
    """Column or columns that define relevance."""
    values: NDArray[np.float64]
    """(K, S) of the encoder, 0..1: one row per seed of its training."""
    baseline_values: NDArray[np.float64]
    """(L, S) of the baseline on the same queries in the same order."""
    clusters: NDArray[np.int64]
    """(S,) the product of each query."""

    @property
    def title(self) -> str:
        """Tells the comparisons of a family apart."""
        return f"{self.encoder} against {self.baseline}, {self.metric} by {self.relevance}"


@dataclass(frozen=True, kw_only=True)
class VerdictSettings:
    """How sure a verdict must be. `config.py` holds the defaults."""

    bootstrap: BootstrapSettings
    """Settings of intervals and verdicts: their confidence, the bootstrap's draws, and as many permutations of each
    test; H comparisons need H / (1 - confidence) draws or more."""
    power: float
    """Probability with which the smallest resolvable difference is found; 0.5 or more and below 1, such as 0.8."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer to one comparison. Differences are encoder minus baseline, in the metric's unit (0.01 is a point)."""

    encoder: str
    baseline: str
    metric: str
    relevance: str
    word: Word
    difference: Interval
    """Mean over the queries, and its interval for this comparison alone."""
    p_value: float
    """Two-sided, of the permutation test of this comparison alone."""
    corrected_p_value: float
    """After Holm's correction: what the word goes by."""
    comparisons: int
    """H, of the family."""
    resolvable_difference: float | None
    """Smallest true difference that a test at the family's strictest level finds with the power; None: cannot be told.
    """
    queries: int
    products: int
    differing_products: int
    """At which the one encoder does better than the other, all queries of the product together."""
    seed_means: tuple[float, ...]
    """Mean of the encoder's metric of each seed."""
    seed_spread: float | None
    """Standard deviation of `seed_means`; None for one seed."""
    confidence: float
    power: float

    @property
    def sentences(self) -> tuple[str, ...]:
        """Two for a person, and a third if there are several seeds. Points are hundredths of the metric."""
        seeds = [_seeds_sentence(self)] if self.seed_spread is not None else []
        return (_answer_sentence(self), _limit_sentence(self), *seeds)

    def __str__(self) -> str:
        return "\n".join(self.sentences)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what cannot be told is null."""
        lists = {"seed_means": list(self.seed_means), "sentences": list(self.sentences)}
        return {**asdict(self), **lists, "difference": self.difference.to_dict()}


def judge_family(comparisons: Sequence[Comparison], *, settings: VerdictSettings) -> list[Verdict]:
    """Judge comparisons that are read together; verdicts in the same order.

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
    paired = _paired(comparisons, differences, settings)
    corrected = holm_corrected([found.p_value for found in paired])
    return [
        _verdict(*each, comparisons=len(comparisons), settings=settings)
        for each in zip(comparisons, encoders, differences, paired, corrected, strict=True)
    ]


def _paired(
    comparisons: Sequence[Comparison], differences: Sequence[NDArray[np.float64]], settings: VerdictSettings
) -> list[PairedDifference]:
    # Comparisons over the same queries share their draws, which cost more than what is done with them.
    families: dict[bytes, list[int]] = {}
    for place, comparison in enumerate(comparisons):
        families.setdefault(comparison.clusters.tobytes(), []).append(place)
    found: dict[str, PairedDifference] = {}
    for places in families.values():
        found |= paired_differences(
            {comparisons[place].title: differences[place] for place in places},
            comparisons[places[0]].clusters,
            bootstrap=settings.bootstrap,
        )
    return [found[comparison.title] for comparison in comparisons]


def _verdict(
    comparison: Comparison,
    encoder: PooledSeeds,
    differences: NDArray[np.float64],
    paired: PairedDifference,
    corrected: float,
    *,
    comparisons: int,
    settings: VerdictSettings,
) -> Verdict:
    _, product_of_query = np.unique(comparison.clusters, return_inverse=True)
    sums = np.bincount(product_of_query, weights=differences)
    level = 1.0 - settings.bootstrap.confidence
    resolvable = resolvable_difference(
        differences, comparison.clusters, level=level / comparisons, power=settings.power
    )
    return Verdict(
        encoder=comparison.encoder,
        baseline=comparison.baseline,
        metric=comparison.metric,
        relevance=comparison.relevance,
        word=_word(paired.interval.mean, corrected, level=level),
        difference=paired.interval,
        p_value=paired.p_value,
        corrected_p_value=corrected,
        comparisons=comparisons,
        resolvable_difference=_or_none(resolvable),
        queries=len(differences),
        products=len(sums),
        differing_products=int((np.abs(sums) > _ROUNDING).sum()),
        seed_means=encoder.means,
        seed_spread=_or_none(encoder.spread),
        confidence=settings.bootstrap.confidence,
        power=settings.power,
    )


def _word(difference: float, corrected_p_value: float, *, level: float) -> Word:
    if corrected_p_value >= level:
        return "not shown to be better"
    return "better" if difference > 0 else "worse"


def _answer_sentence(verdict: Verdict) -> str:
    found = verdict.difference
    ends = between(found.low, found.high, write=fine_signed_percent, unknown="")
    interval = f"{100 * verdict.confidence:g} % interval {ends}, " if ends else ""
    together = f" for {verdict.comparisons} comparisons together" if verdict.comparisons > 1 else ""
    return (
        f"{verdict.encoder} is {verdict.word} than {verdict.baseline}: "
        f"{verdict.metric} by {verdict.relevance} differs by {fine_signed_percent(found.mean)} points ({interval}"
        f"{_p_value(verdict.corrected_p_value)}{together}) over {counted(verdict.queries, 'query', 'queries')} of "
        f"{counted(verdict.products, 'product')}."
    )


def _limit_sentence(verdict: Verdict) -> str:
    if verdict.differing_products == 0:
        return "Both do equally well at every product."
    if 2.0 ** (1 - verdict.differing_products) * verdict.comparisons > 1.0 - verdict.confidence:
        few = counted(verdict.differing_products, "product")
        return f"They differ at {few}: too few for a verdict with this confidence."
    if verdict.resolvable_difference is None:
        return "They differ by as much at every query."
    unseen = "; a smaller one may be there unseen" if verdict.word == "not shown to be better" else ""
    return (
        f"The smallest difference that this split can resolve is {fine_percent(verdict.resolvable_difference)} points "
        f"(found with {100 * verdict.power:g} % probability){unseen}."
    )


def _seeds_sentence(verdict: Verdict) -> str:
    spread = fine_percent(verdict.seed_spread or 0.0)
    return (
        f"{verdict.encoder} is the mean of {len(verdict.seed_means)} seeds, whose own means spread by {spread} points "
        "(standard deviation); the interval is of queries, not of seeds."
    )


def _p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _check(comparisons: Sequence[Comparison], settings: VerdictSettings) -> None:
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

"""Verdicts of a comparison: in the main metric, what contradicts them, and the categories that fall."""

# Shapes: S queries, K seeds.

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from simtrain.comparison.encoder_metrics import CatalogCategories
from simtrain.comparison.fold_scores import PooledScores
from simtrain.comparison.protocol import ComparisonProtocol
from simtrain.comparison.scoring import ScoredEncoder
from simtrain.comparison.verdict import (
    Contradiction,
    PairedComparison,
    Verdict,
    VerdictSettings,
    verdicts_with_correction,
)

ALTERED_COPIES = "altered copies"
"""Name, among the definitions of relevance, of "the image that this altered copy was made of"."""

Key = tuple[str, str]
"""Encoder and definition of relevance."""


def comparison_verdicts(
    protocol: ComparisonProtocol, scored_encoders: Sequence[ScoredEncoder], baselines: Mapping[str, ScoredEncoder]
) -> dict[Key, Verdict]:
    """Verdict in the main metric of every encoder by every definition of relevance.

    `better` becomes `mixed` where another headline metric by the same definition is significantly worse; for the main
    definition also where any headline metric by another one, or the retrieval of altered copies, is. `worse` becomes
    `mixed` likewise. The verdicts in the main metric are one family of Holm's correction, the others a second one, the
    categories of all runs a third.

    Args:
        protocol: Protocol of the comparison.
        scored_encoders: Every encoder with its scores.
        baselines: Definition of relevance -> baseline.
    """
    settings = VerdictSettings(bootstrap=protocol.bootstrap, power=protocol.config.power)
    main = _verdicts(_in_metrics(scored_encoders, baselines, [protocol.config.metric]), settings)
    others = [name for name in protocol.config.headline_metrics if name != protocol.config.metric]
    further = [
        *_in_metrics(scored_encoders, baselines, others),
        *_of_altered_copies(scored_encoders, baselines[protocol.relevance[0]]),
    ]
    beside = _verdicts(further, settings)
    verdicts = {
        (verdict.encoder, verdict.relevance): _contradicted(verdict, [*main, *beside], protocol.relevance[0])
        for verdict in main
    }
    for key, fallen in _falling_categories(protocol, scored_encoders, baselines, settings).items():
        verdicts[key] = replace(verdicts[key], falling_categories=fallen)
    return verdicts


def largest_family(protocol: ComparisonProtocol, *, encoders: int) -> int:
    """Largest number of verdicts that are corrected together, beside those of categories.

    Args:
        protocol: Protocol of the comparison.
        encoders: Number of encoders that are compared with the baselines.
    """
    others = [name for name in protocol.config.headline_metrics if name != protocol.config.metric]
    return max(len(protocol.relevance), len(protocol.relevance) * len(others) + 1) * encoders


def _verdicts(comparisons: Sequence[PairedComparison], settings: VerdictSettings) -> list[Verdict]:
    return verdicts_with_correction(comparisons, settings=settings) if comparisons else []


def _in_metrics(
    scored_encoders: Sequence[ScoredEncoder],
    baselines: Mapping[str, ScoredEncoder],
    metrics: Sequence[str],
) -> list[PairedComparison]:
    return [
        _paired(scored, baselines[relevance], scores, metric=metric, relevance=relevance)
        for metric in metrics
        for scored in scored_encoders
        for relevance, scores in scored.scores.items()
        if scored is not baselines[relevance]
    ]


def _paired(
    scored: ScoredEncoder, baseline: ScoredEncoder, scores: PooledScores, *, metric: str, relevance: str
) -> PairedComparison:
    return PairedComparison(
        encoder=scored.figures.name,
        baseline=baseline.figures.name,
        metric=metric,
        relevance=relevance,
        values=scores.values[metric],
        baseline_values=baseline.scores[relevance].values[metric],
        clusters=scores.clusters,
    )


def _of_altered_copies(scored_encoders: Sequence[ScoredEncoder], baseline: ScoredEncoder) -> list[PairedComparison]:
    return [
        PairedComparison(
            encoder=scored.figures.name,
            baseline=baseline.figures.name,
            metric="recall_at_1",
            relevance=ALTERED_COPIES,
            values=scored.altered.found[None, :],
            baseline_values=baseline.altered.found[None, :],
            clusters=scored.altered.clusters,
        )
        for scored in scored_encoders
        if scored is not baseline and scored.altered is not None and baseline.altered is not None
    ]


def _contradicted(verdict: Verdict, others: Sequence[Verdict], main_relevance: str) -> Verdict:
    opposite = {"better": "worse", "worse": "better"}.get(verdict.word)
    found = tuple(
        Contradiction(
            metric=one.metric,
            relevance=one.relevance,
            baseline=one.baseline,
            word=one.word,
            difference=one.difference.mean,
        )
        for one in others
        if one.encoder == verdict.encoder
        and one.word == opposite
        and (verdict.relevance == main_relevance or one.relevance == verdict.relevance)
    )
    return replace(verdict, word="mixed", contradictions=found) if found else verdict


def _contradiction(verdict: Verdict) -> Contradiction:
    return Contradiction(
        metric=verdict.metric,
        relevance=verdict.relevance,
        baseline=verdict.baseline,
        word=verdict.word,
        difference=verdict.difference.mean,
    )


def _falling_categories(
    protocol: ComparisonProtocol,
    scored_encoders: Sequence[ScoredEncoder],
    baselines: Mapping[str, ScoredEncoder],
    settings: VerdictSettings,
) -> dict[Key, tuple[Contradiction, ...]]:
    """Categories in which a run is significantly worse in the main metric by the main relevance."""
    relevance, categories = protocol.relevance[0], protocol.categories
    baseline = baselines[relevance]
    runs = [one for one in scored_encoders if one.figures.kind == "run" and one is not baseline]
    if categories is None or not runs:
        return {}
    most = math.floor(settings.bootstrap.draws * (1 - settings.bootstrap.confidence)) // len(runs)
    codes = _largest_categories(baseline.scores[relevance], categories, most=most)
    comparisons = [
        _of_category(
            _paired(run, baseline, run.scores[relevance], metric=protocol.config.metric, relevance=relevance),
            categories,
            code,
            run.scores[relevance],
        )
        for run in runs
        for code in codes
    ]
    verdicts = _verdicts(comparisons, settings)
    return {
        (run.figures.name, relevance): tuple(
            Contradiction(
                metric=one.metric,
                relevance=one.relevance,
                baseline=one.baseline,
                word="worse",
                difference=one.difference.mean,
            )
            for one in verdicts
            if one.encoder == run.figures.name and one.word == "worse"
        )
        for run in runs
    }


def _largest_categories(scores: PooledScores, categories: CatalogCategories, *, most: int) -> list[int]:
    """Codes of the categories with queries, those with most queries first, as many as can be corrected together."""
    of_queries = categories.codes[scores.catalog_rows]
    counts = np.bincount(of_queries[of_queries >= 0], minlength=len(categories.names))
    by_count = np.argsort(-counts, kind="stable")
    return [int(code) for code in by_count[:most] if counts[code] > 0]


def _of_category(
    comparison: PairedComparison, categories: CatalogCategories, code: int, scores: PooledScores
) -> PairedComparison:
    chosen = categories.codes[scores.catalog_rows] == code
    return replace(
        comparison,
        relevance=categories.names[code],
        values=comparison.values[:, chosen],
        baseline_values=comparison.baseline_values[:, chosen],
        clusters=comparison.clusters[chosen],
    )

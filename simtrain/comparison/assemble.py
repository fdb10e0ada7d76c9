"""Assembly of a comparison's result: baselines, verdicts, report data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from simtrain.catalog.table import Catalog
from simtrain.comparison.encoder_metrics import recall_curve, relevance_figures
from simtrain.comparison.fold_scores import CURVE_KS, pooled_chance, pooled_chance_grades
from simtrain.comparison.image_panels import pictures_of
from simtrain.comparison.result import ComparisonReport, EncoderFigures, RelevanceFigures, Unavailable
from simtrain.comparison.scoring import Question, ScoredEncoder
from simtrain.comparison.verdict import Comparison, Verdict, VerdictSettings, judge_family
from simtrain.config import CompareConfig
from simtrain.errors import ConfigError
from simtrain.runs.run import data_fingerprint, environment


def report_of(
    question: Question,
    entries: Sequence[ScoredEncoder],
    unavailable: list[Unavailable],
    *,
    catalog: Catalog,
    images: str,
    resolvable: dict[str, float | None],
    resolvable_words: list[str],
    test_readings: dict[str, int],
) -> ComparisonReport:
    """All results of a comparison, with verdicts and pictures.

    Args:
        question: Protocol of the comparison.
        entries: Scored encoders.
        unavailable: Encoders that could not be loaded.
        catalog: The whole catalogue, with its own splits.
        images: Where its images were read from, as a phrase.
        resolvable: Smallest detectable differences, as in `ComparisonReport`.
        resolvable_words: The same in sentences, as in `ComparisonReport`.
        test_readings: Number of test evaluations of each run, as in `ComparisonReport`.
    """
    config, parts = question.config, question.parts
    chosen = {relevance: _baseline(config, entries, relevance) for relevance in question.relevance}
    baselines = {relevance: entry for relevance, (entry, _) in chosen.items()}
    baseline, reason = chosen[question.relevance[0]]
    verdicts = _verdicts(question, entries, baselines)
    return ComparisonReport(
        catalog=str(catalog.folder),
        data=data_fingerprint(catalog),
        images=images,
        split=config.split,
        folds=tuple(part.fold for part in parts if part.fold is not None),
        queries=sum(len(part.main.queries) for part in parts),
        products=sum(len(set(part.main.clusters[part.main.queries].tolist())) for part in parts),
        gallery=sum(len(part.main.gallery) for part in parts),
        copies=sum(part.main.copied_queries for part in parts),
        near_copies=sum(part.main.near_copied_queries for part in parts),
        relevance=question.relevance,
        relevance_words={name: one.words for name, one in question.relevances.items()},
        metric=config.metric,
        levels=[" + ".join(columns) for columns in question.levels],
        category=None if question.categories is None else question.categories.column,
        categories=[] if question.categories is None else question.categories.names,
        baseline=baseline.figures.name,
        baseline_reason=reason,
        baselines={relevance: entry.figures.name for relevance, entry in baselines.items()},
        resolvable=resolvable,
        resolvable_words=resolvable_words,
        encoders=[_chance(question), *(_with_verdicts(entry, verdicts) for entry in entries)],
        unavailable=unavailable,
        test_readings=test_readings,
        confidence=config.confidence,
        draws=config.draws,
        made_with=environment(),
        pictures=pictures_of(
            question,
            entries,
            looked_at=[baseline, *(entry for entry in entries if entry.figures.kind == "run")],
            judged_by=_judged_by(entries, baseline),
            catalog=catalog,
        ),
    )


def _baseline(config: CompareConfig, entries: Sequence[ScoredEncoder], relevance: str) -> tuple[ScoredEncoder, str]:
    """The one named, or by this idea of relevance the best of those that no run has trained; and why."""
    if config.baseline is not None:
        for entry in entries:
            if entry.figures.name == config.baseline:
                return entry, "named"
        raise ConfigError(f"baseline: '{config.baseline}' cannot be had here, or is the same as another")
    candidates = [entry for entry in entries if entry.figures.kind != "run"] or list(entries)
    what = "encoders that no run has trained" if candidates[0].figures.kind != "run" else "runs"
    if relevance in candidates[0].validation:
        best = max(candidates, key=lambda entry: entry.validation[relevance])
        return best, f"the highest {config.metric} on val of the {what}"
    best = max(candidates, key=lambda entry: float(entry.scores[relevance].over_seeds(config.metric).mean()))
    return best, (
        f"the highest {config.metric} on {config.split} itself of the {what}, as val has nothing to ask: this favours "
        "the baseline"
    )


def _verdicts(
    question: Question, entries: Sequence[ScoredEncoder], baselines: Mapping[str, ScoredEncoder]
) -> dict[tuple[str, str], Verdict]:
    """By encoder and relevance: one family."""
    config = question.config
    family = [
        Comparison(
            encoder=entry.figures.name,
            baseline=baselines[relevance].figures.name,
            metric=config.metric,
            relevance=relevance,
            values=scores.values[config.metric],
            baseline_values=baselines[relevance].scores[relevance].values[config.metric],
            clusters=scores.clusters,
        )
        for entry in entries
        for relevance, scores in entry.scores.items()
        if entry is not baselines[relevance]
    ]
    settings = VerdictSettings(bootstrap=question.bootstrap, power=config.power)
    verdicts = judge_family(family, settings=settings) if family else []
    return {(one.encoder, one.relevance): verdict for one, verdict in zip(family, verdicts, strict=True)}


def _with_verdicts(entry: ScoredEncoder, verdicts: dict[tuple[str, str], Verdict]) -> EncoderFigures:
    name = entry.figures.name
    judged = {
        relevance: replace(figures, verdict=verdicts.get((name, relevance)))
        for relevance, figures in entry.figures.relevances.items()
    }
    return replace(entry.figures, relevances=judged)


def _judged_by(entries: Sequence[ScoredEncoder], baseline: ScoredEncoder) -> ScoredEncoder:
    """The best run on val, or without runs the baseline."""
    runs = [entry for entry in entries if entry.figures.kind == "run"]
    return max(runs, key=lambda entry: next(iter(entry.validation.values()), 0.0)) if runs else baseline


def _chance(question: Question) -> EncoderFigures:
    """A random encoder: computed."""
    parts = question.parts
    figures: dict[str, RelevanceFigures] = {}
    curve: tuple[float, ...] = ()
    for relevance in question.relevance:
        scores = pooled_chance(parts, relevance=relevance, recall_ks=CURVE_KS)
        figures[relevance] = relevance_figures(
            relevance, scores, categories=question.categories, bootstrap=question.bootstrap
        )
        curve = curve or recall_curve(scores)
    graded = pooled_chance_grades(parts, levels=question.levels) if len(question.levels) > 1 else None
    return EncoderFigures(
        name="chance",
        kind="chance",
        words="any order of the gallery, computed",
        seeds=1,
        embedding_size=None,
        relevances=figures,
        grades={} if graded is None else graded.intervals(list(graded.values), bootstrap=question.bootstrap),
        recall_curve=curve,
    )

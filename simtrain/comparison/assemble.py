"""Assembly of a comparison's result: baselines, verdicts, report data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from simtrain.catalog.table import Catalog
from simtrain.comparison.detectable import DetectableDifferences, differences_measured_on_val
from simtrain.comparison.encoder_metrics import recall_curve, relevance_figures
from simtrain.comparison.fold_scores import CURVE_KS, pooled_chance, pooled_chance_grades
from simtrain.comparison.image_panels import collect_report_images
from simtrain.comparison.protocol import ComparisonProtocol
from simtrain.comparison.recommendation import JudgedEncoders, has_learned, recommend
from simtrain.comparison.result import ComparisonReport, EncoderFigures, RelevanceFigures, Unavailable
from simtrain.comparison.scoring import ScoredEncoder
from simtrain.comparison.text_maps import ScoredTextMap, text_verdicts
from simtrain.comparison.verdict import Verdict, VerdictSettings
from simtrain.comparison.verdict_families import comparison_verdicts
from simtrain.config import CompareConfig
from simtrain.errors import ConfigError
from simtrain.runs.run import data_fingerprint, environment


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """Facts of a report that are known beside the scores.

    Attributes:
        catalog: The whole catalogue, with its own splits.
        image_source: Where its images were read from, as a phrase.
        detectable: Smallest detectable differences, by assumptions.
        unavailable: Encoders that could not be loaded.
        test_readings: Run -> number of evaluations on the test split, this one included; empty for other splits.
        text_maps: Linear maps beside the runs that embed texts.
    """

    catalog: Catalog
    image_source: str
    detectable: DetectableDifferences
    unavailable: list[Unavailable]
    test_readings: dict[str, int]
    text_maps: Sequence[ScoredTextMap]


def assemble_report(
    protocol: ComparisonProtocol, scored_encoders: Sequence[ScoredEncoder], *, inputs: ReportInputs
) -> ComparisonReport:
    """All results of a comparison, with verdicts and images."""
    config, folds = protocol.config, protocol.folds
    chosen = {relevance: _baseline(config, scored_encoders, relevance) for relevance in protocol.relevance}
    baselines = {relevance: scored for relevance, (scored, _) in chosen.items()}
    baseline, reason = chosen[protocol.relevance[0]]
    verdicts, catalog = comparison_verdicts(protocol, scored_encoders, baselines), inputs.catalog
    measured = differences_measured_on_val(protocol, scored_encoders, baselines, comparisons=len(verdicts))
    chance = _chance(protocol)
    figures = [_with_verdicts(scored, verdicts) for scored in scored_encoders]
    of_texts = text_verdicts(
        scored_encoders,
        inputs.text_maps,
        settings=VerdictSettings(bootstrap=protocol.bootstrap, power=config.power),
    )
    return ComparisonReport(
        catalog=str(catalog.folder),
        data=data_fingerprint(catalog),
        images=inputs.image_source,
        split=config.split,
        folds=tuple(fold.number for fold in folds if fold.number is not None),
        queries=sum(len(fold.main_task.queries) for fold in folds),
        products=sum(len(set(fold.main_task.clusters[fold.main_task.queries].tolist())) for fold in folds),
        gallery=sum(len(fold.main_task.gallery) for fold in folds),
        copies=sum(fold.main_task.copied_queries for fold in folds),
        near_copies=sum(fold.main_task.near_copied_queries for fold in folds),
        relevance=protocol.relevance,
        relevance_words={name: one.description for name, one in protocol.relevances.items()},
        metric=config.metric,
        levels=[" + ".join(columns) for columns in protocol.levels],
        category=None if protocol.categories is None else protocol.categories.column,
        categories=[] if protocol.categories is None else protocol.categories.names,
        baseline=baseline.figures.name,
        baseline_reason=reason,
        baselines={relevance: scored.figures.name for relevance, scored in baselines.items()},
        resolvable={relevance: of["recall_at_1"] for relevance, of in inputs.detectable.smallest.items()},
        resolvable_map_at_r={relevance: of["map_at_r"] for relevance, of in inputs.detectable.smallest.items()},
        resolvable_on_val=measured.smallest,
        resolvable_words=[*inputs.detectable.sentences, *measured.sentences],
        encoders=[chance, *figures],
        unavailable=inputs.unavailable,
        test_readings=inputs.test_readings,
        confidence=config.confidence,
        draws=config.draws,
        made_with=environment(),
        pictures=collect_report_images(
            protocol,
            scored_encoders,
            shown_encoders=[baseline, *(scored for scored in scored_encoders if scored.figures.kind == "run")],
            reference_encoder=_reference_encoder(scored_encoders, baseline),
            catalog=catalog,
        ),
        texts=next((scored.text.texts for scored in scored_encoders if scored.text is not None), None),
        text_maps=[one.figures for one in inputs.text_maps],
        text_verdicts=of_texts,
        recommendation=None
        if chance.relevances[protocol.relevance[0]].nothing_is_wrong
        else recommend(
            JudgedEncoders(
                encoders=figures,
                relevance=protocol.relevance[0],
                metric=config.metric,
                split=config.split,
                baseline=baseline.figures.name,
                validation=_validation(scored_encoders, protocol.relevance[0]),
                text_verdicts=of_texts,
            )
        ),
    )


def _validation(scored_encoders: Sequence[ScoredEncoder], relevance: str) -> dict[str, float]:
    """Name -> mean of the main metric on val; empty where val has no queries."""
    return {one.figures.name: one.validation[relevance] for one in scored_encoders if relevance in one.validation}


def _baseline(
    config: CompareConfig, scored_encoders: Sequence[ScoredEncoder], relevance: str
) -> tuple[ScoredEncoder, str]:
    """The one named, or by this idea of relevance the best of those that no run has trained; and why."""
    if config.baseline is not None:
        for scored in scored_encoders:
            if scored.figures.name == config.baseline:
                return scored, "set by --baseline"
        raise ConfigError(f"baseline: '{config.baseline}' is unavailable, or has the same weights as another encoder")
    candidates = [scored for scored in scored_encoders if scored.figures.kind != "run"] or list(scored_encoders)
    what = "encoders without fine-tuning" if candidates[0].figures.kind != "run" else "runs"
    if relevance in candidates[0].validation:
        best = max(candidates, key=lambda one: (one.validation[relevance], has_learned(one.figures.name)))
        return best, f"highest {config.metric} on val of the {what}"
    best = max(candidates, key=lambda scored: float(scored.scores[relevance].over_seeds(config.metric).mean()))
    return best, (
        f"highest {config.metric} on {config.split} of the {what}, because val has no queries; this favours the "
        "baseline"
    )


def _with_verdicts(scored: ScoredEncoder, verdicts: dict[tuple[str, str], Verdict]) -> EncoderFigures:
    name = scored.figures.name
    judged = {
        relevance: replace(figures, verdict=verdicts.get((name, relevance)))
        for relevance, figures in scored.figures.relevances.items()
    }
    return replace(scored.figures, relevances=judged)


def _reference_encoder(scored_encoders: Sequence[ScoredEncoder], baseline: ScoredEncoder) -> ScoredEncoder:
    """The best run on val, or without runs the baseline."""
    runs = [scored for scored in scored_encoders if scored.figures.kind == "run"]
    return max(runs, key=lambda scored: next(iter(scored.validation.values()), 0.0)) if runs else baseline


def _chance(protocol: ComparisonProtocol) -> EncoderFigures:
    """A random encoder: computed."""
    folds = protocol.folds
    figures: dict[str, RelevanceFigures] = {}
    curve: tuple[float, ...] = ()
    for relevance in protocol.relevance:
        scores = pooled_chance(folds, relevance=relevance, recall_ks=CURVE_KS)
        figures[relevance] = relevance_figures(
            relevance, scores, categories=protocol.categories, bootstrap=protocol.bootstrap
        )
        curve = curve or recall_curve(scores)
    graded = pooled_chance_grades(folds, levels=protocol.levels) if len(protocol.levels) > 1 else None
    return EncoderFigures(
        name="chance",
        kind="chance",
        words="expected metrics of a random order, computed",
        seeds=1,
        embedding_size=None,
        relevances=figures,
        grades={} if graded is None else graded.intervals(list(graded.values), bootstrap=protocol.bootstrap),
        recall_curve=curve,
    )

"""`simtrain compare`: did it help? Encoders as they come beside runs, on the same queries, with a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from simtrain.catalog.progress import Progress
from simtrain.catalog.table import Catalog, read_catalog
from simtrain.commands.comparison_embeddings import Embedder
from simtrain.commands.comparison_pictures import pictures_of
from simtrain.commands.comparison_question import changed_rows, question_of, resolvable
from simtrain.commands.comparison_scoring import Entry, Question, entries_of
from simtrain.commands.contenders import Contender, contenders
from simtrain.commands.embedding_cache import FOLDER, EmbeddingCache
from simtrain.commands.runs import Run, count_test_reading, data_fingerprint, environment
from simtrain.config import CompareConfig, nearest
from simtrain.data.embedding import inference_device
from simtrain.errors import CatalogError, CheckpointError, ConfigError, SimtrainError
from simtrain.evaluation.comparison import ComparisonReport, EncoderFigures, RelevanceFigures, Unavailable
from simtrain.evaluation.encoder_figures import recall_curve, relevance_figures
from simtrain.evaluation.pooling import CURVE_KS, pooled_chance, pooled_chance_grades
from simtrain.evaluation.verdict import Comparison, Verdict, VerdictSettings, judge_family

_ORDER = ("off_the_shelf", "whitened", "run")


def compare(
    folder: Path,
    runs: Sequence[Run],
    *,
    config: CompareConfig,
    say: Callable[[str], None],
    progress: Progress,
) -> ComparisonReport:
    """Judge encoders as they come, what runs began with and the runs on the same queries of a catalogue.

    Where the judged split is `test`, each run's `run.json` counts that its test figures were read.

    Args:
        folder: Of the catalogue; embeddings are kept in it for the next time.
        runs: To take part; those that differ in seed and fold alone are one training.
        config: Everything else.
        say: Takes lines for the user.
        progress: Shows how many batches are embedded.

    Raises:
        SimtrainError: for anything that the user can mend.
    """
    catalog = read_catalog(folder)
    for run in runs:
        _check_data(run, catalog)
    question = question_of(config, catalog, runs)
    invited = contenders(config, runs)
    _check_baseline(config, invited)
    planned = _comparisons(invited, question)
    _check_draws(config, planned)
    found, words = resolvable(question, comparisons=planned)
    for sentence in words:
        say(sentence)
    embedder = Embedder(
        config=config,
        catalog=catalog,
        cache=EmbeddingCache(catalog.folder / FOLDER, data=str(data_fingerprint(catalog)["sha256"])),
        device=inference_device(config.accelerator),
        progress=progress,
    )
    if not embedder.cache.lasts:
        say(f"{catalog.folder}: cannot be written to, so embeddings are not kept for the next time")
    question = changed_rows(question, embedder.images(1).reader, progress=progress)
    entries, unavailable = _asked(invited, question, embedder, say=say)
    chosen = {relevance: _baseline(config, entries, relevance) for relevance in question.relevance}
    baselines = {relevance: entry for relevance, (entry, _) in chosen.items()}
    baseline, reason = chosen[question.relevance[0]]
    verdicts = _verdicts(question, entries, baselines)
    readings = {run.folder.name: count_test_reading(run) for run in runs} if config.split == "test" else {}
    judged_by = _judged_by(entries, baseline)
    looked_at = [baseline, *(entry for entry in entries if entry.figures.kind == "run")]
    return ComparisonReport(
        catalog=str(catalog.folder),
        data=data_fingerprint(catalog),
        images=embedder.images(1).told,
        split=config.split,
        folds=tuple(part.fold for part in question.parts if part.fold is not None),
        queries=sum(len(part.main.queries) for part in question.parts),
        products=sum(len(set(part.main.clusters[part.main.queries].tolist())) for part in question.parts),
        gallery=sum(len(part.main.gallery) for part in question.parts),
        copies=sum(part.main.copied_queries for part in question.parts),
        relevance=question.relevance,
        metric=config.metric,
        levels=[" + ".join(columns) for columns in question.levels],
        category=None if question.categories is None else question.categories.column,
        categories=[] if question.categories is None else question.categories.names,
        baseline=baseline.figures.name,
        baseline_reason=reason,
        baselines={relevance: entry.figures.name for relevance, entry in baselines.items()},
        resolvable=found,
        resolvable_words=words,
        encoders=[_chance(question), *(_with_verdicts(entry, verdicts) for entry in entries)],
        unavailable=unavailable,
        test_readings=readings,
        confidence=config.confidence,
        draws=config.draws,
        made_with=environment(),
        pictures=pictures_of(question, entries, looked_at=looked_at, judged_by=judged_by, catalog=catalog),
    )


def _check_data(run: Run, catalog: Catalog) -> None:
    """Refuse a run that may have been trained on what it is judged by."""
    if run.record["data"]["sha256"] != data_fingerprint(catalog)["sha256"]:
        raise CheckpointError(
            f"--run {run.folder.name}: trained on {run.record['data']['catalog']} as it was then, which is not what "
            f"{catalog.folder} is now; its training images may be among the queries"
        )


def _check_baseline(config: CompareConfig, invited: Sequence[Contender]) -> None:
    names = [one.name for one in invited]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ConfigError(f"{name}: two of this name; rename the run's folder, or leave the encoder out")
    whitened = [f"{one.name}_whitened" for one in invited if one.kind == "off_the_shelf"]
    known = [*names, *(whitened if config.whitening is not None else [])]
    if config.baseline is not None and config.baseline not in known:
        raise ConfigError(
            f"baseline: '{config.baseline}' takes no part{nearest(config.baseline, known)}; allowed: {', '.join(known)}"
        )


def _comparisons(invited: Sequence[Contender], question: Question) -> int:
    """Verdicts that may come."""
    whitened = question.config.whitening is not None
    encoders = sum(2 if whitened and one.kind == "off_the_shelf" else 1 for one in invited)
    return max(1, encoders - 1) * len(question.relevance)


def _check_draws(config: CompareConfig, comparisons: int) -> None:
    needed = math.ceil(comparisons / (1 - config.confidence))
    if config.draws < needed:
        raise ConfigError(
            f"draws: got {config.draws}; {comparisons} verdicts together at a confidence of {config.confidence:g} need "
            f"{needed} or more"
        )


def _asked(
    invited: Sequence[Contender], question: Question, embedder: Embedder, *, say: Callable[[str], None]
) -> tuple[list[Entry], list[Unavailable]]:
    """Everyone who can be asked, and who cannot; two that are the same in everything are one."""
    entries: list[Entry] = []
    unavailable: list[Unavailable] = []
    for contender in invited:
        try:
            found = entries_of(contender, question, embedder)
        except (ConfigError, CatalogError):
            raise
        except SimtrainError as error:
            if contender.kind == "run":
                raise
            say(f"{contender.name}: not there: {error}")
            unavailable.append(Unavailable(name=contender.name, reason=str(error)))
            continue
        same = _same_as(found[0], entries)
        if same is not None and contender.kind != "run":
            say(f"{contender.name}: the same as {same}")
            continue
        entries += found
        say(_entry_line(found[0], question))
    if not entries:
        raise ConfigError(f"encoders: none of {', '.join(one.name for one in unavailable)} can be had here")
    return sorted(entries, key=lambda entry: _ORDER.index(entry.figures.kind)), unavailable


def _same_as(entry: Entry, entries: Sequence[Entry]) -> str | None:
    for other in entries:
        if other.figures.details["fingerprint"] == entry.figures.details["fingerprint"]:
            return other.figures.name
    return None


def _entry_line(entry: Entry, question: Question) -> str:
    relevance = question.relevance[0]
    mean = entry.figures.relevances[relevance].metrics[question.config.metric].mean
    return f"{entry.figures.name}: {question.config.metric} by {relevance} {mean:.3f}"


def _baseline(config: CompareConfig, entries: Sequence[Entry], relevance: str) -> tuple[Entry, str]:
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
    question: Question, entries: Sequence[Entry], baselines: Mapping[str, Entry]
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
    settings = VerdictSettings(confidence=config.confidence, power=config.power, draws=config.draws, seed=config.seed)
    verdicts = judge_family(family, settings=settings) if family else []
    return {(one.encoder, one.relevance): verdict for one, verdict in zip(family, verdicts, strict=True)}


def _with_verdicts(entry: Entry, verdicts: dict[tuple[str, str], Verdict]) -> EncoderFigures:
    name = entry.figures.name
    judged = {
        relevance: replace(figures, verdict=verdicts.get((name, relevance)))
        for relevance, figures in entry.figures.relevances.items()
    }
    return replace(entry.figures, relevances=judged)


def _judged_by(entries: Sequence[Entry], baseline: Entry) -> Entry:
    """The best run on val, or the baseline without runs."""
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
        grades={} if graded is None else question.bootstrap.intervals(graded, list(graded.values)),
        recall_curve=curve,
    )

"""`simtrain compare`: off-the-shelf encoders and runs evaluated on the same queries, with verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simtrain.catalog.table import Catalog, read_catalog
from simtrain.comparison.assemble import report_of
from simtrain.comparison.candidates import Contender, contenders
from simtrain.comparison.embeddings import SMALLEST, Embedder
from simtrain.comparison.leakage import check_run
from simtrain.comparison.protocol import changed_rows, question_of, resolvable
from simtrain.comparison.result import ComparisonReport, Unavailable
from simtrain.comparison.scoring import Question, ScoredEncoder, entries_of
from simtrain.comparison.whitened_variants import whitened_variants
from simtrain.config import CompareConfig
from simtrain.console import Console
from simtrain.data.embedding import inference_device
from simtrain.data.embedding_cache import FOLDER, EmbeddingCache
from simtrain.errors import CatalogError, ConfigError, SimtrainError, nearest
from simtrain.runs.loaded_encoder import LoadedEncoder
from simtrain.runs.run import Run, count_test_reading, data_fingerprint

_ORDER = ("off_the_shelf", "whitened", "run")


@dataclass(frozen=True, kw_only=True)
class _Settled:
    """Everything that is fixed before any encoder runs.

    Attributes:
        catalog: The whole catalogue.
        question: Protocol of the comparison.
        invited: Encoders to compare.
        resolvable: Definition of relevance -> smallest difference that the queries can detect.
        words: The same in sentences.
        embedder: Computes embeddings, or reads them from the cache.
    """

    catalog: Catalog
    question: Question
    invited: Sequence[Contender]
    resolvable: dict[str, float | None]
    words: list[str]
    embedder: Embedder


def compare(
    folder: Path,
    runs: Sequence[Run],
    *,
    config: CompareConfig,
    console: Console,
    loaded: Sequence[LoadedEncoder] = (),
) -> ComparisonReport:
    """Evaluate off-the-shelf encoders, initial encoders of runs and the runs on the same queries of a catalogue.

    Where the judged split is `test`, each run's `run.json` counts, before the first figure is told, that it was read.

    Args:
        folder: The catalogue's folder; it also holds the cache of embeddings.
        runs: Runs to compare; those that differ in seed and fold alone are one training.
        config: All other settings of the comparison.
        console: Takes lines, and shows how many batches are embedded.
        loaded: Encoders in memory that take part too, as they are.

    Raises:
        SimtrainError: for anything that the user can fix.
    """
    settled = _settled(folder, runs, loaded, config=config, console=console)
    readings = {run.folder.name: count_test_reading(run) for run in runs} if config.split == "test" else {}
    entries, unavailable = _asked(settled, console=console)
    return report_of(
        settled.question,
        entries,
        unavailable,
        catalog=settled.catalog,
        images=settled.embedder.images(SMALLEST).description,
        resolvable=settled.resolvable,
        resolvable_words=settled.words,
        test_readings=readings,
    )


def _settled(
    folder: Path, runs: Sequence[Run], loaded: Sequence[LoadedEncoder], *, config: CompareConfig, console: Console
) -> _Settled:
    catalog, device = read_catalog(folder), inference_device(config.accelerator)
    for run in runs:
        check_run(run, catalog, console=console)
    question = question_of(config, catalog, runs)
    invited = contenders(config, runs, loaded)
    _check_baseline(config, invited)
    planned = _comparisons(invited, question)
    _check_draws(config, planned)
    found, words = resolvable(question, comparisons=planned)
    for sentence in words:
        console.line(sentence)
    cache = EmbeddingCache(catalog.folder / FOLDER, data=str(data_fingerprint(catalog)["sha256"]))
    if not cache.lasting:
        console.line(f"{catalog.folder}: no write access, so new embeddings are not cached")
    embedder = Embedder(config=config, catalog=catalog, cache=cache, device=device, console=console)
    question = changed_rows(question, embedder.images(SMALLEST).reader, console=console)
    return _Settled(
        catalog=catalog, question=question, invited=invited, resolvable=found, words=words, embedder=embedder
    )


def _check_baseline(config: CompareConfig, invited: Sequence[Contender]) -> None:
    names = [one.name for one in invited]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ConfigError(f"{name}: two encoders have this name; rename the run's folder, or leave one of them out")
    known = [*names, *(variant.name for one in invited for variant in whitened_variants(one, config))]
    if config.baseline is not None and config.baseline not in known:
        raise ConfigError(
            f"baseline: '{config.baseline}' is not compared{nearest(config.baseline, known)}; allowed: "
            f"{', '.join(known)}"
        )


def _comparisons(invited: Sequence[Contender], question: Question) -> int:
    """Verdicts that may come."""
    encoders = sum(1 + len(whitened_variants(one, question.config)) for one in invited)
    return max(1, encoders - 1) * len(question.relevance)


def _check_draws(config: CompareConfig, comparisons: int) -> None:
    needed = math.ceil(comparisons / (1 - config.confidence))
    if config.draws < needed:
        raise ConfigError(
            f"draws: got {config.draws}; {comparisons} verdicts together at a confidence of {config.confidence:g} need "
            f"{needed} or more"
        )


def _asked(settled: _Settled, *, console: Console) -> tuple[list[ScoredEncoder], list[Unavailable]]:
    """Score the encoders that can be loaded, and list the others; identical encoders are scored once."""
    entries: list[ScoredEncoder] = []
    unavailable: list[Unavailable] = []
    question = settled.question
    for contender in settled.invited:
        try:
            found, lacking = entries_of(contender, question, settled.embedder)
        except (ConfigError, CatalogError):
            raise
        except SimtrainError as error:
            if contender.required:
                raise
            found, lacking = [], [Unavailable(name=contender.name, reason=str(error))]
        for one in lacking:
            _check_not_the_baseline(one, contender, question.config)
            console.line(f"{one.name}: unavailable: {one.reason}")
            unavailable.append(one)
        same = next((one.figures.name for one in entries if found and one.fingerprints == found[0].fingerprints), None)
        if same is not None and not contender.required:
            console.line(f"{contender.name}: the same as {same}")
        elif found:
            entries += found
            console.line(_entry_line(found[0], question))
    if not entries:
        raise ConfigError(f"encoders: none of {', '.join(one.name for one in unavailable)} is available here")
    return sorted(entries, key=lambda entry: _ORDER.index(entry.figures.kind)), unavailable


def _check_not_the_baseline(lacking: Unavailable, contender: Contender, config: CompareConfig) -> None:
    """Before the others are embedded for nothing."""
    without = (
        [variant.name for variant in whitened_variants(contender, config)] if lacking.name == contender.name else []
    )
    if config.baseline is not None and config.baseline in (lacking.name, *without):
        raise ConfigError(f"baseline: '{config.baseline}' is unavailable: {lacking.reason}")


def _entry_line(entry: ScoredEncoder, question: Question) -> str:
    relevance = question.relevance[0]
    mean = entry.figures.relevances[relevance].metrics[question.config.metric].mean
    return f"{entry.figures.name}: {question.config.metric} by {relevance} {mean:.3f}"

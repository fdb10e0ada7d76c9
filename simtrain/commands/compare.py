"""`simtrain compare`: off-the-shelf encoders and runs evaluated on the same queries, with verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from simtrain.builders.judged_catalog import judged_catalog, told_of_pictures
from simtrain.catalog.changed_rows import PICTURE
from simtrain.catalog.table import Catalog, read_catalog
from simtrain.comparison.assemble import ReportInputs, assemble_report
from simtrain.comparison.candidates import Candidate, list_candidates
from simtrain.comparison.detectable import DetectableDifferences, detectable_differences
from simtrain.comparison.embeddings import ALTERED_IMAGE_SIDE, Embedder
from simtrain.comparison.leakage import check_run
from simtrain.comparison.protocol import ComparisonProtocol, build_protocol, with_altered_images
from simtrain.comparison.result import ComparisonReport, Unavailable
from simtrain.comparison.scoring import ScoredEncoder, score_candidate
from simtrain.comparison.text_maps import JUDGED, score_text_maps
from simtrain.comparison.verdict_families import largest_family
from simtrain.comparison.whitened_variants import whitened_variants
from simtrain.comparison.workload import workload_of
from simtrain.config import CompareConfig
from simtrain.console import Console, NamedConsole
from simtrain.data.embedding import inference_device
from simtrain.data.embedding_cache import FOLDER, EmbeddingCache
from simtrain.errors import CatalogError, ConfigError, SimtrainError, nearest
from simtrain.evaluation.projection import load_umap, umap_available
from simtrain.evaluation.relevance import filled_columns
from simtrain.phrases import counted
from simtrain.runs.loaded_encoder import LoadedEncoder
from simtrain.runs.run import Run, count_test_reading, data_fingerprint, report_unfinished

_ORDER = ("off_the_shelf", "whitened", "run")


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """Everything that is fixed before any encoder runs.

    Attributes:
        catalog: The whole catalogue.
        protocol: Protocol of the comparison.
        candidates: Encoders to compare.
        detectable: Smallest differences that the queries can detect.
        embedder: Computes embeddings, or reads them from the cache.
    """

    catalog: Catalog
    protocol: ComparisonProtocol
    candidates: Sequence[Candidate]
    detectable: DetectableDifferences
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

    On split `test` each run's `run.json` first counts one more evaluation on the test split (`test_readings`).

    Args:
        folder: The catalogue's folder; it also holds the cache of embeddings.
        runs: Runs to compare; those that differ in seed and fold alone are one training.
        config: All other settings of the comparison.
        console: Takes lines, and shows how many batches are embedded.
        loaded: Encoders in memory that take part too, as they are.

    Raises:
        SimtrainError: for anything that the user can fix.
    """
    config = _with_map_method(config, console=console)
    plan = _plan(folder, runs, loaded, config=config, console=console)
    readings = {run.folder.name: count_test_reading(run) for run in runs} if config.split == "test" else {}
    console.aside(str(workload_of(plan.candidates, plan.protocol, plan.embedder)))
    scored_encoders, unavailable = _score(plan, console=console)
    text_maps, without_map = score_text_maps(plan.candidates, plan.protocol, plan.embedder)
    for one in text_maps:
        console.line(f"{one.figures.name}: {JUDGED} {one.figures.text[JUDGED].mean:.3f}, {one.scores.texts}")
    for missing in without_map:
        console.line(f"{missing.name}: unavailable: {missing.reason}")
    inputs = ReportInputs(
        catalog=plan.catalog,
        image_source=plan.embedder.images(ALTERED_IMAGE_SIDE).description,
        detectable=plan.detectable,
        unavailable=[*unavailable, *without_map],
        test_readings=readings,
        text_maps=text_maps,
    )
    console.aside(f"verdicts on {counted(len(scored_encoders), 'encoder')}, {config.draws:,} draws each, and pictures")
    return assemble_report(plan.protocol, scored_encoders, inputs=inputs)


def _plan(
    folder: Path, runs: Sequence[Run], loaded: Sequence[LoadedEncoder], *, config: CompareConfig, console: Console
) -> _Plan:
    catalog, device = read_catalog(folder), inference_device(config.accelerator)
    for run in runs:
        check_run(run, catalog, console=console)
        report_unfinished(run, console)
    catalog = _judged(config, catalog, runs, console=console)
    protocol = build_protocol(config, catalog, runs)
    for qrels in [one.qrels for one in protocol.relevances.values() if one.qrels is not None]:
        if (remark := qrels.remark(catalog)) is not None:
            console.line(f"warning: {remark}")
    candidates = list_candidates(config, runs, loaded, catalog=catalog)
    _check_names_and_baseline(config, candidates)
    verdicts = _most_verdicts(candidates, protocol)
    _check_draws(config, max(verdicts, largest_family(protocol, encoders=_most_encoders(candidates, protocol))))
    detectable = detectable_differences(protocol, comparisons=verdicts)
    for sentence in detectable.sentences:
        console.line(sentence)
    cache = EmbeddingCache(catalog.folder / FOLDER, data=str(data_fingerprint(catalog)["sha256"]))
    if not cache.lasting:
        console.line(f"{catalog.folder}: no write access, so new embeddings are not cached")
    embedder = Embedder(config=config, catalog=catalog, cache=cache, device=device, console=console)
    return _Plan(
        catalog=catalog,
        protocol=with_altered_images(protocol, embedder.images(ALTERED_IMAGE_SIDE).reader, console=console),
        candidates=candidates,
        detectable=detectable,
        embedder=embedder,
    )


def _judged(config: CompareConfig, catalog: Catalog, runs: Sequence[Run], *, console: Console) -> Catalog:
    """The catalogue, with changed copies of its pictures where they are asked for or nothing says what is alike."""
    relevances = config.relevance or [run.config.relevance for run in runs]
    if config.relevance is None and not filled_columns(catalog.rows):
        told_of_pictures(console)
        relevances = [PICTURE]
    folds = config.folds or any(run.config.fold is not None for run in runs)
    return judged_catalog(catalog, relevances, folds=folds)


def _with_map_method(config: CompareConfig, *, console: Console) -> CompareConfig:
    """Settle, before anything is embedded, whether the map can be made by UMAP here."""
    method = config.pictures.map_method
    if method == "pca" or (method == "auto" and not umap_available()):
        return config
    try:
        told = load_umap()
    except SimtrainError as error:
        if method == "umap":
            raise
        console.line(f"{error}; the map is made by PCA")
        pictures = config.pictures.model_copy(update={"map_method": "pca"})
        return config.model_copy(update={"pictures": pictures})
    if told is not None:
        console.line(told)
    return config


def _check_names_and_baseline(config: CompareConfig, candidates: Sequence[Candidate]) -> None:
    names = [one.name for one in candidates]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ConfigError(f"{name}: two encoders have this name; rename the run's folder, or leave one of them out")
    known = [*names, *(variant.name for one in candidates for variant in whitened_variants(one, config))]
    if config.baseline is not None and config.baseline not in known:
        raise ConfigError(
            f"baseline: '{config.baseline}' is not compared{nearest(config.baseline, known)}; allowed: "
            f"{', '.join(known)}"
        )


def _most_verdicts(candidates: Sequence[Candidate], protocol: ComparisonProtocol) -> int:
    """Largest number of verdicts in the main metric that the comparison can have."""
    return _most_encoders(candidates, protocol) * len(protocol.relevance)


def _most_encoders(candidates: Sequence[Candidate], protocol: ComparisonProtocol) -> int:
    """Largest number of encoders, whitened variants included, that are compared with a baseline."""
    return max(1, sum(1 + len(whitened_variants(one, protocol.config)) for one in candidates) - 1)


def _check_draws(config: CompareConfig, verdicts: int) -> None:
    needed = math.ceil(verdicts / (1 - config.confidence))
    if config.draws < needed:
        raise ConfigError(
            f"draws: got {config.draws}; {verdicts} verdicts corrected together at a confidence of "
            f"{config.confidence:g} need {needed} or more: --set draws={needed}"
        )


def _score(plan: _Plan, *, console: Console) -> tuple[list[ScoredEncoder], list[Unavailable]]:
    """Score the encoders that can be loaded, and list the others; identical encoders are scored once."""
    scored_encoders: list[ScoredEncoder] = []
    unavailable: list[Unavailable] = []
    count = len(plan.candidates)
    for number, candidate in enumerate(plan.candidates, start=1):
        console.aside(f"encoder {number} of {count}: {candidate.name}")
        embedder = replace(plan.embedder, console=NamedConsole(console, name=f"encoder {number} of {count}"))
        try:
            scored, missing = score_candidate(candidate, plan.protocol, embedder)
        except (ConfigError, CatalogError):
            raise
        except SimtrainError as error:
            if candidate.required:
                raise
            scored, missing = [], [Unavailable(name=candidate.name, reason=str(error))]
        for one in missing:
            _check_not_the_baseline(one, candidate, plan.protocol.config)
            console.line(f"{one.name}: unavailable: {one.reason}")
            unavailable.append(one)
        same = next(
            (one.figures.name for one in scored_encoders if scored and one.fingerprints == scored[0].fingerprints), None
        )
        if same is not None and not candidate.required:
            console.line(f"{candidate.name}: same weights as {same}; compared once, as {same}")
        elif scored:
            scored_encoders += scored
            console.line(_score_line(scored[0], plan.protocol))
    if not scored_encoders:
        raise ConfigError(f"encoders: none of {', '.join(one.name for one in unavailable)} is available here")
    return sorted(scored_encoders, key=lambda one: _ORDER.index(one.figures.kind)), unavailable


def _check_not_the_baseline(missing: Unavailable, candidate: Candidate, config: CompareConfig) -> None:
    """Refuse an unavailable baseline before the other encoders are embedded."""
    variants = (
        [variant.name for variant in whitened_variants(candidate, config)] if missing.name == candidate.name else []
    )
    if config.baseline is not None and config.baseline in (missing.name, *variants):
        raise ConfigError(f"baseline: '{config.baseline}' is unavailable: {missing.reason}")


def _score_line(scored: ScoredEncoder, protocol: ComparisonProtocol) -> str:
    relevance = protocol.relevance[0]
    mean = scored.figures.relevances[relevance].metrics[protocol.config.metric].mean
    return f"{scored.figures.name}: {protocol.config.metric} {mean:.3f}, relevance {relevance}"

"""Evaluation protocol of a comparison: folds, relevance, texts and queries, fixed before any encoder runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simtrain.builders import build_relevance
from simtrain.catalog.store.reader import ImageReader
from simtrain.catalog.table import FOLD_COLUMN, Catalog
from simtrain.comparison.candidates import folds_of
from simtrain.comparison.encoder_metrics import CatalogCategories
from simtrain.comparison.fold_scores import pooled_chance_grades
from simtrain.comparison.folds import Part, apart, part_of
from simtrain.comparison.scoring import Question
from simtrain.config import CompareConfig
from simtrain.console import Console
from simtrain.data.altered_images import altered_rows
from simtrain.errors import CatalogError, CheckpointError
from simtrain.evaluation.paired_tests import resolvable_share
from simtrain.evaluation.relevance import Relevance, usual_relevances
from simtrain.evaluation.statistics import BootstrapSettings
from simtrain.evaluation.text_task import text_task
from simtrain.runs.run import Run

_DISCORDANT_SHARE = 0.2
_WITHIN_PRODUCT = 0.2


def question_of(config: CompareConfig, catalog: Catalog, runs: Sequence[Run]) -> Question:
    """Parts, ideas of relevance, categories, texts and the queries that are shown; changed pictures come later.

    Raises:
        CatalogError: if the split has nothing to ask, or lacks a column.
        CheckpointError: for runs of different folds.
    """
    folds = _folds(config, catalog, runs)
    relevance = _relevance(config, catalog, runs, folds=folds)
    parts = [_part(config, catalog, relevance, fold=fold) for fold in folds or (None,)]
    levels = _levels(config, catalog, parts)
    queries = len(parts[0].main.queries)
    drawn = np.random.default_rng(config.seed).permutation(queries)[: config.pictures.queries]
    return Question(
        config=config,
        parts=parts,
        relevances={one.name: one for one in relevance},
        levels=levels,
        categories=_categories(config, catalog),
        texts=[
            text_task(
                part.catalog, part.main.rows, captions=config.captions, templates=_templates(config, part.catalog)
            )
            for part in parts
        ],
        varied=[],
        shown=drawn.tolist(),
        bootstrap=BootstrapSettings(draws=config.draws, confidence=config.confidence, seed=config.seed),
    )


def changed_rows(question: Question, images: ImageReader, *, console: Console) -> Question:
    """The same question with the pictures that are changed, to see whether the changed ones find them."""
    part = question.parts[0]
    gallery = part.task_places(part.main)[part.main.gallery]
    most = min(question.config.robustness_images, len(gallery))
    drawn = np.random.default_rng(question.config.seed).choice(gallery, most, replace=False)
    varied = altered_rows(images, np.sort(drawn), console=console) if most else []
    return replace(question, varied=varied)


def resolvable(question: Question, *, comparisons: int) -> tuple[dict[str, float | None], list[str]]:
    """The smallest difference of recall_at_1 that the queries can resolve, by idea of relevance, and in sentences.

    Args:
        question: Whose queries these are.
        comparisons: Verdicts that are corrected together.
    """
    config = question.config
    level = (1 - config.confidence) / max(1, comparisons)
    found: dict[str, float | None] = {}
    for relevance in question.relevance:
        share = _share(_clusters(question.parts, relevance), level=level, power=config.power)
        found[relevance] = None if math.isnan(share) else share
    words = [_resolvable_sentence(relevance, share, config) for relevance, share in found.items()]
    words.append(
        f"Assumed: exactly one of two encoders is right at {100 * _DISCORDANT_SHARE:g} % of the queries; the queries "
        f"of a product agree with a correlation of {_WITHIN_PRODUCT:g}; {comparisons} verdicts together."
    )
    fold = _folds_words(question, level=level)
    return found, [*words, *([fold] if fold else [])]


def _clusters(parts: Sequence[Part], relevance: str) -> NDArray[np.int64]:
    tasks = [part.tasks[relevance] for part in parts]
    return np.concatenate([apart(task.clusters[task.queries], place) for place, task in enumerate(tasks)])


def _share(clusters: NDArray[np.int64], *, level: float, power: float) -> float:
    return resolvable_share(
        clusters, discordant_share=_DISCORDANT_SHARE, within_product=_WITHIN_PRODUCT, level=level, power=power
    )


def _resolvable_sentence(relevance: str, share: float | None, config: CompareConfig) -> str:
    if share is None:
        return f"By {relevance} the split is too small to resolve any difference."
    return (
        f"By {relevance} the split can resolve differences of {100 * share:.1f} points of recall_at_1 or more (found "
        f"with {100 * config.power:g} % probability)."
    )


def _folds_words(question: Question, *, level: float) -> str:
    """What folds would add, where the catalogue has some and they are not used."""
    catalog, part = question.parts[0].catalog, question.parts[0]
    if part.fold is not None:
        return ""
    products = catalog.groups(["product"])
    alone = products.max(initial=-1) + 1 + np.arange(len(products))
    share = _share(np.where(products >= 0, products, alone), level=level, power=question.config.power)
    if math.isnan(share):
        return ""
    prepared = "" if FOLD_COLUMN in catalog.rows.columns else "prepare with --set split.folds=5, "
    return (
        f"In folds ({prepared}fit with --set fold=0 and so on, name each run) all images would ask: differences of "
        f"{100 * share:.1f} points."
    )


def _relevance(
    config: CompareConfig, catalog: Catalog, runs: Sequence[Run], *, folds: Sequence[int]
) -> list[Relevance]:
    """Those asked for; else those of the runs and of the catalogue that its split can answer."""
    exclude = _excluded(config, runs)
    if config.relevance is not None:
        return [build_relevance(one, catalog, exclude=exclude) for one in config.relevance]
    usual = [replace(one, excluded=tuple(exclude)) for one in usual_relevances(catalog)]
    wanted = [build_relevance(run.config.relevance, catalog, exclude=exclude) for run in runs] + usual
    distinct = [one for place, one in enumerate(wanted) if one not in wanted[:place]]
    answered = []
    reason = CatalogError(f"{catalog.folder}: neither products nor labels in it; there is nothing to judge by")
    for one in distinct:
        try:
            for fold in folds or (None,):
                _part(config, catalog, [one], fold=fold)
        except CatalogError as error:
            reason = error if one == distinct[0] else reason
            continue
        answered.append(one)
    if not answered or (answered[0] != distinct[0] and runs):
        raise reason
    return answered


def _excluded(config: CompareConfig, runs: Sequence[Run]) -> list[str]:
    """Columns that leave gallery images out: those asked for, else those of the runs, each once."""
    if config.exclude is not None:
        return config.exclude
    return list(dict.fromkeys(column for run in runs for column in run.config.evaluation.exclude))


def _part(config: CompareConfig, catalog: Catalog, relevance: Sequence[Relevance], *, fold: int | None) -> Part:
    return part_of(
        catalog,
        fold=fold,
        split=config.split,
        gallery_splits=config.gallery_splits,
        relevance=relevance,
        training_images=0 if config.whitening is None else config.whitening.images,
        seed=config.seed,
    )


def _folds(config: CompareConfig, catalog: Catalog, runs: Sequence[Run]) -> tuple[int, ...]:
    """Those of the runs, or all; none: the catalogue's own splits."""
    folds = folds_of(runs)
    if config.folds and not folds:
        if runs:
            raise CheckpointError(f"folds: {runs[0].folder.name} was not trained on a fold; see --set fold of fit")
        catalog.with_fold(0)  # says so if there is no such column
        folds = tuple(range(int(catalog.rows[FOLD_COLUMN].max()) + 1))
    if folds and config.split != "test":
        raise CheckpointError(f"split: got {config.split}; folds are compared on their test splits")
    return folds


def _levels(config: CompareConfig, catalog: Catalog, parts: Sequence[Part]) -> list[list[str]]:
    """The most alike first; none where, unasked, they have nothing to grade."""
    levels = _columns_of_levels(config, catalog)
    try:
        if len(levels) > 1:
            pooled_chance_grades(parts, levels=levels)
    except ValueError as error:
        if config.levels is not None:
            raise CatalogError(f"levels: {error}") from None
        return []
    return levels


def _columns_of_levels(config: CompareConfig, catalog: Catalog) -> list[list[str]]:
    if config.levels is not None:
        levels = [[one] if isinstance(one, str) else list(one) for one in config.levels]
        for columns in levels:
            catalog.groups(columns)
        return levels
    there = [name for name in catalog.rows.columns if catalog.rows[name].notna().any()]
    colour = next((name for name in ("colour", "color") if name in there), None)
    category = _category(config, catalog)
    levels = [["product"]] if "product" in there else []
    if category is not None and colour not in (None, category):
        levels.append([category, str(colour)])
    return [*levels, [category]] if category is not None else levels


def _category(config: CompareConfig, catalog: Catalog) -> str | None:
    if config.category is not None:
        catalog.groups([config.category])
        return config.category
    names = ("category", "label")
    there = [name for name in names if name in catalog.rows.columns and catalog.rows[name].notna().any()]
    return there[0] if there else None


def _categories(config: CompareConfig, catalog: Catalog) -> CatalogCategories | None:
    category = _category(config, catalog)
    if category is None:
        return None
    codes = catalog.groups([category])
    named = dict(zip(codes.tolist(), catalog.rows[category].tolist(), strict=True))
    count = int(codes.max(initial=-1)) + 1
    return CatalogCategories(
        column=category, codes=codes, names=[str(named[code]) if code in named else "" for code in range(count)]
    )


def _templates(config: CompareConfig, catalog: Catalog) -> list[str]:
    """Names of classes are asked for by default, and a catalogue may do without."""
    return config.label_templates if catalog.rows["label"].notna().any() else []

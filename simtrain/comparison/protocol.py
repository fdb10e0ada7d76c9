"""Evaluation protocol of a comparison: folds, relevance, texts and queries, fixed before any encoder runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simtrain.builders.relevance import build_relevance
from simtrain.catalog.changed_rows import PICTURE, has_changed_rows
from simtrain.catalog.store.reader import ImageReader
from simtrain.catalog.table import FOLD_COLUMN, Catalog
from simtrain.comparison.candidates import folds_of
from simtrain.comparison.categories import catalog_categories, relevance_levels
from simtrain.comparison.encoder_metrics import CatalogCategories
from simtrain.comparison.folds import Fold, FoldSettings, build_fold
from simtrain.config import CompareConfig
from simtrain.console import Console
from simtrain.data.altered_images import altered_rows
from simtrain.data.robustness import QueryVariant
from simtrain.errors import CatalogError, CheckpointError
from simtrain.evaluation.relevance import Relevance, usual_relevances
from simtrain.evaluation.statistics import BootstrapSettings
from simtrain.evaluation.text_task import TextTasks, text_tasks
from simtrain.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class ComparisonProtocol:
    """Evaluation protocol of a comparison, the same for every encoder.

    Attributes:
        config: Configuration of the comparison.
        folds: Folds; one without a number for the catalogue's own splits.
        relevances: Name -> definition of relevance, the main one first.
        levels: Levels of relevance of ndcg_at_10, each a list of columns; empty: no graded metric.
        categories: Category of each catalogue row; None: the catalogue has none.
        texts: Text retrieval tasks of each fold; None: its images have no texts.
        altered: Alterations of images, each with the rows of the whole catalogue that it is applied to.
        shown: Positions of the shown queries in the main task of the first fold.
        bootstrap: Settings of the intervals.
    """

    config: CompareConfig
    folds: Sequence[Fold]
    relevances: Mapping[str, Relevance]
    levels: Sequence[Sequence[str]]
    categories: CatalogCategories | None
    texts: Sequence[TextTasks | None]
    altered: Sequence[tuple[QueryVariant, NDArray[np.int64]]]
    shown: Sequence[int]
    bootstrap: BootstrapSettings

    @property
    def relevance(self) -> list[str]:
        """Names of the definitions of relevance, the main one first."""
        return list(self.relevances)


def build_protocol(config: CompareConfig, catalog: Catalog, runs: Sequence[Run]) -> ComparisonProtocol:
    """Folds, relevance, categories, texts and shown queries of a comparison, still without altered images.

    Args:
        config: Configuration of the comparison.
        catalog: The whole catalogue.
        runs: Runs to compare; their relevance and folds are used where the configuration names none.

    Raises:
        CatalogError: if the split has no query with a relevant image, or the catalogue lacks a column.
        CheckpointError: for runs of different folds.
    """
    fold_numbers = _fold_numbers(config, catalog, runs)
    relevance = _relevance(config, catalog, runs, fold_numbers=fold_numbers)
    folds = [_fold(config, catalog, relevance, number=number) for number in fold_numbers or (None,)]
    levels = relevance_levels(config, catalog, folds)
    queries = len(folds[0].main_task.queries)
    shown = np.random.default_rng(config.seed).permutation(queries)[: config.pictures.queries]
    return ComparisonProtocol(
        config=config,
        folds=folds,
        relevances={one.name: one for one in relevance},
        levels=levels,
        categories=catalog_categories(config, catalog),
        texts=[
            text_tasks(
                fold.catalog, fold.main_task.rows, captions=config.captions, templates=_templates(config, fold.catalog)
            )
            for fold in folds
        ],
        altered=[],
        shown=shown.tolist(),
        bootstrap=BootstrapSettings(draws=config.draws, confidence=config.confidence, seed=config.seed),
    )


def with_altered_images(protocol: ComparisonProtocol, images: ImageReader, *, console: Console) -> ComparisonProtocol:
    """The same protocol with a random sample of gallery images to alter for the robustness test.

    Args:
        protocol: Protocol without altered images.
        images: Reader of the catalogue's images.
        console: Shows how many images are altered.
    """
    fold = protocol.folds[0]
    gallery = fold.rows_of_task(fold.main_task)[fold.main_task.gallery]
    count = min(protocol.config.robustness_images, len(gallery))
    drawn = np.random.default_rng(protocol.config.seed).choice(gallery, count, replace=False)
    altered = altered_rows(images, np.sort(drawn), console=console) if count else []
    return replace(protocol, altered=altered)


def _relevance(
    config: CompareConfig, catalog: Catalog, runs: Sequence[Run], *, fold_numbers: Sequence[int]
) -> list[Relevance]:
    """The configured definitions; else those of the runs and the usual ones by which the split has queries."""
    exclude = _excluded_columns(config, runs)
    if config.relevance is not None:
        return [build_relevance(one, catalog, exclude=exclude) for one in config.relevance]
    usual = [replace(one, excluded=tuple(exclude)) for one in usual_relevances(catalog)]
    wanted = [build_relevance(run.config.relevance, catalog, exclude=exclude) for run in runs] + usual
    if not usual and has_changed_rows(catalog):
        return [build_relevance(PICTURE, catalog, exclude=exclude)]
    distinct = [one for index, one in enumerate(wanted) if one not in wanted[:index]]
    usable = []
    reason = CatalogError(
        f"{catalog.folder}: no image has a product or a label, so relevance is unknown; allowed: --set relevance=COLUMN"
    )
    for one in distinct:
        try:
            for number in fold_numbers or (None,):
                _fold(config, catalog, [one], number=number)
        except CatalogError as error:
            reason = error if one == distinct[0] else reason
            continue
        usable.append(one)
    if not usable or (usable[0] != distinct[0] and runs):
        raise reason
    return usable


def _excluded_columns(config: CompareConfig, runs: Sequence[Run]) -> list[str]:
    """Columns whose equal values leave gallery images out: the configured ones, else those of the runs, each once."""
    if config.exclude is not None:
        return config.exclude
    return list(dict.fromkeys(column for run in runs for column in run.config.evaluation.exclude))


def _fold(config: CompareConfig, catalog: Catalog, relevance: Sequence[Relevance], *, number: int | None) -> Fold:
    settings = FoldSettings(
        split=config.split,
        gallery_splits=config.gallery_splits,
        relevance=relevance,
        training_images=0 if config.whitening is None else config.whitening.images,
        seed=config.seed,
    )
    return build_fold(catalog, number=number, settings=settings)


def _fold_numbers(config: CompareConfig, catalog: Catalog, runs: Sequence[Run]) -> tuple[int, ...]:
    """Folds of the runs, or all folds of the catalogue; empty: the catalogue's own splits."""
    numbers = folds_of(runs)
    if config.folds and not numbers:
        if runs:
            raise CheckpointError(
                f"folds: {runs[0].folder.name} was trained on the catalogue's own splits; train it on each fold: "
                "simtrain fit … --set fold=0"
            )
        catalog.with_fold(0)  # an error if there is no such column
        numbers = tuple(range(int(catalog.rows[FOLD_COLUMN].max()) + 1))
    if numbers and config.split != "test":
        raise CheckpointError(f"split: got {config.split}; allowed with folds: test")
    return numbers


def _templates(config: CompareConfig, catalog: Catalog) -> list[str]:
    """Templates of class names; empty for a catalogue without labels."""
    return config.label_templates if catalog.rows["label"].notna().any() else []

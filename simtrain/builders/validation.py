"""Builder of what an encoder is scored on."""

from dataclasses import replace

from simtrain.builders.relevance import build_relevance
from simtrain.catalog.changed_rows import PICTURE
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig
from simtrain.errors import error_path
from simtrain.evaluation.distractors import distractor_rows, gallery_size
from simtrain.evaluation.further_relevance import with_further_relevance
from simtrain.evaluation.protocol import RetrievalTask, retrieval_task
from simtrain.evaluation.relevance import filled_columns, usual_further


def build_validation(config: RunConfig, catalog: Catalog) -> RetrievalTask | None:
    """Retrieval task of validation; None where the catalogue has neither products nor labels, nor changed copies."""
    if not filled_columns(catalog.rows) and config.relevance_columns == ["product"]:
        return None
    if config.relevance == PICTURE and PICTURE not in catalog.rows.columns:
        return None
    return split_task(config, catalog, split="val")


def split_task(config: RunConfig, catalog: Catalog, *, split: str) -> RetrievalTask:
    """What an encoder is scored on in a split, with the run's gallery and definition of relevance.

    Raises:
        CatalogError: if no query has anything to find.
    """
    settings = config.evaluation
    with error_path("evaluation"):
        relevance = build_relevance(config.relevance, catalog, exclude=settings.exclude)
        galleries = settings.gallery_splits
        task = retrieval_task(catalog, split=split, gallery_splits=galleries, relevance=relevance)
        if split == "val" and settings.distractors is not None:
            wanted = gallery_size(catalog, galleries or ["test"], relevance) - len(task.gallery)
            added = distractor_rows(catalog, task, relevance=relevance, count=wanted, seed=config.seed)
            task = retrieval_task(
                catalog, split=split, gallery_splits=galleries, relevance=relevance, distractors=added
            )
        if settings.further_relevance is not None:
            asked = [build_relevance(one, catalog, exclude=settings.exclude) for one in settings.further_relevance]
            return with_further_relevance(task, catalog, asked)
        usual = usual_further(catalog) if config.relevance == "product" else []
        excluding = [replace(one, excluded=tuple(settings.exclude)) for one in usual]
        return with_further_relevance(task, catalog, excluding, answerable_only=True)

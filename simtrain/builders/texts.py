"""Builders of the texts for training and validation."""

# Shapes: C catalogue rows, P templates.

import numpy as np
import torch

from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig, TextsConfig
from simtrain.data.texts import CatalogTexts
from simtrain.errors import ConfigError, error_path
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.text_prompts import distinct, texts_of
from simtrain.evaluation.text_task import TextTasks, text_tasks

SAME_TEXT = "text"
"""Value of `positives` that stands for the texts themselves rather than a column."""


def build_texts(config: RunConfig, catalog: Catalog) -> CatalogTexts | None:
    """The texts of the training images; None where the objective uses none.

    Raises:
        ConfigError: for an invalid template.
        CatalogError: for a column that the catalogue does not have, or if no training image has a text.
    """
    settings = config.texts
    if settings is None:
        return None
    rows = catalog.rows_of(["train"])
    with error_path(f"{config.texts_key}.templates", whole=True):
        by_template = [texts_of(catalog, rows, template) for template in settings.templates]
    texts, numbers = distinct([text for column in by_template for text in column])
    ids = np.full((len(catalog.rows), len(by_template)), -1, dtype=np.int64)
    ids[rows] = numbers.reshape(len(by_template), -1).T
    return CatalogTexts(
        texts=texts, ids=torch.from_numpy(ids), criteria=_criteria(settings, catalog, ids, key=config.texts_key)
    )


def build_text_validation(config: RunConfig, catalog: Catalog, task: RetrievalTask | None) -> TextTasks | None:
    """Texts of a task's images, for encoders that read texts; None where there are none.

    Raises:
        ConfigError: for an invalid template, or a monitor of texts where there are none.
        CatalogError: for a column that the catalogue does not have.
    """
    if task is None or not config.reads_texts:
        return None
    evaluation = config.evaluation
    with error_path("evaluation"):
        found = text_tasks(catalog, task.rows, captions=evaluation.captions, templates=evaluation.label_templates)
    if found is None and evaluation.monitor.startswith(("text_to", "image_to")):
        raise ConfigError(
            f"evaluation.monitor: {evaluation.monitor}, but no validation image has a text: set evaluation.captions or "
            "evaluation.label_templates, or take a monitor of images such as map_at_r"
        )
    return found


def _criteria(settings: TextsConfig, catalog: Catalog, ids: np.ndarray, *, key: str) -> torch.Tensor:
    """(C, K): the texts by every template, and the columns, that make a text right for another image."""
    columns = [ids] if SAME_TEXT in settings.positives else []
    for name in settings.positives:
        if name == "duplicate_group" and name not in catalog.rows.columns:
            continue  # asked for by default, and a table made by hand may do without
        if name != SAME_TEXT:
            with error_path(f"{key}.positives", whole=True):
                columns.append(catalog.groups([name])[:, None])
    joined = np.concatenate(columns, axis=1) if columns else np.empty((len(ids), 0), dtype=np.int64)
    return torch.from_numpy(np.ascontiguousarray(joined))

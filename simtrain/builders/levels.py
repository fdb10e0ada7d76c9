"""Builder of the coarser levels of similarity that an objective names."""

import numpy as np
import torch

from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig
from simtrain.errors import CatalogError, ConfigError
from simtrain.losses.row_facts import RowFacts
from simtrain.modules.coarser_level import CoarserLevel


def build_levels(config: RunConfig, catalog: Catalog) -> tuple[CoarserLevel, ...]:
    """The coarser levels of `objective.levels`.

    Raises:
        CatalogError: for a column that the catalogue does not have, or in which no two groups of training images share
            a value.
        ConfigError: for a column that is named twice, or that the objective's own positives share already.
    """
    needs, chosen = config.objective.needs, config.objective.levels
    positive = needs.groups.column if needs.groups is not None else None
    taken = {positive: "positive", needs.label_column: "label_column"}
    for place, level in enumerate(chosen):
        key = f"objective.levels[{place}].column"
        if level.column in taken:
            raise ConfigError(f"{key}: '{level.column}' is objective.{taken[level.column]} too; take a coarser column")
        if level.column in [other.column for other in chosen[:place]]:
            raise ConfigError(f"{key}: '{level.column}' is named twice")
        _check_column(catalog, level.column, positive=positive, key=key)
    return tuple(
        CoarserLevel(
            column=level.column,
            numbers=RowFacts(torch.from_numpy(catalog.groups([level.column])), unknown=-1),
            weight=level.weight,
            temperature=level.temperature,
        )
        for level in chosen
    )


def _check_column(catalog: Catalog, column: str, *, positive: str | None, key: str) -> None:
    """Refuse a column in which nothing can be drawn together."""
    rows = catalog.rows_of(["train"])
    values = catalog.groups([column])[rows]
    groups = catalog.groups([positive])[rows] if positive is not None else np.arange(len(rows))
    known = values >= 0
    if not known.any():
        raise CatalogError(
            f"{catalog.folder}: '{column}' is empty in split 'train', and {key} needs it; set objective.levels=[]"
        )
    pairs = np.unique(np.stack([values[known], groups[known]]), axis=1)
    if len(np.unique(pairs[0])) == pairs.shape[1]:
        what = f"'{positive}' each" if positive is not None else "image each"
        raise CatalogError(f"{catalog.folder}: every '{column}' has one {what}; {key} needs a coarser column")

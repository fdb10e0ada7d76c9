"""Catalogue as it is evaluated: with changed copies of its pictures where nothing else says what is alike."""

from collections.abc import Sequence

from simtrain.catalog.changed_rows import PICTURE, with_changed_rows
from simtrain.catalog.table import Catalog
from simtrain.config import RelevanceSetting, RunConfig
from simtrain.console import Console
from simtrain.errors import ConfigError
from simtrain.evaluation.relevance import filled_columns

_NOTHING_KNOWN = (
    "the catalogue has neither products nor labels: encoders are judged by whether a changed copy of a picture finds it"
)


def judged_catalog(catalog: Catalog, relevances: Sequence[RelevanceSetting], *, folds: bool) -> Catalog:
    """The catalogue, with changed copies of its pictures where one of the definitions of relevance is `picture`.

    Args:
        catalog: Catalogue of `prepare`.
        relevances: Definitions of relevance.
        folds: Whether its folds are evaluated instead of its own splits.

    Raises:
        ConfigError: for `picture` with folds: copies are made of the images in val and test.
    """
    if PICTURE not in relevances or PICTURE in catalog.rows.columns:
        return catalog
    if folds:
        raise ConfigError("relevance: picture does not go with folds; allowed: the catalogue's own splits")
    return with_changed_rows(catalog)


def judged_by_pictures(config: RunConfig, catalog: Catalog, *, console: Console) -> RunConfig:
    """The configuration with `relevance: picture` where it names products and the catalogue has none; told."""
    if config.relevance != "product" or filled_columns(catalog.rows):
        return config
    console.line(_NOTHING_KNOWN)
    return config.model_copy(update={"relevance": PICTURE})


def told_of_pictures(console: Console) -> None:
    """Say that nothing in the catalogue tells what is alike, and what is judged instead."""
    console.line(_NOTHING_KNOWN)

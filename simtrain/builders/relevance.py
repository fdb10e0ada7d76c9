"""Builder of the definition of relevance over a catalogue's columns."""

from collections.abc import Sequence
from dataclasses import replace

from simtrain.catalog.table import Catalog
from simtrain.config import KindConfig, RelevanceSetting, columns_of
from simtrain.evaluation.relevance import KIND, Relevance, same, same_kind


def build_relevance(setting: RelevanceSetting, catalog: Catalog, *, exclude: Sequence[str] = ()) -> Relevance:
    """The definition that a setting names; `kind` is a column where the catalogue has one of that name.

    Args:
        setting: Columns, or what is the same and what differs.
        catalog: Catalogue that has these columns.
        exclude: Columns, in each of which an equal value leaves a gallery image out.
    """
    return replace(_build(setting, catalog), excluded=tuple(exclude))


def _build(setting: RelevanceSetting, catalog: Catalog) -> Relevance:
    if setting == KIND and KIND not in catalog.rows.columns:
        setting = KindConfig()
    if isinstance(setting, KindConfig):
        return same_kind(catalog, columns=columns_of(setting.same), other=columns_of(setting.other))
    return same([setting] if isinstance(setting, str) else setting)

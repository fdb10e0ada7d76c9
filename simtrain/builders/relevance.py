"""Builder of the definition of relevance over a catalogue's columns."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from simtrain.catalog.table import Catalog
from simtrain.config import KindConfig, QrelsConfig, RelevanceSetting, columns_of
from simtrain.evaluation.qrels import Qrels
from simtrain.evaluation.qrels_file import read_qrels
from simtrain.evaluation.relevance import KIND, Relevance, judged, same, same_kind


def build_relevance(setting: RelevanceSetting, catalog: Catalog, *, exclude: Sequence[str] = ()) -> Relevance:
    """The definition that a setting names; `kind` is a column where the catalogue has one of that name.

    Args:
        setting: Columns, or what is the same and what differs.
        catalog: Catalogue that has these columns.
        exclude: Columns, in each of which an equal value leaves a gallery image out.
    """
    return replace(_build(setting, catalog), excluded=tuple(exclude))


def unknown_names(settings: Sequence[RelevanceSetting], catalog: Catalog) -> list[str]:
    """A line for the user for each table of judged pairs that names what the catalogue lacks."""
    told = [_read(one).remark(catalog) for one in settings if isinstance(one, QrelsConfig)]
    return [line for line in told if line is not None]


def qrels_hashes(settings: Sequence[RelevanceSetting]) -> dict[str, str]:
    """Path -> SHA-256 of each table of judged pairs, as the settings name it.

    Raises:
        CatalogError: for one that cannot be read.
    """
    return {one.qrels: _read(one).sha256 for one in settings if isinstance(one, QrelsConfig)}


def _read(setting: QrelsConfig) -> Qrels:
    return read_qrels(Path(setting.qrels).expanduser(), by=setting.by)


def _build(setting: RelevanceSetting, catalog: Catalog) -> Relevance:
    if setting == KIND and KIND not in catalog.rows.columns:
        setting = KindConfig()
    if isinstance(setting, QrelsConfig):
        qrels = _read(setting)
        qrels.check_known(catalog)
        return judged(qrels)
    if isinstance(setting, KindConfig):
        return same_kind(catalog, columns=columns_of(setting.same), other=columns_of(setting.other))
    return same([setting] if isinstance(setting, str) else setting)

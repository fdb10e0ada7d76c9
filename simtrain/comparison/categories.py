"""Category column of a catalogue, and levels of relevance for graded metrics."""

from collections.abc import Sequence

from simtrain.catalog.table import Catalog
from simtrain.comparison.encoder_metrics import CatalogCategories
from simtrain.comparison.fold_scores import pooled_chance_grades
from simtrain.comparison.folds import Fold
from simtrain.config import CompareConfig
from simtrain.errors import CatalogError


def relevance_levels(config: CompareConfig, catalog: Catalog, folds: Sequence[Fold]) -> list[list[str]]:
    """Levels of relevance, the most alike first; empty if the usual ones have no query."""
    levels = _columns_of_levels(config, catalog)
    try:
        if len(levels) > 1:
            pooled_chance_grades(folds, levels=levels)
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
    filled = [name for name in catalog.rows.columns if catalog.rows[name].notna().any()]
    colour = next((name for name in ("colour", "color") if name in filled), None)
    category = _category(config, catalog)
    levels = [["product"]] if "product" in filled else []
    if category is not None and colour not in (None, category):
        levels.append([category, str(colour)])
    return [*levels, [category]] if category is not None else levels


def _category(config: CompareConfig, catalog: Catalog) -> str | None:
    if config.category is not None:
        catalog.groups([config.category])
        return config.category
    names = ("category", "label")
    filled = [name for name in names if name in catalog.rows.columns and catalog.rows[name].notna().any()]
    return filled[0] if filled else None


def catalog_categories(config: CompareConfig, catalog: Catalog) -> CatalogCategories | None:
    """Category of each catalogue row; None: the catalogue has no category column."""
    category = _category(config, catalog)
    if category is None:
        return None
    codes = catalog.groups([category])
    name_of_code = dict(zip(codes.tolist(), catalog.rows[category].tolist(), strict=True))
    count = int(codes.max(initial=-1)) + 1
    return CatalogCategories(
        column=category,
        codes=codes,
        names=[str(name_of_code[code]) if code in name_of_code else "" for code in range(count)],
    )

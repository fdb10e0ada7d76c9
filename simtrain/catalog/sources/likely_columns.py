"""Usual names of the columns that hold products, labels and captions."""

from collections.abc import Collection, Sequence

import pandas as pd

from simtrain.catalog.sources.spelling import folded

_USUAL = {
    "product": (
        "product", "products", "product_id", "productid", "sku", "item_id", "itemid", "article_id", "articleid",
        "parent_asin", "asin", "style_id", "styleid", "product_code", "posting_id", "label_group",
        "article_number", "item_number", "product_number", "artikelnummer", "artikelnr", "artikel_nr", "artikel_id",
        "produktnummer", "produkt_id",
    ),
    "label": (
        "label", "labels", "category", "class", "articletype", "article_type", "subcategory", "mastercategory",
        "category_name", "product_type", "warengruppe", "kategorie", "produktgruppe", "categorie", "categoria",
        "colour", "color", "farbe",
    ),
    "caption": (
        "caption", "text", "title", "description", "productdisplayname", "product_name", "name", "product_title",
        "bezeichnung", "artikelbezeichnung", "produktname", "beschreibung", "titel", "nom", "nombre",
    ),
}  # fmt: skip


def likely_columns(names: Sequence[str], *, taken: Collection[str]) -> dict[str, str]:
    """Part -> the column that probably plays it, by its name alone; capitals, blanks and hyphens do not count.

    Args:
        names: The table's columns.
        taken: Those of them that play a part already.
    """
    by_form = {_form(name): name for name in reversed(names) if name not in taken}
    found = {}
    for part, usual in _USUAL.items():
        name = next((by_form[form] for form in usual if form in by_form), None)
        if name is not None:
            found[part] = name
    return found


def repeats(values: pd.Series) -> bool:
    """Whether a column's values tell groups of rows apart: two or more, each in several rows as a rule."""
    known = values.dropna().astype(str)
    return 2 <= known.nunique() <= 0.75 * len(known)


def _form(name: str) -> str:
    return folded(name).replace(" ", "_").replace("-", "_")

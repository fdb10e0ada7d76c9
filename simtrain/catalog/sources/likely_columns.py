"""Usual names of the columns that hold products, labels and captions."""

from collections.abc import Collection, Sequence

from simtrain.catalog.sources.spelling import folded

_USUAL = {
    "product": (
        "product", "products", "product_id", "productid", "sku", "item_id", "itemid", "article_id", "articleid",
        "parent_asin", "asin", "style_id", "product_code", "posting_id", "label_group",
    ),
    "label": (
        "label", "labels", "category", "class", "articletype", "article_type", "subcategory", "mastercategory",
        "category_name", "product_type", "colour", "color",
    ),
    "caption": (
        "caption", "text", "title", "description", "productdisplayname", "product_name", "name", "product_title",
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


def _form(name: str) -> str:
    return folded(name).replace(" ", "_").replace("-", "_")

"""Facts of a catalogue that decide how an encoder is trained on it."""

import pandas as pd

from simtrain.catalog.table import Catalog
from simtrain.config.proposal_facts import CatalogFacts


def training_facts(catalog: Catalog) -> CatalogFacts:
    """Counts of training images, products, labels and captions, and the usual size of an image."""
    train = catalog.rows.iloc[catalog.rows_of(["train"])]
    sizes = train["product"].dropna().value_counts()
    several = sizes[sizes >= 2]
    shorter = catalog.rows[["width", "height"]].min(axis=1)
    return CatalogFacts(
        images=len(catalog.rows),
        train_images=len(train),
        products=len(several),
        lone_products=int((sizes == 1).sum()),
        product_images=int(several.sum()),
        images_per_product=int(several.median()) if len(several) else 0,
        labels=int(train["label"].nunique()),
        captions=int(_filled(train["caption"]).sum()),
        side=int(shorter.median()) if len(shorter) else 0,
    )


def _filled(values: "pd.Series[str]") -> "pd.Series[bool]":
    """Whether each value is a text of more than blanks."""
    return values.notna() & (values.fillna("").astype(str).str.strip() != "")

"""Facts of a catalogue that decide how it is trained on."""

from pathlib import Path

import pandas as pd

from simtrain.catalog.table import Catalog
from simtrain.catalog.training_facts import training_facts


def test_only_training_images_count() -> None:
    rows = pd.DataFrame(
        {
            "split": ["train"] * 7 + ["val"] * 2,
            "product": ["a", "a", "b", "b", "b", "c", None, "d", "d"],
            "label": ["x", "x", "y", None, None, "y", "y", "z", "z"],
            "caption": ["told", " ", None, None, None, None, None, "told", "told"],
            "width": [100] * 9,
            "height": [60, 60, 60, 60, 80, 80, 80, 200, 200],
        }
    )
    facts = training_facts(Catalog(rows=rows, root=Path(), folder=Path("shop")))
    assert (facts.images, facts.train_images) == (9, 7)
    assert (facts.products, facts.lone_products, facts.product_images, facts.images_per_product) == (2, 1, 5, 2)
    assert (facts.labels, facts.captions, facts.side) == (2, 1, 80)

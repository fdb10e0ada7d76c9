"""A shop that does not exist: seeded products, pictured from many sides, to train and measure search on."""

from simtrain.catalog.synthetic.palette import COLORS
from simtrain.catalog.synthetic.products import CATEGORIES, SyntheticProduct, synthetic_products
from simtrain.catalog.synthetic.render import render_view
from simtrain.catalog.synthetic.writer import write_synthetic_catalog

__all__ = [
    "CATEGORIES",
    "COLORS",
    "SyntheticProduct",
    "render_view",
    "synthetic_products",
    "write_synthetic_catalog",
]

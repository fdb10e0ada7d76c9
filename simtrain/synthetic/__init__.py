"""Synthetic product images: seeded products rendered from many sides, to train and measure search on."""

from simtrain.synthetic.palette import COLORS
from simtrain.synthetic.products import CATEGORIES, SyntheticProduct, synthetic_products
from simtrain.synthetic.render import render_view
from simtrain.synthetic.writer import write_synthetic_catalog

__all__ = [
    "CATEGORIES",
    "COLORS",
    "SyntheticProduct",
    "render_view",
    "synthetic_products",
    "write_synthetic_catalog",
]

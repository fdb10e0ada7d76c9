"""Figures of one encoder: confused categories."""

import numpy as np
from small_folds import SHOP, angles, small_fold

from simtrain.comparison.encoder_metrics import CatalogCategories, confusions

CATEGORIES = CatalogCategories(column="label", codes=np.array([2, 2, 2, 0, 0, 0, 0, 1, 1]), names=["cup", "lamp", "x"])


def test_confused_categories_are_those_of_the_nearest_images():
    lookup = angles(0, 0, 0, 10, 12, 30, 80, 81, 95)
    task = small_fold(SHOP).main_task
    catalog_rows = small_fold(SHOP).rows_of_task(task)
    found = confusions(task, catalog_rows, lookup(catalog_rows), CATEGORIES)
    assert [(one.category, one.answer, one.count, one.queries) for one in found] == [
        ("lamp", "cup", 1, 2),
        ("cup", "lamp", 1, 4),
    ]

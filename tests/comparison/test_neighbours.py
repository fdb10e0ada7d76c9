"""Neighbours of queries, likely duplicates, suspected labels and changed pictures of a comparison."""

import numpy as np
import pytest
from small_folds import FOLDER, LOOKUP, SHOP, angles, small_fold
from tiny_training import catalog_of

from simtrain.catalog.table import Catalog
from simtrain.comparison.encoder_metrics import CatalogCategories
from simtrain.comparison.neighbours import (
    AlteredQueries,
    altered_scores,
    found_images,
    label_suspects,
    possible_duplicates,
)
from simtrain.evaluation.statistics import BootstrapSettings


def test_neighbours_are_told_with_rows_of_the_catalogue():
    first, last = found_images(small_fold(SHOP), LOOKUP, [0, 5], count=2)
    assert [(one.row, one.relevant) for one in first] == [(4, True), (5, False)]
    assert [(one.row, one.relevant) for one in last] == [(7, True), (6, False)]
    assert first[0].similarity == pytest.approx(np.cos(np.radians(2)))


def test_the_nearest_images_of_different_products_may_be_duplicates():
    pairs = possible_duplicates(small_fold(SHOP), LOOKUP, most=2)
    assert [pair.rows for pair in pairs] == [(4, 5), (6, 7)]  # one pair for each two products
    assert pairs[0].similarity == pytest.approx(np.cos(np.radians(1)))


def test_known_copies_are_not_told_again():
    known = Catalog(
        rows=SHOP.rows.assign(duplicate_group=[None] * 4 + ["g", "g"] + [None] * 3), root=SHOP.root, folder=FOLDER
    )
    assert [pair.rows for pair in possible_duplicates(small_fold(known), LOOKUP, most=1)] == [(3, 5)]


def test_suspected_labels_have_rows_of_the_catalogue():
    products = [f"p{row}" for row in range(12)]
    shop = catalog_of(FOLDER, split=["train"] * 2 + ["test"] * 10, product=products, label=["cup"] * 12)
    codes = np.array([0, 0, *[0] * 5, *[1] * 5])
    codes[3] = 1
    lookup = angles(0, 0, 1, 2, 3, 4, 5, 90, 91, 92, 93, 94)
    categories = CatalogCategories(column="label", codes=codes, names=["cup", "lamp"])
    found = label_suspects(small_fold(shop, relevance=("label",)), lookup, categories, most=5)
    assert found is not None
    assert [(one.row, one.label, one.suggested) for one in found.suspects] == [(3, "lamp", "cup")]
    assert set(found.suspects[0].neighbours) == {2, 4, 5, 6}
    assert label_suspects(small_fold(SHOP), LOOKUP, None, most=5) is None


def test_changed_pictures_are_right_where_their_source_is_nearest():
    altered = angles(11, 41)(np.arange(2))
    bootstrap = BootstrapSettings(draws=100, confidence=0.9, seed=0)
    queries = [AlteredQueries(name="turned", description="turned", rows=np.array([3, 6]), embeddings=altered)]
    right = altered_scores(small_fold(SHOP), LOOKUP, queries)
    assert right is not None
    (figure,) = right.figures(bootstrap=bootstrap)
    assert (figure.name, figure.queries, figure.share.mean) == ("turned", 2, 1.0)
    wrong = [AlteredQueries(name="dark", description="dark", rows=np.array([7, 6]), embeddings=altered)]
    both = altered_scores(small_fold(SHOP), LOOKUP, [*queries, *wrong])
    assert both is not None
    assert both.found.tolist() == [1, 1, 0, 1]
    assert [(one.name, one.share.mean) for one in both.figures(bootstrap=bootstrap)] == [("turned", 1.0), ("dark", 0.5)]

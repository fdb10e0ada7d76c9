"""What a comparison shows of embeddings themselves, and tasks that several folds share."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from tiny_training import catalog_of

from simtrain.catalog.table import Catalog
from simtrain.comparison.encoder_metrics import Bootstrap, CatalogCategories, confusions
from simtrain.comparison.fold_scores import Look, pooled_chance, pooled_grades, pooled_scores
from simtrain.comparison.folds import Part, part_of
from simtrain.comparison.neighbours import VariedQueries, alike_pairs, found_images, label_suspects, variant_figures

FOLDER = Path("shop")


def part(
    catalog: Catalog, *, fold: int | None = None, relevance: tuple[str, ...] = ("product",), most: int = 99
) -> Part:
    return part_of(
        catalog,
        fold=fold,
        split="test",
        gallery_splits=None,
        relevance=[[name] for name in relevance],
        training_images=most,
        seed=0,
    )


def looking(vectors: list[list[float]]) -> Look:
    unit = torch.nn.functional.normalize(torch.tensor(vectors), dim=1)
    return lambda places: unit[torch.from_numpy(places)]


def angles(*degrees: float) -> Look:
    return looking([[float(np.cos(np.radians(one))), float(np.sin(np.radians(one)))] for one in degrees])


SHOP = catalog_of(
    FOLDER,
    split=["train"] * 3 + ["test"] * 6,
    product=["a", "a", "b", "c", "c", "d", "d", "e", "e"],
    label=["x", "x", "x", "cup", "cup", "cup", "cup", "lamp", "lamp"],
)
LOOK = angles(0, 0, 0, 10, 12, 13, 40, 90, 95)


def test_neighbours_are_told_with_rows_of_the_catalogue():
    first, last = found_images(part(SHOP), LOOK, [0, 5], count=2)
    assert [(one.row, one.relevant) for one in first] == [(4, True), (5, False)]
    assert [(one.row, one.relevant) for one in last] == [(7, True), (6, False)]
    assert first[0].similarity == pytest.approx(np.cos(np.radians(2)))


def test_the_nearest_images_of_different_products_may_be_duplicates():
    pairs = alike_pairs(part(SHOP), LOOK, most=2)
    assert [pair.rows for pair in pairs] == [(4, 5), (3, 5)]
    assert pairs[0].similarity == pytest.approx(np.cos(np.radians(1)))


def test_known_copies_are_not_told_again():
    known = Catalog(
        rows=SHOP.rows.assign(duplicate_group=[None] * 4 + ["g", "g"] + [None] * 3), root=SHOP.root, folder=FOLDER
    )
    assert [pair.rows for pair in alike_pairs(part(known), LOOK, most=1)] == [(3, 5)]


CATEGORIES = CatalogCategories(column="label", codes=np.array([2, 2, 2, 0, 0, 0, 0, 1, 1]), names=["cup", "lamp", "x"])


def test_confused_categories_are_those_of_the_nearest_images():
    look = angles(0, 0, 0, 10, 12, 30, 80, 81, 95)
    task = part(SHOP).main
    places = part(SHOP).task_places(task)
    found = confusions(task, places, look(places), CATEGORIES)
    assert [(one.category, one.answer, one.count, one.queries) for one in found] == [
        ("lamp", "cup", 1, 2),
        ("cup", "lamp", 1, 4),
    ]


def test_suspected_labels_have_rows_of_the_catalogue():
    products = [f"p{row}" for row in range(12)]
    shop = catalog_of(FOLDER, split=["train"] * 2 + ["test"] * 10, product=products, label=["cup"] * 12)
    codes = np.array([0, 0, *[0] * 5, *[1] * 5])
    codes[3] = 1
    look = angles(0, 0, 1, 2, 3, 4, 5, 90, 91, 92, 93, 94)
    categories = CatalogCategories(column="label", codes=codes, names=["cup", "lamp"])
    found = label_suspects(part(shop, relevance=("label",)), look, categories, most=5)
    assert found is not None
    assert [(one.row, one.label, one.suggested) for one in found.suspects] == [(3, "lamp", "cup")]
    assert set(found.suspects[0].neighbours) == {2, 4, 5, 6}
    assert label_suspects(part(SHOP), LOOK, None, most=5) is None


def test_changed_pictures_are_right_where_their_source_is_nearest():
    changed = angles(11, 41)(np.arange(2))
    varied = [VariedQueries(name="turned", words="turned", rows=np.array([3, 6]), vectors=changed)]
    (figure,) = variant_figures(part(SHOP), LOOK, varied, bootstrap=Bootstrap(draws=100, confidence=0.9, seed=0))
    assert (figure.name, figure.queries, figure.share.mean) == ("turned", 2, 1.0)
    wrong = [VariedQueries(name="turned", words="turned", rows=np.array([7, 6]), vectors=changed)]
    (figure,) = variant_figures(part(SHOP), LOOK, wrong, bootstrap=Bootstrap(draws=100, confidence=0.9, seed=0))
    assert figure.share.mean == 0.5


def test_more_training_images_than_wanted_are_drawn():
    assert part(SHOP).training.tolist() == [0, 1, 2]
    drawn = part(SHOP, most=2).training.tolist()
    assert len(drawn) == 2
    assert set(drawn) < {0, 1, 2}


def test_an_idea_that_val_has_nothing_to_ask_by_is_left_out_there():
    assert part(SHOP).validations == {}


@pytest.fixture
def folds() -> Catalog:
    """Three folds of two products; image 2 is set aside in some folds, as a copy of a test image."""
    rows = 12
    return catalog_of(
        FOLDER,
        split=["train"] * rows,
        product=[f"p{row // 2}" for row in range(rows)],
        fold=[row // 4 for row in range(rows)],
        duplicate_group=[None, None, "g", None, "g", *[None] * 7],
    )


def test_folds_are_pooled_query_by_query(folds: Catalog):
    generator = np.random.default_rng(0)
    look = looking(generator.normal(size=(12, 3)).tolist())
    parts = [part(folds, fold=fold) for fold in range(3)]
    pooled = pooled_scores(parts, [[look] * 3, [look] * 3], relevance="product", recall_ks=(1,))
    alone = [one.main.score(look(one.task_places(one.main))) for one in parts]
    assert pooled.values["map_at_r"].shape == (2, len(pooled.places))
    expected = np.concatenate([one.values["map_at_r"] for one in alone])
    assert pooled.values["map_at_r"][0].tolist() == expected.tolist()
    assert pooled.lone_queries == sum(one.lone_queries for one in alone)
    of_queries = pd.Series(folds.rows["product"].to_numpy()[pooled.places])
    assert of_queries.groupby(pooled.clusters).nunique().max() == 1
    assert pd.Series(pooled.clusters).groupby(of_queries.to_numpy()).nunique().max() == 1


def brute_ndcg(order: list[int], query: int, grade: NDArray[np.int64], k: int) -> float:
    ranked = [grade[query, other] for other in order if other != query]
    gain = sum((2.0**of - 1) / np.log2(rank + 2) for rank, of in enumerate(ranked[:k]))
    ideal = sum((2.0**of - 1) / np.log2(rank + 2) for rank, of in enumerate(sorted(ranked, reverse=True)[:k]))
    return float(gain / ideal)


def test_graded_figures_know_the_levels():
    one = part(SHOP)
    pooled = pooled_grades([one], [[LOOK]], levels=[["product"], ["label"]])
    places = one.task_places(one.main)
    similarities = (LOOK(places).double() @ LOOK(places).double().T).numpy()
    products, labels = (SHOP.rows[name].to_numpy()[places] for name in ("product", "label"))
    grade = np.where(products[:, None] == products, 2, np.where(labels[:, None] == labels, 1, 0))
    expected = [brute_ndcg(np.argsort(-similarities[query]).tolist(), query, grade, 10) for query in range(6)]
    assert pooled.values["ndcg_at_10"][0].tolist() == pytest.approx(expected)


def test_chance_is_the_same_for_all_who_ask_alike():
    scores = pooled_chance([part(SHOP)], relevance="product", recall_ks=(1,))
    assert scores.over_seeds("recall_at_1").tolist() == pytest.approx([1 / 5] * 6)

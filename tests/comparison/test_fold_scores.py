"""Figures of several folds as one, against those of each fold."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from small_folds import FOLDER, LOOKUP, SHOP, lookup_of, small_fold
from tiny_training import catalog_of

from simtrain.catalog.table import Catalog
from simtrain.comparison.fold_scores import pooled_chance, pooled_grades, pooled_scores


@pytest.fixture
def folded() -> Catalog:
    """Three folds of two products; image 2 is set aside in some folds, as a copy of a test image."""
    rows = 12
    return catalog_of(
        FOLDER,
        split=["train"] * rows,
        product=[f"p{row // 2}" for row in range(rows)],
        fold=[row // 4 for row in range(rows)],
        duplicate_group=[None, None, "g", None, "g", *[None] * 7],
    )


def test_folds_are_pooled_query_by_query(folded: Catalog):
    generator = np.random.default_rng(0)
    lookup = lookup_of(generator.normal(size=(12, 3)).tolist())
    folds = [small_fold(folded, number=number) for number in range(3)]
    pooled = pooled_scores(folds, [[lookup] * 3, [lookup] * 3], relevance="product", recall_ks=(1,))
    alone = [one.main_task.score(lookup(one.rows_of_task(one.main_task))) for one in folds]
    assert pooled.values["map_at_r"].shape == (2, len(pooled.catalog_rows))
    expected = np.concatenate([one.values["map_at_r"] for one in alone])
    assert pooled.values["map_at_r"][0].tolist() == expected.tolist()
    assert pooled.lone_queries == sum(one.lone_queries for one in alone)
    of_queries = pd.Series(folded.rows["product"].to_numpy()[pooled.catalog_rows])
    assert of_queries.groupby(pooled.clusters).nunique().max() == 1
    assert pd.Series(pooled.clusters).groupby(of_queries.to_numpy()).nunique().max() == 1


def brute_ndcg(order: list[int], query: int, grade: NDArray[np.int64], k: int) -> float:
    ranked = [grade[query, other] for other in order if other != query]
    gain = sum((2.0**of - 1) / np.log2(rank + 2) for rank, of in enumerate(ranked[:k]))
    ideal = sum((2.0**of - 1) / np.log2(rank + 2) for rank, of in enumerate(sorted(ranked, reverse=True)[:k]))
    return float(gain / ideal)


def test_graded_figures_know_the_levels():
    one = small_fold(SHOP)
    pooled = pooled_grades([one], [[LOOKUP]], levels=[["product"], ["label"]])
    catalog_rows = one.rows_of_task(one.main_task)
    similarities = (LOOKUP(catalog_rows).double() @ LOOKUP(catalog_rows).double().T).numpy()
    products, labels = (SHOP.rows[name].to_numpy()[catalog_rows] for name in ("product", "label"))
    grade = np.where(products[:, None] == products, 2, np.where(labels[:, None] == labels, 1, 0))
    expected = [brute_ndcg(np.argsort(-similarities[query]).tolist(), query, grade, 10) for query in range(6)]
    assert pooled.values["ndcg_at_10"][0].tolist() == pytest.approx(expected)


def test_chance_is_the_same_for_all_who_ask_alike():
    scores = pooled_chance([small_fold(SHOP)], relevance="product", recall_ks=(1,))
    assert scores.over_seeds("recall_at_1").tolist() == pytest.approx([1 / 5] * 6)

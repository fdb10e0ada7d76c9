"""Retrieval tasks out of catalogues: who asks, who can be found, and what is relevant to what."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import catalog_of

from simtrain.catalog.table import Catalog
from simtrain.errors import CatalogError
from simtrain.evaluation.named_scores import named_scores
from simtrain.evaluation.protocol import Evaluation, RetrievalTask, evaluate_retrieval, retrieval_task
from simtrain.evaluation.relevance import same
from simtrain.evaluation.statistics import BootstrapSettings, Interval, cluster_bootstrap_intervals

FOLDER = Path("shop")
SPLITS = ["train"] * 4 + ["val"] * 4 + ["test"] * 4


def task_of(
    catalog: Catalog,
    *,
    split: str = "test",
    gallery_splits: Sequence[str] | None = None,
    relevance: Sequence[str] = ("product",),
) -> RetrievalTask:
    return retrieval_task(catalog, split=split, gallery_splits=gallery_splits, relevance=same(relevance))


def twelve(**columns: Sequence[Any]) -> Catalog:
    """Four images in each split, two products in each."""
    usual = {"split": SPLITS, "product": [f"p{row // 2}" for row in range(12)]}
    return catalog_of(FOLDER, **{**usual, **columns})


def rows_asking(task: RetrievalTask) -> list[int]:
    return task.rows[task.queries].tolist()


def rows_found(task: RetrievalTask) -> list[int]:
    return task.rows[task.gallery].tolist()


@pytest.mark.parametrize(("split", "rows"), [("train", [0, 1, 2, 3]), ("val", [4, 5, 6, 7]), ("test", [8, 9, 10, 11])])
def test_a_split_is_its_own_gallery(split: str, rows: list[int]) -> None:
    task = task_of(twelve(), split=split)
    assert (task.rows.tolist(), rows_asking(task), rows_found(task)) == (rows, rows, rows)


@pytest.mark.parametrize(
    ("gallery", "copied"),
    [([True] * 12, 2), ([True] * 11 + [False], 1), ([True] * 10 + [False, False], 0)],
)
def test_queries_with_an_exact_copy_in_the_gallery_are_counted(gallery: list[bool], copied: int) -> None:
    same = [None] * 9 + ["a", "b", "b"]  # images 10 and 11 are copies of each other; image 9's copy is in no split
    assert task_of(twelve(pixel_sha256=same, gallery=gallery)).copied_queries == copied


def test_copies_that_are_relevant_to_each_other_take_part_once() -> None:
    task = task_of(twelve(product=["a"] * 8 + ["b"] * 4, pixel_sha256=[None] * 8 + ["x", "y", "x", "x"]))
    assert (rows_asking(task), rows_found(task)) == ([8, 9], [8, 9])


def test_a_copy_under_another_product_takes_part_too() -> None:
    task = task_of(twelve(pixel_sha256=[None] * 8 + ["x", "y", "x", "z"]))
    assert task.rows.tolist() == [8, 9, 10, 11]


def test_a_query_does_not_find_its_copy_in_the_gallery() -> None:
    catalog = twelve(
        product=["a"] * 8 + ["b"] * 4,
        pixel_sha256=[None] * 8 + ["x", "x", "y", "z"],
        query=[True] * 9 + [False] * 3,
        gallery=[True] * 8 + [False] + [True] * 3,
    )
    task = task_of(catalog)
    assert (rows_asking(task), rows_found(task)) == ([8], [8, 10, 11])
    assert named_scores(task, unit([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]])).means()["map_at_r"] == pytest.approx(1.0)


def test_a_shop_with_a_copy_of_every_image_has_the_same_figures() -> None:
    generator = np.random.default_rng(0)
    columns = {
        "split": ["test"] * 24,
        "product": [f"p{row // 3}" for row in range(24)],
        "pixel_sha256": [f"h{row}" for row in range(24)],
    }
    embeddings = unit(generator.normal(size=(24, 3)).tolist())
    once = task_of(catalog_of(FOLDER, **columns))
    twice = task_of(catalog_of(FOLDER, **{name: values * 2 for name, values in columns.items()}))
    copied = torch.cat([embeddings, embeddings])[twice.rows]
    settings = {"bootstrap": BootstrapSettings(draws=200, confidence=0.95, seed=0)}
    assert (once.copied_queries, twice.copied_queries) == (0, 48)
    assert (
        evaluate_retrieval(twice, copied, **settings).metrics
        == evaluate_retrieval(once, embeddings, **settings).metrics
    )


def test_only_flagged_images_ask() -> None:
    task = task_of(twelve(query=[True] * 8 + [True, False, False, True]))
    assert (rows_asking(task), rows_found(task)) == ([8, 11], [8, 9, 10, 11])


def test_only_flagged_images_can_be_found() -> None:
    task = task_of(twelve(gallery=[True] * 8 + [True, False, True, True]))
    assert (rows_asking(task), rows_found(task)) == ([8, 9, 10, 11], [8, 10, 11])


def test_an_image_that_neither_asks_nor_can_be_found_takes_no_part() -> None:
    task = task_of(twelve(query=[True] * 10 + [False] * 2, gallery=[True] * 9 + [True, False, True]))
    assert task.rows.tolist() == [8, 9, 11]


def test_queries_and_gallery_may_be_apart() -> None:
    task = task_of(twelve(query=[True, False] * 6, gallery=[False, True] * 6))
    assert (rows_asking(task), rows_found(task)) == ([8, 10], [9, 11])


def test_the_gallery_may_be_of_other_splits() -> None:
    catalog = twelve(product=["a", "b", "c", "d"] * 3)
    task = task_of(catalog, gallery_splits=["train", "val"])
    assert (rows_asking(task), rows_found(task)) == ([8, 9, 10, 11], list(range(8)))


def test_the_gallery_may_be_of_all_splits() -> None:
    task = task_of(twelve(), gallery_splits=["train", "val", "test"])
    assert (rows_asking(task), rows_found(task)) == ([8, 9, 10, 11], list(range(12)))


def test_ids_go_with_the_rows() -> None:
    task = task_of(twelve(id=list("abcdefghijkl")))
    assert list(task.ids) == ["i", "j", "k", "l"]


def equal_pairs(task: RetrievalTask) -> set[tuple[int, int]]:
    """Pairs of catalogue rows that are relevant to each other."""
    groups = task.groups.tolist()
    return {
        (int(task.rows[a]), int(task.rows[b]))
        for a in range(len(groups))
        for b in range(a + 1, len(groups))
        if groups[a] == groups[b] != -1
    }


def test_one_column_says_what_is_relevant() -> None:
    task = task_of(twelve(label=["x"] * 8 + ["cup", "lamp", "cup", "lamp"]), relevance=["label"])
    assert equal_pairs(task) == {(8, 10), (9, 11)}


def test_several_columns_have_to_agree() -> None:
    catalog = twelve(
        category=["cup"] * 8 + ["cup", "cup", "lamp", "cup"], colour=["red"] * 8 + ["red", "blue", "red", "red"]
    )
    assert equal_pairs(task_of(catalog, relevance=["category", "colour"])) == {(8, 11)}


def test_an_empty_value_is_relevant_to_nothing() -> None:
    catalog = twelve(product=["a"] * 8 + ["b", None, "b", None])
    task = task_of(catalog)
    assert equal_pairs(task) == {(8, 10)}
    assert task.groups[[1, 3]].tolist() == [-1, -1]


def test_an_empty_value_in_one_of_several_columns_is_relevant_to_nothing() -> None:
    catalog = twelve(category=["cup"] * 12, colour=["red"] * 9 + [None, "red", "red"])
    assert equal_pairs(task_of(catalog, relevance=["category", "colour"])) == {(8, 10), (8, 11), (10, 11)}


def test_numbers_say_what_is_relevant_too() -> None:
    catalog = twelve(price=[1.0] * 8 + [2.5, 2.5, np.nan, np.nan])
    assert equal_pairs(task_of(catalog, relevance=["price"])) == {(8, 9)}


def test_clusters_are_products() -> None:
    task = task_of(twelve(label=["cup"] * 12), relevance=["label"])
    assert task.clusters.tolist() == [4, 4, 5, 5]


def test_images_without_a_product_are_clusters_of_their_own() -> None:
    catalog = twelve(label=["cup"] * 12, product=[None] * 8 + ["a", None, "a", None])
    first, second, third, fourth = task_of(catalog, relevance=["label"]).clusters.tolist()
    assert first == third
    assert len({first, second, fourth}) == 3


def unit(rows: list[list[float]]) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(rows), dim=1)


def test_scores_are_those_of_the_queries_in_the_gallery() -> None:
    # Each query's nearest gallery image: row 9 for row 8 (its product), row 9 for row 10 (not its product).
    task = task_of(twelve(query=[True, False] * 6, gallery=[False, True] * 6))
    means = named_scores(task, unit([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [-1.0, 0.0]])).means()
    assert means["recall_at_1"] == pytest.approx(0.5)
    assert means["mrr"] == pytest.approx((1 + 1 / 2) / 2)


def test_an_image_does_not_find_itself() -> None:
    task = task_of(twelve())
    means = named_scores(task, unit([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.1, 1.0]])).means()
    assert means["recall_at_1"] == 0.0


def test_a_judgement_is_means_and_intervals_over_products() -> None:
    generator = torch.Generator().manual_seed(0)
    catalog = catalog_of(FOLDER, split=["test"] * 30, product=[f"p{row // 3}" for row in range(30)])
    task = task_of(catalog)
    embeddings = torch.nn.functional.normalize(torch.randn(30, 4, generator=generator), dim=1)
    found = evaluate_retrieval(task, embeddings, bootstrap=BootstrapSettings(draws=200, confidence=0.9, seed=5))
    expected = cluster_bootstrap_intervals(
        task.score(embeddings).values,
        np.arange(30) // 3,
        bootstrap=BootstrapSettings(draws=200, confidence=0.9, seed=5),
    )
    assert found.metrics == expected
    assert (found.queries, found.lone_queries, found.gallery, found.confidence) == (30, 0, 30, 0.9)


def test_a_query_without_anything_to_find_is_counted_and_left_out() -> None:
    task = task_of(twelve(product=["a"] * 8 + ["b", "b", "c", None]))
    found = evaluate_retrieval(
        task,
        torch.nn.functional.normalize(torch.rand(4, 3), dim=1),
        bootstrap=BootstrapSettings(draws=100, confidence=0.95, seed=0),
    )
    assert (found.queries, found.lone_queries, found.gallery) == (2, 2, 4)


def test_clusters_follow_the_queries_that_are_scored() -> None:
    # Rows 8 and 10 are scored: two products, so that there is an interval; the queries between them are lone.
    catalog = twelve(product=["a", "b", "c", "d"] * 3, label=["x"] * 8 + ["cup", None, "cup", None])
    task = task_of(catalog, relevance=["label"])
    embeddings = unit([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [1.0, 0.2]])
    found = evaluate_retrieval(task, embeddings, bootstrap=BootstrapSettings(draws=100, confidence=0.95, seed=0))
    assert not np.isnan(found.metrics["mrr"].low)


def test_an_interval_that_cannot_be_told_is_null() -> None:
    evaluation = Evaluation(
        metrics={"mrr": Interval(mean=0.5, low=np.nan, high=np.nan), "map_at_r": Interval(mean=0.4, low=0.3, high=0.6)},
        queries=2,
        lone_queries=1,
        copied_queries=1,
        near_copied_queries=2,
        gallery=3,
        confidence=0.95,
        distractors=1,
    )
    assert evaluation.to_dict() == {
        "metrics": {
            "mrr": {"mean": 0.5, "low": None, "high": None},
            "map_at_r": {"mean": 0.4, "low": 0.3, "high": 0.6},
        },
        "queries": 2,
        "lone_queries": 1,
        "copied_queries": 1,
        "near_copied_queries": 2,
        "gallery": 3,
        "distractors": 1,
        "confidence": 0.95,
    }


NO_QUERIES = (
    "shop: split 'test' has no query images; prepare it with a larger share: "
    "simtrain prepare SOURCE --out shop --set split.test=0.3"
)


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        ({"split": ["train"] * 12}, {}, NO_QUERIES),
        ({"query": [True] * 8 + [False] * 4}, {}, NO_QUERIES),
        (
            {"product": [None] * 12, "label": ["cup"] * 12},
            {},
            "shop: relevance column 'product' is empty; filled: label (set relevance=label)",
        ),
        ({"product": [None] * 12}, {}, "shop: relevance column 'product' is empty"),
        (
            {"colour": [None] * 12, "label": ["cup"] * 12},
            {"relevance": ["label", "colour"]},
            "shop: relevance column 'label + colour' is empty; filled: product, label (set relevance=product)",
        ),
        (
            {"product": [f"p{row}" for row in range(12)]},
            {},
            "shop: every 'product' has one image, so there is nothing to find by it; add a second image of each, and "
            "prepare again",
        ),
        (
            {"product": [f"p{row}" for row in range(12)], "label": ["cup", "lamp"] * 6},
            {},
            "shop: every 'product' has one image, so there is nothing to find by it; set relevance=label",
        ),
        (
            {"gallery": [False] * 12},
            {},
            "shop: none of 4 queries of split 'test' has another image of its own 'product' to find; prepare it with "
            "a larger share: simtrain prepare SOURCE --out shop --set split.test=0.3",
        ),
        (
            {},
            {"gallery_splits": ["train"]},
            "shop: none of 4 queries of split 'test' has another image of its own 'product' to find; prepare it with "
            "a larger share: simtrain prepare SOURCE --out shop --set split.test=0.3",
        ),
        (
            {},
            {"relevance": ["colour"]},
            "shop/catalog.parquet: no column 'colour'; it has id, path, split, product, label, caption, query, "
            "gallery, duplicate_group",
        ),
    ],
)
def test_a_task_that_cannot_be_answered_is_told(
    columns: dict[str, Any], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(CatalogError, match=f"^{re.escape(message)}$"):
        task_of(twelve(**columns), **arguments)


def test_one_query_that_can_be_answered_is_enough() -> None:
    task = task_of(twelve(product=[f"p{row}" for row in range(10)] + ["z", "z"]))
    assert named_scores(task, torch.eye(4)).means()["recall_at_1"] >= 0

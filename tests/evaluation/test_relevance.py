"""Ideas of relevance over a catalogue, against pairs that are judged one by one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_training import catalog_of

from simtrain.catalog.table import Catalog
from simtrain.errors import CatalogError
from simtrain.evaluation.protocol import RetrievalTask, retrieval_task
from simtrain.evaluation.relevance import Relevance, filled_columns, same, same_kind, usual_relevances

FOLDER = Path("shop")
PRODUCTS = [f"p{row // 2}" for row in range(12)]


def shop(**columns: Sequence[Any]) -> Catalog:
    """Twelve pictures of six products of two labels."""
    usual = {
        "split": ["test"] * 12,
        "product": PRODUCTS,
        "label": ["cup"] * 6 + ["lamp"] * 6,
    }
    return catalog_of(FOLDER, **{**usual, **columns})


def task_of(catalog: Catalog, relevance: Relevance) -> RetrievalTask:
    return retrieval_task(catalog, split="test", gallery_splits=None, relevance=relevance)


def kind(catalog: Catalog) -> Relevance:
    return same_kind(catalog, columns=["label"], other=["product"])


def embeddings_of(rows: int, *, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, 3, generator=generator), dim=1)


def first_hits(catalog: Catalog, vectors: torch.Tensor) -> list[float]:
    """Of each picture: whether the nearest picture of another product has its label; by sorting."""
    products, labels = catalog.rows["product"].tolist(), catalog.rows["label"].tolist()
    hits = []
    for row, vector in enumerate(vectors.double()):
        others = [other for other in range(len(vectors)) if other != row and products[other] != products[row]]
        nearest = max(others, key=lambda other: float(vector @ vectors[other].double()))
        hits.append(float(labels[nearest] == labels[row]))
    return hits


def excluding(catalog: Catalog, *columns: str) -> Relevance:
    return replace(same(["product"]), excluded=columns)


def first_hits_among_other_vendors(catalog: Catalog, vectors: torch.Tensor) -> dict[int, float]:
    """Of each picture with a picture of its product by another vendor: whether the nearest of the others is one."""
    rows = catalog.rows[["product", "vendor"]].to_dict("records")
    hits = {}
    for row, own in enumerate(rows):
        others = [
            other
            for other, its in enumerate(rows)
            if other != row and (own["vendor"] is None or its["vendor"] != own["vendor"])
        ]
        if any(rows[other]["product"] == own["product"] for other in others):
            nearest = max(others, key=lambda other: float(vectors[row].double() @ vectors[other].double()))
            hits[row] = float(rows[nearest]["product"] == own["product"])
    return hits


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_images_of_the_querys_vendor_do_not_count(seed: int):
    vendors = ["a", "b", "a", "a", "b", None, "a", "b", None, None, "b", "a"]
    catalog, vectors = shop(vendor=vendors), embeddings_of(12, seed=seed)
    task = task_of(catalog, excluding(catalog, "vendor"))
    scores = task.score(vectors)
    scored = task.rows[task.queries[scores.query_rows]].tolist()
    expected = first_hits_among_other_vendors(catalog, vectors)
    assert dict(zip(scored, scores.values["recall_at_1"].tolist(), strict=True)) == expected
    assert scores.lone_queries == 12 - len(expected)


def test_each_excluded_column_leaves_out_by_itself():
    catalog = shop(product=["p"] * 12, vendor=["a", "a"] + ["b"] * 10, day=["m", "n", "m"] + ["n"] * 9)
    task = task_of(catalog, excluding(catalog, "vendor", "day"))
    # Row 0 (a, m) counts (b, n) alone: rows 3 to 11. Row 1 (a, n): row 2. Row 2 (b, m): row 1. The rest (b, n): row 0.
    assert task.answers().tolist() == [9, 1, 1] + [1] * 9


def test_copies_of_two_vendors_stay_apart_where_vendors_matter():
    catalog = shop(product=["p"] * 12, vendor=["a", "b", "c"] + ["d"] * 9, sha256=["x", "x", *list("cdefghijkl")])
    assert len(task_of(catalog, same(["product"])).gallery) == 11
    assert len(task_of(catalog, excluding(catalog, "vendor")).gallery) == 12


def test_nothing_to_find_among_other_vendors():
    catalog = shop(vendor=["a"] * 12)
    with pytest.raises(CatalogError) as raised:
        task_of(catalog, excluding(catalog, "vendor"))
    assert str(raised.value).startswith(
        "shop: none of 12 queries of split 'test' has another image of its own 'product' and another 'vendor' to find"
    )


def test_words_name_what_is_left_out():
    catalog = shop()
    assert excluding(catalog, "vendor").description == "same product, other vendor only"
    assert replace(kind(catalog), excluded=("vendor", "day")).description == (
        "same label, other product and other vendor and other day only"
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kind_ranks_other_products_alone(seed: int):
    catalog, vectors = shop(), embeddings_of(12, seed=seed)
    scores = task_of(catalog, kind(catalog)).score(vectors)
    assert scores.values["recall_at_1"].tolist() == first_hits(catalog, vectors)


def test_kind_counts_the_other_products_of_the_label():
    catalog = shop()
    assert task_of(catalog, kind(catalog)).answers().tolist() == [4] * 12
    assert task_of(catalog, same(["label"])).answers().tolist() == [5] * 12
    assert task_of(catalog, same(["product"])).answers().tolist() == [1] * 12


def test_a_picture_without_a_product_leaves_only_itself_out():
    catalog = shop(product=[None, *[f"p{row // 2}" for row in range(1, 12)]])
    assert task_of(catalog, kind(catalog)).answers().tolist()[:3] == [5, 5, 4]


def test_kind_may_be_of_other_columns():
    catalog = shop(vendor=["a", "b"] * 6)
    relevance = same_kind(catalog, columns=["label"], other=["vendor"])
    assert relevance.name == "kind (label, other vendor)"
    assert task_of(catalog, relevance).answers().tolist() == [3] * 12


def test_kind_without_a_second_product_has_nothing_to_find():
    catalog = shop(label=[f"l{row // 2}" for row in range(12)])
    with pytest.raises(CatalogError, match=r"none of 12 queries .* its own 'label' and another 'product' to find"):
        task_of(catalog, kind(catalog))


def test_near_copies_count_neither_as_finds_nor_as_misses():
    # Pictures 12 to 23 are the first twelve once more, as other files: nearer to them than anything else.
    once = shop()
    twice = catalog_of(
        FOLDER,
        **{name: once.rows[name].tolist() * 2 for name in ("split", "product", "label")},
        duplicate_group=[f"g{row}" for row in range(12)] * 2,
        query=[True] * 12 + [False] * 12,
        gallery=[True] * 24,
    )
    vectors = embeddings_of(12)
    both = torch.nn.functional.normalize(torch.cat([vectors, vectors + 1e-4]), dim=1)
    task = task_of(twice, same(["product"]))
    assert (task.near_copied_queries, task_of(once, same(["product"])).near_copied_queries) == (12, 0)
    assert task.answers().tolist() == [2] * 12
    found = task.score(both).values["recall_at_1"].tolist()
    assert found == task_of(once, same(["product"])).score(vectors).values["recall_at_1"].tolist()
    assert sum(found) < 12


def test_a_column_called_kind_keeps_its_name():
    catalog = shop(kind=["x"] * 12)
    assert kind(catalog).name == "kind (label, other product)"
    assert [one.name for one in usual_relevances(catalog)] == ["product", "label", "kind (label, other product)"]


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ({}, ["product", "label", "kind"]),
        ({"label": [None] * 12}, ["product"]),
        ({"product": [None] * 12}, ["label"]),
        ({"label": PRODUCTS}, ["product"]),
        ({"label": [None, *PRODUCTS[1:]]}, ["product", "label", "kind"]),
        ({"product": [None, *PRODUCTS[1:]], "label": [None, *PRODUCTS[1:]]}, ["product"]),
        ({"product": [None] * 12, "label": [np.nan] * 12}, []),
    ],
)
def test_usual_ideas_are_those_that_the_catalogue_knows(columns: dict[str, list[Any]], names: list[str]):
    assert [one.name for one in usual_relevances(shop(**columns))] == names


def test_words_for_a_person():
    assert same(["category", "colour"]).description == "same category + colour"
    assert kind(shop()).description == "same label, other product only"


@pytest.mark.parametrize(
    ("product", "label", "expected"),
    [
        (["a", None], ["x", "y"], ["product", "label"]),
        ([None, None], ["x", None], ["label"]),
        ([None, None], [np.nan, None], []),
    ],
)
def test_filled_columns(product: list[Any], label: list[Any], expected: list[str]) -> None:
    assert filled_columns(pd.DataFrame({"product": product, "label": label})) == expected

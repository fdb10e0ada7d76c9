"""Judged pairs over a catalogue: whose answers they are, copies, splits, names that are not there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import catalog_of

from simtrain.catalog.table import Catalog
from simtrain.errors import CatalogError
from simtrain.evaluation.further_relevance import with_further_relevance
from simtrain.evaluation.named_scores import named_scores
from simtrain.evaluation.protocol import RetrievalTask, retrieval_task
from simtrain.evaluation.qrels import Qrels
from simtrain.evaluation.relevance import judged, same
from simtrain.evaluation.worst_queries import worst_queries

ROWS = [
    ("i00", "i01", 1),
    ("i00", "i02", 2),
    ("i00", "i03", 0),
    ("i02", "i01", 1),
    ("i04", "i00", 1),
    ("i03", "i00", 0),
]


def qrels(*rows: tuple[str, str, float], by: str | None = None, sha256: str = "ab" * 32) -> Qrels:
    queries, items, grades = zip(*rows, strict=True)
    return Qrels(file="pairs.csv", sha256=sha256, by=by, queries=queries, items=items, grades=grades)


def shop(**columns: Any) -> Catalog:
    return catalog_of(Path("shop"), **{"split": ["test"] * 6, **columns})


def task_of(table: Qrels, catalog: Catalog, **settings: Any) -> RetrievalTask:
    return retrieval_task(catalog, **{"split": "test", "gallery_splits": None, **settings}, relevance=judged(table))


def pairs_of(task: RetrievalTask) -> set[tuple[str, str]]:
    found = task.judged_among()
    assert found is not None
    rows = zip(found.queries.tolist(), found.items.tolist(), strict=True)
    return {(task.query_ids[query], task.gallery_ids[item]) for query, item in rows}


def test_grades_above_zero_are_relevant_one_way_only() -> None:
    task = task_of(qrels(*ROWS), shop())
    assert pairs_of(task) == {("i00", "i01"), ("i00", "i02"), ("i02", "i01"), ("i04", "i00")}
    assert task.answers().tolist() == [2, 0, 1, 0, 1, 0]
    assert (task.groups >= 0).tolist() == [True, False, True, True, True, False]  # who was judged at all


def test_only_queries_with_a_relevant_image_in_the_gallery_count() -> None:
    catalog = shop(split=["val", "test", "test", "test", "val", "test"])
    task = task_of(qrels(*ROWS), catalog)
    assert pairs_of(task) == {("i02", "i01")}
    assert task.score(torch.eye(4)).query_rows.tolist() == [task.query_ids.index("i02")]
    wider = task_of(qrels(*ROWS), catalog, split="val", gallery_splits=["val", "test"])
    assert dict(zip(wider.query_ids, wider.answers().tolist(), strict=True)) == {"i00": 2, "i04": 1}


def test_exact_copies_are_judged_as_one() -> None:
    catalog = shop(
        product=["a", "b", "c", "d", "e", "f"],
        pixel_sha256=["x", "y", "z", "w", "x", "y"],
        duplicate_group=["i00", "i01", None, None, "i00", "i01"],
    )
    task = task_of(qrels(("i04", "i02", 1), ("i03", "i05", 1), ("i00", "i04", 1)), catalog)
    assert task.query_ids == ["i00", "i01", "i02", "i03"]
    assert pairs_of(task) == {("i00", "i02"), ("i03", "i01"), ("i00", "i00")}
    assert task.answers().tolist() == [1, 0, 0, 1]  # a query never finds itself


def test_near_copies_of_a_query_do_not_count() -> None:
    catalog = shop(duplicate_group=["g", "g", None, None, None, None])
    assert task_of(qrels(*ROWS), catalog).answers().tolist() == [1, 0, 1, 0, 1, 0]


def test_excluded_columns_leave_judged_images_out() -> None:
    relevance = judged(qrels(*ROWS))
    catalog = shop(vendor=["v", "v", "w", "w", "v", "w"])
    excluding = type(relevance)(**{**vars(relevance), "excluded": ("vendor",)})
    task = retrieval_task(catalog, split="test", gallery_splits=None, relevance=excluding)
    assert task.answers().tolist() == [1, 0, 1, 0, 0, 0]


def test_values_of_a_column_stand_for_all_their_images() -> None:
    catalog = shop(product=["a", "a", "b", "b", "c", None])
    task = task_of(qrels(("a", "b", 1), ("c", "a", 2), by="product"), catalog)
    assert task.answers().tolist() == [2, 2, 0, 0, 2, 0]
    nearest, _ = task.nearest(torch.eye(6), task.queries, k=5)
    assert set(nearest[0].tolist()) == {2, 3, 4, 5, -1}  # another photo of its own product does not count
    own = task_of(qrels(("a", "b", 1), ("a", "a", 1), by="product"), catalog)
    assert own.answers().tolist() == [3, 3, 0, 0, 0, 0]


def test_whole_numbers_in_a_column_are_named_as_people_write_them() -> None:
    catalog = shop(sku=[1.0, 1.0, 2.0, 2.0, None, None])
    assert task_of(qrels(("1", "2", 1), by="sku"), catalog).answers().tolist() == [2, 2, 0, 0, 0, 0]


def test_judged_pairs_beside_another_relevance() -> None:
    catalog = shop(product=["a", "a", "b", "b", "c", "c"])
    task = retrieval_task(catalog, split="test", gallery_splits=None, relevance=same(["product"]))
    both = with_further_relevance(task, catalog, [judged(qrels(*ROWS))])
    (name,) = both.further
    assert name == "qrels (pairs.csv)"
    assert both.further[name].answers().tolist() == [2, 0, 1, 0, 1, 0]
    assert f"{name}_map_at_r" in named_scores(both, torch.eye(6)).means()


def test_worst_queries_show_what_was_judged() -> None:
    task = task_of(qrels(*ROWS), shop())
    embeddings = torch.nn.functional.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    for shown in worst_queries(task, embeddings, task.score(embeddings), count=3):
        relevant = {item for query, item, grade in ROWS if grade > 0 and query == f"i{shown.row:02d}"}
        assert shown.relevant == tuple(f"i{row:02d}" in relevant for row in shown.neighbours)


def test_metrics_equal_a_loop_over_a_random_shop_with_ties() -> None:
    generator = np.random.default_rng(5)
    ids = [f"i{row:02d}" for row in range(30)]
    rows = {(ids[a], ids[b]): float(generator.integers(0, 3)) for a, b in generator.integers(0, 30, (160, 2))}
    catalog = catalog_of(Path("shop"), split=["val"] * 10 + ["test"] * 20)
    task = task_of(qrels(*((*pair, grade) for pair, grade in rows.items())), catalog, gallery_splits=["val", "test"])
    embeddings = torch.eye(4)[torch.from_numpy(generator.integers(0, 4, 30))]  # similarities are 0 or 1: ties
    similarities = (embeddings @ embeddings.T).tolist()
    scores = task.score(embeddings)
    expected = {}
    for query in range(10, 30):
        order = sorted((-similarities[query][row], ids[row]) for row in range(30) if row != query)
        hits = [rows.get((ids[query], name), 0) > 0 for _, name in order]
        if any(hits):
            precisions = [hits[at] * sum(hits[: at + 1]) / (at + 1) for at in range(sum(hits))]
            expected[ids[query]] = (sum(precisions) / sum(hits), float(hits[0]))
    assert [task.query_ids[row] for row in scores.query_rows] == list(expected)
    for place, metric in enumerate(("map_at_r", "recall_at_1")):
        np.testing.assert_allclose(scores.values[metric], [values[place] for values in expected.values()])


def test_the_hash_is_told_so_that_another_table_is_another_protocol() -> None:
    one, other = judged(qrels(*ROWS)), judged(qrels(*ROWS, sha256="cd" * 32))
    assert one != other
    assert one.description == "pairs judged relevant in pairs.csv (4 pairs of 3 queries, sha256 abababababab)"
    assert one.columns_or_name() == ["qrels (pairs.csv)", "sha256 " + "ab" * 32]
    assert one.columns_or_name() != other.columns_or_name()


def test_names_that_the_catalogue_lacks_are_told() -> None:
    rows = [*ROWS, *((f"gone{number}", "i00", 1) for number in range(5))]
    assert qrels(*rows).remark(shop()) == (
        "pairs.csv: 5 of its 10 ids are not in the catalogue and do not count: 'gone0', 'gone1', 'gone2' and 2 more"
    )
    assert qrels(*ROWS).remark(shop()) is None


def test_names_in_another_spelling_are_the_catalogues() -> None:
    catalog = shop(product=["Caf\u00e9-1", "Caf\u00e9-1", "b", "b", "C", "c"])
    table = qrels(("Cafe\u0301\u20131 ", "b", 1), ("b", "\u0441", 1), by="product")  # a dash; a Cyrillic letter
    assert table.remark(catalog) is None
    assert pairs_of(task_of(table, catalog)) == {
        *((query, item) for query in ("i00", "i01") for item in ("i02", "i03")),
        ("i02", "i05"),
        ("i03", "i05"),
    }


def test_a_table_of_other_names_is_refused() -> None:
    with pytest.raises(CatalogError) as caught:
        qrels(("p1", "p2", 1)).check_known(shop())
    assert str(caught.value) == (
        "pairs.csv: no relevant pair of it is in shop/catalog.parquet: it names 'p1' and 'p2', the catalogue's ids are "
        "such as 'i00' and 'i01'; a table that names products: relevance={qrels: FILE, by: product}"
    )
    with pytest.raises(CatalogError, match=r"^pairs\.csv: judges no pair relevant; a grade above 0 means relevant$"):
        qrels(("i00", "i01", 0)).check_known(shop())
    with pytest.raises(CatalogError, match=r"no column 'sku'; it has id, "):
        qrels(("p1", "p2", 1), by="sku").check_known(shop())


def test_a_split_without_judged_answers_is_refused() -> None:
    with pytest.raises(CatalogError) as caught:
        task_of(qrels(*ROWS), shop(split=["test"] * 5 + ["val"]), split="val")
    assert str(caught.value) == (
        "shop: none of 1 queries of split 'val' has an image to find that pairs.csv judges relevant; judge images of "
        "that split, or widen the gallery with gallery_splits"
    )

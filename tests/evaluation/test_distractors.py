"""Distractors: only wrong answers, by every definition, as many as are wanted, and the metrics of a plain loop."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_training import catalog_of

from simtrain.catalog.table import Catalog
from simtrain.evaluation.distractors import distractor_rows, gallery_size, wrong_answers
from simtrain.evaluation.further_relevance import with_further_relevance
from simtrain.evaluation.protocol import RetrievalTask, retrieval_task
from simtrain.evaluation.qrels import Qrels
from simtrain.evaluation.relevance import Relevance, judged, same, same_kind


def shop(seed: int) -> Catalog:
    """Random splits, products in several splits, labels, copies, images without a product or out of the gallery."""
    generator = np.random.default_rng(seed)
    count = 60
    pictures = [f"x{number}" for number in generator.integers(0, 50, count)]
    seen: dict[str, int] = {}
    for picture in pictures:
        seen[picture] = seen.get(picture, 0) + 1
    return catalog_of(
        Path("shop"),
        split=generator.choice(["train", "train", "val", "test"], count).tolist(),
        product=[None if number == 0 else f"p{number}" for number in generator.integers(0, 16, count)],
        label=[f"l{number}" for number in generator.integers(0, 8, count)],
        gallery=(generator.random(count) < 0.9).tolist(),
        pixel_sha256=pictures,
        duplicate_group=[picture if seen[picture] > 1 else None for picture in pictures],
    )


def definitions(catalog: Catalog) -> list[Relevance]:
    ids, generator = catalog.rows["id"].tolist(), np.random.default_rng(9)
    pairs = {(ids[a], ids[b]) for a, b in generator.integers(0, len(ids), (150, 2))}
    queries, items = zip(*sorted(pairs), strict=True)
    table = Qrels(file="p.csv", sha256="0", by=None, queries=queries, items=items, grades=(1.0,) * len(pairs))
    return [same(["product"]), same_kind(catalog, columns=["label"], other=["product"]), judged(table)]


def is_right(catalog: Catalog, relevance: Relevance, query: int, row: int) -> bool:
    rows = catalog.rows
    if relevance.qrels is None:
        asked, found = (rows[relevance.columns[0]].iat[at] for at in (query, row))
        return bool(pd.notna(asked) and asked == found)
    copies_of = [
        [
            rows["id"].iat[one]
            for one in range(len(rows))
            if rows["pixel_sha256"].iat[one] == rows["pixel_sha256"].iat[at]
        ]
        for at in (query, row)
    ]
    return any(pair in relevance.qrels.relevant for pair in product(*copies_of))


def task_of(catalog: Catalog, relevance: Relevance, *, distractors: np.ndarray | None = None) -> RetrievalTask:
    return retrieval_task(catalog, split="val", gallery_splits=None, relevance=relevance, distractors=distractors)


@pytest.mark.parametrize("definition", [0, 1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_only_wrong_answers_of_train_that_are_no_copies(seed: int, definition: int) -> None:
    catalog = shop(seed)
    relevance, rows = definitions(catalog)[definition], catalog.rows
    task = task_of(catalog, relevance)
    queries = [row for row in range(len(rows)) if rows["split"].iat[row] == "val"]
    in_task = set(rows["pixel_sha256"].iloc[task.rows])
    usable = {}
    for row in range(len(rows)):
        wrong = not any(is_right(catalog, relevance, query, row) for query in queries)
        known = relevance.qrels is not None or pd.notna(rows[relevance.columns[0]].iat[row])
        picture = rows["pixel_sha256"].iat[row]
        if (
            rows["split"].iat[row] == "train"
            and rows["gallery"].iat[row]
            and wrong
            and known
            and picture not in in_task
        ):
            usable.setdefault(picture, row)
    everything = distractor_rows(catalog, task, relevance=relevance, count=1000, seed=0)
    assert everything.tolist() == sorted(usable.values())
    some = distractor_rows(catalog, task, relevance=relevance, count=2, seed=3)
    assert len(some) == min(2, len(usable))
    assert set(some) <= set(everything)
    assert some.tolist() == distractor_rows(catalog, task, relevance=relevance, count=2, seed=3).tolist()
    assert len(distractor_rows(catalog, task, relevance=relevance, count=-4, seed=0)) == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_task_with_distractors_ranks_them_and_asks_nothing_of_them(seed: int) -> None:
    catalog = shop(seed)
    relevance = definitions(catalog)[0]
    alone = task_of(catalog, relevance)
    rows = distractor_rows(catalog, alone, relevance=relevance, count=8, seed=seed)
    task = task_of(catalog, relevance, distractors=rows)
    assert task.rows[task.distractors].tolist() == rows.tolist()
    assert len(rows) > 0
    assert len(task.gallery) == len(alone.gallery) + len(rows)
    assert task.query_ids == alone.query_ids
    assert task.answers().tolist() == alone.answers().tolist()
    vectors = torch.nn.functional.normalize(
        torch.randn(len(catalog.rows), 5, generator=torch.Generator().manual_seed(seed)), dim=1
    )
    scores = task.score(vectors[task.rows])
    searched = task.rows[task.gallery].tolist()
    for place, query_row in enumerate(scores.query_rows.tolist()):
        query = int(task.rows[task.queries[query_row]])
        group = catalog.rows["duplicate_group"].iat[query]
        others = [
            row
            for row in searched
            if row != query and (pd.isna(group) or catalog.rows["duplicate_group"].iat[row] != group)
        ]
        best = max(others, key=lambda row: float(vectors[row] @ vectors[query]))
        assert scores.values["recall_at_1"][place] == float(is_right(catalog, relevance, query, best))


@pytest.mark.parametrize("seed", range(4))
def test_further_definitions_search_without_what_is_right_by_them(seed: int) -> None:
    catalog = shop(seed)
    main, kind, pairs = definitions(catalog)
    rows = distractor_rows(catalog, task_of(catalog, main), relevance=main, count=1000, seed=0)
    task = with_further_relevance(task_of(catalog, main, distractors=rows), catalog, [kind, pairs])
    queries = task.rows[task.queries].tolist()
    for relevance in (kind, pairs):
        further = task.further[relevance.name]
        wanted = [row for row in rows if not any(is_right(catalog, relevance, query, row) for query in queries)]
        assert further.rows[further.distractors].tolist() == wanted
        added = set(further.rows[further.gallery]) & set(rows.tolist())
        assert added == set(wanted)


def test_size_of_a_gallery_counts_copies_once() -> None:
    for seed in range(4):
        catalog = shop(seed)
        for relevance in definitions(catalog)[:2]:
            task = retrieval_task(catalog, split="test", gallery_splits=None, relevance=relevance)
            assert gallery_size(catalog, ["test"], relevance) == len(task.gallery)


def test_images_of_which_nothing_is_known_are_no_wrong_answers() -> None:
    catalog = catalog_of(Path("shop"), split=["val", "train", "train"], product=["a", "b", None])
    assert wrong_answers(catalog, same(["product"]), np.array([0])).tolist() == [False, True, False]

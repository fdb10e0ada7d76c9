"""Retrieval sets, most similarities of which are exactly tied, and their ranking by a plain loop."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from simtrain.evaluation.exclusions import Exclusions
from simtrain.evaluation.graded import GradedSet, Level
from simtrain.evaluation.metrics import score_queries
from simtrain.evaluation.retrieval_set import RetrievalSet

KS = (1, 2, 5, 1000)


def tied_embeddings(generator: np.random.Generator, *, rows: int) -> Tensor:
    """(rows, 6) with four entries ±0.5, or one ±1: unit rows whose products are multiples of 1/4, exact in float32."""
    embeddings = np.zeros((rows, 6), dtype=np.float32)
    for row in embeddings:
        count, size = (4, 0.5) if generator.random() < 0.7 else (1, 1.0)
        row[generator.choice(6, size=count, replace=False)] = size * generator.choice([-1.0, 1.0], size=count)
    return torch.from_numpy(embeddings)


def retrieval_set(
    embeddings: Tensor,
    groups: Sequence[int],
    *,
    ids: Sequence[str] | None = None,
    queries: slice = slice(None),
    gallery: slice = slice(None),
) -> RetrievalSet:
    """Leave-one-out of some items, unless slices say which of them are queries and which are the gallery."""
    ids = [f"item-{row}" for row in range(len(embeddings))] if ids is None else ids
    codes = np.array(groups, dtype=np.int64)
    codes.flags.writeable = False  # as columns of a pandas table are
    return RetrievalSet(
        query_embeddings=embeddings[queries],
        gallery_embeddings=embeddings[gallery],
        query_ids=ids[queries],
        gallery_ids=ids[gallery],
        query_groups=codes[queries],
        gallery_groups=codes[gallery],
    )


def tied_set(*, seed: int, items: int, protocol: str) -> RetrievalSet:
    """Random items with many ties, many groups, some items without; "overlapping": queries and gallery share some."""
    generator = np.random.default_rng(seed)
    embeddings = tied_embeddings(generator, rows=items)
    groups = generator.integers(-1, max(2, items // 4), size=items).tolist()
    ids = [f"item-{number}" for number in generator.permutation(items)]
    if protocol == "leave-one-out":
        return retrieval_set(embeddings, groups, ids=ids)
    return retrieval_set(embeddings, groups, ids=ids, queries=slice(items * 2 // 3), gallery=slice(items // 3, None))


def loop_ranking(retrieval: RetrievalSet, query: int) -> list[int]:
    """Gallery rows that count for one query, nearest first, by sorting pairs of similarity and id."""
    vector = retrieval.query_embeddings[query].tolist()
    pairs = []
    for row, gallery_id in enumerate(retrieval.gallery_ids):
        if gallery_id != retrieval.query_ids[query] and not left_out(retrieval, query, row):
            products = [a * b for a, b in zip(vector, retrieval.gallery_embeddings[row].tolist(), strict=True)]
            pairs.append((-sum(products), gallery_id, row))
    return [row for _, _, row in sorted(pairs)]


def left_out(retrieval: RetrievalSet, query: int, row: int) -> bool:
    """Whether a gallery item shares a code with a query in any column."""
    if retrieval.exclusions is None:
        return False
    asked, found = retrieval.exclusions.query_codes[query].tolist(), retrieval.exclusions.gallery_codes[row].tolist()
    return any(one == other and one != -1 for one, other in zip(asked, found, strict=True))


def with_exclusions(retrieval: RetrievalSet, *, seed: int, kinds: Sequence[int]) -> RetrievalSet:
    """The same with random codes: for each column a number of different ones, and some items without."""
    generator = np.random.default_rng(seed)
    ids = sorted({*retrieval.query_ids, *retrieval.gallery_ids})
    drawn = np.stack([generator.integers(-1, count, size=len(ids)) for count in kinds], axis=1)
    codes = dict(zip(ids, drawn, strict=True))
    return replace(
        retrieval,
        exclusions=Exclusions(
            query_codes=np.stack([codes[name] for name in retrieval.query_ids]),
            gallery_codes=np.stack([codes[name] for name in retrieval.gallery_ids]),
        ),
    )


def loop_scores(retrieval: RetrievalSet, ks: Sequence[int]) -> dict[int, dict[str, float]]:
    """Metrics by their definitions: query row -> metric -> value, without the lone queries."""
    scores = {}
    for query, group in enumerate(retrieval.query_groups):
        relevant = [group != -1 and retrieval.gallery_groups[row] == group for row in loop_ranking(retrieval, query)]
        count = sum(relevant)
        if count == 0:
            continue
        precisions = [sum(relevant[: rank + 1]) / (rank + 1) for rank in range(count)]
        scores[query] = {f"recall_at_{k}": float(any(relevant[:k])) for k in ks} | {
            **{f"precision_at_{k}": sum(relevant[:k]) / k for k in ks},
            "r_precision": sum(relevant[:count]) / count,
            "map_at_r": sum(p for p, hit in zip(precisions, relevant, strict=False) if hit) / count,
            "mrr": 1 / (1 + relevant.index(True)),
        }
    return scores


def assert_equals_loop(retrieval: RetrievalSet, **settings_: int) -> None:
    expected = loop_scores(retrieval, KS)
    scores = score_queries(retrieval, recall_ks=KS, precision_ks=KS, **settings_)
    assert scores.query_rows.tolist() == sorted(expected)
    assert scores.lone_queries == len(retrieval.query_ids) - len(expected)
    assert set(scores.values) == set(next(iter(expected.values())))
    for name, values in scores.values.items():
        np.testing.assert_allclose(values, [expected[row][name] for row in sorted(expected)], rtol=1e-12, err_msg=name)


def graded_set(retrieval: RetrievalSet, levels: list[Level]) -> GradedSet:
    return GradedSet(
        query_embeddings=retrieval.query_embeddings,
        gallery_embeddings=retrieval.gallery_embeddings,
        query_ids=retrieval.query_ids,
        gallery_ids=retrieval.gallery_ids,
        levels=levels,
        exclusions=retrieval.exclusions,
    )


def tied_graded(*, seed: int, items: int, protocol: str) -> tuple[RetrievalSet, GradedSet]:
    """Three levels that do not nest, some items without a code at some of them, most similarities tied."""
    retrieval = tied_set(seed=seed, items=items, protocol=protocol)
    ids = sorted({*retrieval.query_ids, *retrieval.gallery_ids})
    generator = np.random.default_rng(seed)
    levels = []
    for kinds in (items // 3, 6, 3):
        code = dict(zip(ids, generator.integers(-1, kinds, size=len(ids)).tolist(), strict=True))
        levels.append(
            level_of([code[name] for name in retrieval.query_ids], [code[name] for name in retrieval.gallery_ids])
        )
    return retrieval, graded_set(retrieval, levels)


def level_of(queries: list[int], gallery: list[int]) -> Level:
    return Level(query_groups=np.array(queries, dtype=np.int64), gallery_groups=np.array(gallery, dtype=np.int64))


def loop_grades(retrieval: RetrievalSet, graded: GradedSet, query: int) -> list[int]:
    """Grades of the whole ranking of one query, nearest first."""
    grades = []
    for row in loop_ranking(retrieval, query):
        fits = [one.query_groups[query] == one.gallery_groups[row] != -1 for one in graded.levels]
        grades.append(len(fits) - fits.index(True) if any(fits) else 0)
    return grades

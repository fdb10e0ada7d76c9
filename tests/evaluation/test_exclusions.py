"""Items that do not count for a query: every figure against a plain loop that leaves them out one by one."""

import re
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from tied_retrieval import (
    KS,
    assert_equals_loop,
    graded_set,
    left_out,
    loop_grades,
    loop_ranking,
    retrieval_set,
    tied_graded,
    tied_set,
    with_exclusions,
)

from simtrain.evaluation.chance import chance_scores, expected_values
from simtrain.evaluation.exclusions import Exclusions, exclusions_of
from simtrain.evaluation.graded import discounts, score_graded
from simtrain.evaluation.leading import nearest_neighbours
from simtrain.evaluation.metrics import score_queries
from simtrain.evaluation.ranking import Ranking
from simtrain.evaluation.retrieval_set import RelevanceCodes
from simtrain.evaluation.statistics import BootstrapSettings
from simtrain.evaluation.thresholds import ThresholdSettings, similarity_thresholds

COLUMNS = [(12,), (4, 25), (3, 6, 9)]


@pytest.mark.parametrize("kinds", COLUMNS)
@pytest.mark.parametrize("protocol", ["leave-one-out", "overlapping"])
def test_metrics_equal_a_plain_loop(protocol: str, kinds: Sequence[int]) -> None:
    retrieval = with_exclusions(tied_set(seed=4, items=80, protocol=protocol), seed=1, kinds=kinds)
    assert_equals_loop(retrieval)
    assert_equals_loop(retrieval, chunk_elements=500)


@pytest.mark.parametrize("kinds", COLUMNS)
def test_counts_are_those_of_a_loop_over_pairs(kinds: Sequence[int]) -> None:
    retrieval = with_exclusions(tied_set(seed=7, items=60, protocol="overlapping"), seed=2, kinds=kinds)
    assert retrieval.exclusions is not None
    rows = range(len(retrieval.gallery_ids))
    expected = [
        sum(left_out(retrieval, query, row) and group == retrieval.gallery_groups[row] != -1 for row in rows)
        for query, group in enumerate(retrieval.query_groups)
    ]
    counts = retrieval.exclusions.counts(retrieval.query_groups, retrieval.gallery_groups)
    assert counts.tolist() == expected
    assert sum(expected) > 0


def test_neighbours_are_those_that_count() -> None:
    retrieval = with_exclusions(tied_set(seed=3, items=40, protocol="leave-one-out"), seed=3, kinds=(3, 5))
    rows, similarities = nearest_neighbours(
        Ranking.of(
            retrieval.query_embeddings,
            retrieval.gallery_embeddings,
            query_ids=retrieval.query_ids,
            gallery_ids=retrieval.gallery_ids,
            exclusions=retrieval.exclusions,
        ),
        k=40,
    )
    for query in range(40):
        expected = loop_ranking(retrieval, query)
        assert rows[query].tolist() == expected + [-1] * (40 - len(expected))
        assert np.isnan(similarities[query]).tolist() == [False] * len(expected) + [True] * (40 - len(expected))


def test_ndcg_equals_a_plain_loop() -> None:
    retrieval, graded = tied_graded(seed=5, items=60, protocol="overlapping")
    retrieval = with_exclusions(retrieval, seed=5, kinds=(4, 8))
    graded = graded_set(retrieval, list(graded.levels))
    expected = {}
    for query in range(len(retrieval.query_ids)):
        gains = [2.0**grade - 1 for grade in loop_grades(retrieval, graded, query)]
        if any(gains):
            ideal = sum(gain * weight for gain, weight in zip(sorted(gains)[::-1], discounts(10), strict=False))
            found = sum(gain * weight for gain, weight in zip(gains, discounts(10), strict=False))
            expected[query] = found / ideal
    scores = score_graded(graded, ks=[10])
    assert scores.query_rows.tolist() == list(expected)
    np.testing.assert_allclose(scores.values["ndcg_at_10"], list(expected.values()), rtol=1e-12)


def test_chance_counts_what_can_be_ranked() -> None:
    retrieval = with_exclusions(tied_set(seed=8, items=50, protocol="overlapping"), seed=8, kinds=(3, 20))
    rankings = [loop_ranking(retrieval, query) for query in range(len(retrieval.query_ids))]
    relevant = [
        sum(group == retrieval.gallery_groups[row] != -1 for row in ranking)
        for group, ranking in zip(retrieval.query_groups, rankings, strict=True)
    ]
    rows = [query for query, count in enumerate(relevant) if count]
    expected = expected_values(
        np.array([relevant[row] for row in rows]),
        np.array([len(rankings[row]) for row in rows]),
        recall_ks=KS,
        precision_ks=KS,
    )
    found = chance_scores(
        RelevanceCodes(
            query_ids=retrieval.query_ids,
            gallery_ids=retrieval.gallery_ids,
            query_groups=retrieval.query_groups,
            gallery_groups=retrieval.gallery_groups,
            exclusions=retrieval.exclusions,
        ),
        recall_ks=KS,
        precision_ks=KS,
    )
    assert found.query_rows.tolist() == rows
    for name, values in expected.items():
        np.testing.assert_allclose(found.values[name], values, rtol=1e-12)


def test_thresholds_are_of_pairs_that_count() -> None:
    retrieval = with_exclusions(tied_set(seed=2, items=60, protocol="leave-one-out"), seed=2, kinds=(4,))
    settings = ThresholdSettings(
        precisions=[0.5],
        neighbours=5,
        minimum_errors=1,
        maximum_queries=100,
        bins=20,
        bootstrap=BootstrapSettings(draws=50, confidence=0.9, seed=0),
    )
    found = similarity_thresholds(retrieval, np.arange(60), settings=settings)
    asking = [query for query in range(60) if retrieval.query_groups[query] != -1]
    rankings = {query: loop_ranking(retrieval, query) for query in asking}
    shown = [retrieval.gallery_groups[row] == retrieval.query_groups[q] for q in asking for row in rankings[q][:5]]
    assert (found.positives, found.negatives) == (sum(shown), len(shown) - sum(shown))
    pairs = found.all_pairs
    assert sum(pairs.positives) + sum(pairs.negatives) == sum(map(len, rankings.values()))


def test_a_column_that_leaves_nothing_out_is_dropped() -> None:
    codes = np.array([[0, 5, -1], [1, 5, -1], [2, -1, 3], [3, -1, -1]])
    kept = exclusions_of(codes, queries=np.array([0, 1, 2]), gallery=np.array([0, 1, 3]))
    assert kept.query_codes.tolist() == [[5], [5], [-1]]
    assert kept.gallery_codes.tolist() == [[5], [5], [-1]]


def test_a_query_outside_the_gallery_does_not_leave_itself_out() -> None:
    codes = np.array([[0], [0]])
    both = exclusions_of(codes, queries=np.array([0]), gallery=np.array([1]))
    assert both.query_codes.tolist() == [[0]]
    assert exclusions_of(codes, queries=np.array([0]), gallery=np.array([0])).query_codes.shape == (1, 0)


@pytest.mark.parametrize(
    ("queries", "gallery", "message"),
    [
        ((2, 1), (3, 1), "query_codes has shape (2, 1), but query_ids has 3"),
        ((3, 1), (2, 1), "gallery_codes has shape (2, 1), but gallery_ids has 3"),
        ((3, 1), (3, 2), "query_codes has 1 columns, but gallery_codes has 2"),
    ],
)
def test_sizes_that_differ_are_refused(queries: tuple[int, int], gallery: tuple[int, int], message: str) -> None:
    wrong = Exclusions(query_codes=np.zeros(queries, dtype=np.int64), gallery_codes=np.zeros(gallery, dtype=np.int64))
    with pytest.raises(ValueError, match=re.escape(message)):
        nearest_neighbours(
            Ranking.of(torch.eye(3), torch.eye(3), query_ids="abc", gallery_ids="abc", exclusions=wrong), k=1
        )


def test_a_shop_whose_every_pair_is_a_near_copy_has_nothing_to_find() -> None:
    retrieval = retrieval_set(torch.eye(4), [0, 0, 1, 1])
    codes = np.array([[0], [0], [1], [1]])
    with pytest.raises(ValueError, match="none of 4 queries has a relevant item"):
        score_queries(
            type(retrieval)(**{**vars(retrieval), "exclusions": Exclusions(query_codes=codes, gallery_codes=codes)})
        )

"""Relevance by pairs: masks, counts, metrics and thresholds equal those of plain loops."""

from dataclasses import replace

import numpy as np
import pytest
from tied_retrieval import KS, left_out, loop_ranking, tied_set, with_exclusions

from simtrain.evaluation.chance import chance_scores
from simtrain.evaluation.judged_pairs import JudgedPairs
from simtrain.evaluation.metrics import score_queries
from simtrain.evaluation.retrieval_set import RelevanceCodes, RetrievalSet
from simtrain.evaluation.statistics import BootstrapSettings
from simtrain.evaluation.thresholds import ThresholdSettings, similarity_thresholds


def judged_set(*, seed: int, protocol: str, share: float = 0.15) -> tuple[RetrievalSet, set[tuple[int, int]]]:
    """A set full of ties with random pairs that no grouping could give, and the pairs."""
    retrieval = with_exclusions(tied_set(seed=seed, items=36, protocol=protocol), seed=seed, kinds=(9,))
    queries, gallery = len(retrieval.query_ids), len(retrieval.gallery_ids)
    generator = np.random.default_rng(seed)
    drawn = generator.random((queries, gallery)) < share * generator.random((queries, 1)) * 2
    drawn[0] = False  # a query without any
    rows, columns = np.nonzero(drawn)
    order = generator.permutation(len(rows))
    pairs = JudgedPairs.of(np.concatenate([rows[order], rows[:3]]), np.concatenate([columns[order], columns[:3]]))
    retrieval = replace(
        retrieval,
        query_groups=np.zeros(queries, dtype=np.int64),  # codes that would make everything relevant
        gallery_groups=np.zeros(gallery, dtype=np.int64),
        judged=pairs,
    )
    return retrieval, set(zip(rows.tolist(), columns.tolist(), strict=True))


def loop_metrics(retrieval: RetrievalSet, pairs: set[tuple[int, int]]) -> dict[int, dict[str, float]]:
    """Metrics by their definitions, from sorting every query's gallery."""
    found = {}
    for query in range(len(retrieval.query_ids)):
        hits = [(query, row) in pairs for row in loop_ranking(retrieval, query)]
        relevant = sum(hits)
        if relevant == 0:
            continue
        precisions = [sum(hits[: rank + 1]) / (rank + 1) * hits[rank] for rank in range(relevant)]
        found[query] = {
            **{f"recall_at_{k}": float(any(hits[:k])) for k in KS},
            **{f"precision_at_{k}": sum(hits[:k]) / k for k in KS},
            "r_precision": sum(hits[:relevant]) / relevant,
            "map_at_r": sum(precisions) / relevant,
            "mrr": 1 / (1 + hits.index(True)),
        }
    return found


@pytest.mark.parametrize("protocol", ["leave-one-out", "overlapping"])
@pytest.mark.parametrize("seed", range(6))
def test_metrics_equal_a_loop_on_ties(seed: int, protocol: str) -> None:
    retrieval, pairs = judged_set(seed=seed, protocol=protocol)
    expected = loop_metrics(retrieval, pairs)
    for elements in (1, 100, 2**20):
        scores = score_queries(retrieval, recall_ks=KS, precision_ks=KS, chunk_elements=elements)
        assert scores.query_rows.tolist() == sorted(expected)
        assert scores.lone_queries == len(retrieval.query_ids) - len(expected)
        for name, values in scores.values.items():
            wanted = [expected[row][name] for row in sorted(expected)]
            np.testing.assert_allclose(values, wanted, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("seed", range(3))
def test_pairs_hold_counts_and_part_equal_loops(seed: int) -> None:
    retrieval, pairs = judged_set(seed=seed, protocol="overlapping")
    assert retrieval.judged is not None
    queries, gallery = len(retrieval.query_ids), len(retrieval.gallery_ids)
    everything = [[(query, row) in pairs for row in range(gallery)] for query in range(queries)]
    chosen = np.array([5, 0, 7, queries - 1])
    found = retrieval.judged.of_queries(chosen)
    assert np.transpose(found).tolist() == [
        [position, row] for position, query in enumerate(chosen) for row in range(gallery) if everything[query][row]
    ]
    rows, columns = (axis.ravel() for axis in np.mgrid[:queries, :gallery])
    assert retrieval.judged.hold(rows, columns).tolist() == [held for row in everything for held in row]
    own = np.array(
        [dict(zip(retrieval.gallery_ids, range(gallery), strict=True)).get(i, -1) for i in retrieval.query_ids]
    )
    counted = [
        sum(
            (query, row) in pairs and row != own[query] and not left_out(retrieval, query, row)
            for row in range(gallery)
        )
        for query in range(queries)
    ]
    assert retrieval.judged.counts(own_columns=own, exclusions=retrieval.exclusions).tolist() == counted
    asked, kept = np.array([9, 3, 0]), np.array([8, 1, 4, 2])
    part = retrieval.judged.among(asked, kept)
    assert set(zip(part.queries.tolist(), part.items.tolist(), strict=True)) == {
        (q, g) for q in range(3) for g in range(4) if (int(asked[q]), int(kept[g])) in pairs
    }


def test_no_pairs_at_all() -> None:
    empty = JudgedPairs.of(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    assert empty.counts(own_columns=np.array([-1, 0])).tolist() == [0, 0]
    assert [len(part) for part in empty.of_queries(np.array([0, 1]))] == [0, 0]
    assert not empty.hold(np.array([0]), np.array([2])).any()
    assert len(empty.among(np.array([1]), np.array([0, 2])).queries) == 0


def test_chance_is_the_mean_over_random_orders() -> None:
    retrieval, pairs = judged_set(seed=1, protocol="overlapping", share=0.3)
    codes = RelevanceCodes(
        query_ids=retrieval.query_ids,
        gallery_ids=retrieval.gallery_ids,
        query_groups=retrieval.query_groups,
        gallery_groups=retrieval.gallery_groups,
        exclusions=retrieval.exclusions,
        judged=retrieval.judged,
    )
    chance = chance_scores(codes, recall_ks=(1, 5), precision_ks=(5,))
    for place, query in enumerate(chance.query_rows.tolist()):
        ranked = loop_ranking(retrieval, query)
        relevant = sum((query, row) in pairs for row in ranked)
        assert chance.values["recall_at_1"][place] == pytest.approx(relevant / len(ranked))
        assert chance.values["r_precision"][place] == pytest.approx(relevant / len(ranked))


def test_thresholds_count_the_judged_pairs() -> None:
    retrieval, pairs = judged_set(seed=2, protocol="overlapping")
    settings = ThresholdSettings(
        precisions=[0.5],
        neighbours=4,
        minimum_errors=1,
        maximum_queries=1000,
        bins=20,
        bootstrap=BootstrapSettings(draws=100, confidence=0.9, seed=0),
    )
    found = similarity_thresholds(retrieval, np.arange(len(retrieval.query_ids)), settings=settings)
    rankings = [loop_ranking(retrieval, query) for query in range(len(retrieval.query_ids))]
    assert found.positives == sum((query, row) in pairs for query, rows in enumerate(rankings) for row in rows[:4])
    assert found.negatives == sum(len(rows[:4]) for rows in rankings) - found.positives
    assert sum(found.all_pairs.positives) == sum(
        (query, row) in pairs for query, rows in enumerate(rankings) for row in rows
    )

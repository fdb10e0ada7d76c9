"""Computed chance against every order there is, against draws, and against an encoder that knows nothing."""

from itertools import permutations
from math import comb

import numpy as np
import pytest
import torch
from tied_retrieval import retrieval_set, tied_set

from simtrain.evaluation.chance import chance_graded, chance_scores, expected_values
from simtrain.evaluation.graded import GradedSet, Level, score_graded
from simtrain.evaluation.metrics import ranked_relevance_metrics, score_queries
from simtrain.evaluation.retrieval_set import RelevanceCodes, RetrievalSet

KS = (1, 2, 5, 10)


@pytest.mark.parametrize(("count", "size"), [(1, 1), (1, 5), (2, 5), (3, 7), (6, 7), (7, 7)])
def test_expected_values_are_the_mean_over_every_placement(count: int, size: int) -> None:
    orders = np.array(sorted(set(permutations([True] * count + [False] * (size - count)))))
    assert len(orders) == comb(size, count)
    counts = torch.full((len(orders),), count)
    means = {
        name: float(values.mean())
        for name, values in ranked_relevance_metrics(
            torch.from_numpy(orders), counts, recall_ks=KS, precision_ks=KS
        ).items()
    }
    means["mrr"] = float((1 / (orders.argmax(axis=1) + 1)).mean())
    expected = expected_values(np.array([count]), np.array([size]), recall_ks=KS, precision_ks=KS)
    assert {name: float(value) for name, [value] in expected.items()} == pytest.approx(means)


def test_expected_values_are_met_by_random_rankings_of_a_large_gallery() -> None:
    counts, sizes, draws = np.array([3, 40, 700]), np.array([900, 900, 1000]), 3000
    expected = expected_values(counts, sizes, recall_ks=KS, precision_ks=KS)
    generator = np.random.default_rng(0)
    for place, (count, size) in enumerate(zip(counts, sizes, strict=True)):
        orders = generator.permuted(np.tile(np.arange(size) < count, (draws, 1)), axis=1)
        found = ranked_relevance_metrics(
            torch.from_numpy(orders), torch.full((draws,), int(count)), recall_ks=KS, precision_ks=KS
        )
        found["mrr"] = torch.from_numpy(1 / (orders.argmax(axis=1) + 1))
        for name, values in found.items():
            four_errors = 4 * max(float(values.std()), 1e-3) / draws**0.5
            assert float(values.mean()) == pytest.approx(expected[name][place], abs=four_errors), name


def test_a_collapsed_encoder_scores_chance() -> None:
    """Over all orders of the ids, which decide where all similarities are equal."""
    groups = [0, 0, 0, 1, 1, 2]
    found: dict[str, list[float]] = {}
    orders = list(permutations("abcdef"))
    for ids in orders:
        collapsed = retrieval_set(torch.eye(3)[[0] * 6], groups, ids=ids)
        for name, mean in score_queries(collapsed, recall_ks=[1, 2], precision_ks=[1, 2, 10]).means().items():
            found.setdefault(name, []).append(mean)
    chance = chance_scores(
        RelevanceCodes(
            query_ids=orders[0], gallery_ids=orders[0], query_groups=np.array(groups), gallery_groups=np.array(groups)
        ),
        recall_ks=[1, 2],
        precision_ks=[1, 2, 10],
    )
    assert chance.query_rows.tolist() == [0, 1, 2, 3, 4]
    assert chance.lone_queries == 1
    assert chance.means() == pytest.approx({name: np.mean(means) for name, means in found.items()})


def test_a_collapsed_encoder_scores_chance_at_graded_relevance() -> None:
    product, category = np.array([0, 0, 1, 1, 2, -1]), np.array([0, 0, 0, 1, 1, -1])
    levels = [Level(query_groups=codes, gallery_groups=codes) for codes in (product, category)]
    found: dict[str, list[float]] = {}
    orders = list(permutations("abcdef"))
    for ids in orders:
        same = torch.eye(3)[[0] * 6]
        graded = GradedSet(
            query_embeddings=same, gallery_embeddings=same, query_ids=ids, gallery_ids=ids, levels=levels
        )
        for name, mean in score_graded(graded, ks=[1, 3, 10]).means().items():
            found.setdefault(name, []).append(mean)
    chance = chance_graded(query_ids=orders[0], gallery_ids=orders[0], levels=levels, ks=[1, 3, 10])
    assert chance.lone_queries == 1
    assert chance.means() == pytest.approx({name: np.mean(means) for name, means in found.items()})


def chance_of(retrieval: RetrievalSet) -> dict[str, float]:
    return chance_scores(
        RelevanceCodes(
            query_ids=retrieval.query_ids,
            gallery_ids=retrieval.gallery_ids,
            query_groups=retrieval.query_groups,
            gallery_groups=retrieval.gallery_groups,
        ),
        recall_ks=[1, 5],
        precision_ks=[5],
    ).means()


@pytest.mark.parametrize("protocol", ["leave-one-out", "overlapping"])
def test_chance_has_the_rows_and_names_of_the_scores(protocol: str) -> None:
    retrieval = tied_set(seed=1, items=60, protocol=protocol)
    scores = score_queries(retrieval, recall_ks=[1, 5], precision_ks=[5])
    chance = chance_scores(
        RelevanceCodes(
            query_ids=retrieval.query_ids,
            gallery_ids=retrieval.gallery_ids,
            query_groups=retrieval.query_groups,
            gallery_groups=retrieval.gallery_groups,
        ),
        recall_ks=[1, 5],
        precision_ks=[5],
    )
    assert chance.query_rows.tolist() == scores.query_rows.tolist()
    assert chance.lone_queries == scores.lone_queries
    assert set(chance.values) == set(scores.values)


def test_a_query_in_the_gallery_is_not_among_what_is_ranked() -> None:
    embeddings, groups = torch.eye(4), [0, 0, 1, 1]
    within = retrieval_set(embeddings, groups)
    assert chance_of(within)["recall_at_1"] == pytest.approx(1 / 3)
    apart = retrieval_set(embeddings, groups, queries=slice(0, 1), gallery=slice(1, 4))
    assert chance_of(apart)["recall_at_1"] == pytest.approx(1 / 3)


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"^a query has 4 relevant items; allowed: 1 to the 3 ranked$"):
        expected_values(np.array([1, 4]), np.array([3, 3]), recall_ks=[1], precision_ks=[])
    with pytest.raises(ValueError, match=r"^recall_ks is \[0\]; allowed: one or more numbers of 1 or more$"):
        expected_values(np.array([1]), np.array([3]), recall_ks=[0], precision_ks=[])
    with pytest.raises(ValueError, match=r"^none of 2 queries has a relevant item in the gallery of 2$"):
        chance_of(retrieval_set(torch.eye(2), [0, 1]))

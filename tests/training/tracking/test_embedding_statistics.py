"""How embeddings lie on the sphere, against loops and closed forms."""

# Shapes: N embeddings, D features.

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from simtrain.training.tracking.embedding_statistics import (
    HISTOGRAM_EDGES,
    MOST_ROWS,
    EmbeddingStatistics,
    effective_rank,
    embedding_statistics,
    histograms,
    representative_rows,
)


def unit_noise(rows: int, size: int, *, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(rows, size, generator=torch.Generator().manual_seed(seed)), dim=1)


def pairs(embeddings: Tensor, groups: list[int], *, alike: bool) -> list[float]:
    """Cosines of the pairs of one group, or of two, by a loop."""
    return [
        float(embeddings[i].double() @ embeddings[j].double())
        for i in range(len(groups))
        for j in range(i)
        if (groups[i] == groups[j]) == alike
    ]


GROUPS = [0, 1, 2, 0, 1, 2, 2, 3, 3, 0]


@pytest.fixture
def noise() -> Tensor:
    return unit_noise(10, 6)


@pytest.fixture
def found(noise: Tensor) -> EmbeddingStatistics:
    return embedding_statistics(noise, torch.tensor(GROUPS))


@pytest.mark.parametrize(("kind", "alike"), [("positive", True), ("negative", False)])
def test_similarities_of_both_kinds_of_pairs(noise: Tensor, found: EmbeddingStatistics, kind: str, alike: bool) -> None:
    expected = torch.tensor(pairs(noise, GROUPS, alike=alike), dtype=torch.float64)
    distribution = getattr(found, kind)
    assert distribution.mean == pytest.approx(float(expected.mean()), abs=1e-6)
    assert distribution.std == pytest.approx(float(expected.std(correction=0)), abs=1e-6)
    quantiles = torch.quantile(expected, torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)).tolist()
    assert [distribution.low, distribution.median, distribution.high] == pytest.approx(quantiles, abs=1e-6)


def test_histogram_counts_every_pair_in_its_bin(noise: Tensor, found: EmbeddingStatistics) -> None:
    counted = [0] * 50
    for similarity in pairs(noise, GROUPS, alike=False):
        counted[math.floor((similarity + 1) / 0.04)] += 1
    assert histograms(found)["negative_similarity"] == tuple(counted)


def test_histogram_has_fifty_bins_from_minus_one_to_one() -> None:
    assert (len(HISTOGRAM_EDGES), HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[25], HISTOGRAM_EDGES[-1]) == (51, -1, 0, 1)


def test_a_similarity_of_one_is_in_the_last_bin() -> None:
    same = F.normalize(torch.ones(3, 7), dim=1)
    assert histograms(embedding_statistics(same, torch.zeros(3)))["positive_similarity"][-1] == 3


def test_alignment_is_the_mean_squared_distance_of_positives(noise: Tensor, found: EmbeddingStatistics) -> None:
    distances = [
        float((noise[i] - noise[j]).double().square().sum())
        for i in range(10)
        for j in range(i)
        if GROUPS[i] == GROUPS[j]
    ]
    assert found.alignment == pytest.approx(np.mean(distances), abs=1e-5)


def test_uniformity_as_its_authors_compute_it(noise: Tensor, found: EmbeddingStatistics) -> None:
    expected = torch.pdist(noise.double()).pow(2).mul(-2).exp().mean().log()
    assert found.uniformity == pytest.approx(float(expected), abs=1e-5)


def test_rank_of_equal_singular_values_is_their_number() -> None:
    assert effective_rank(torch.eye(5).repeat(4, 1)) == pytest.approx(5)


def test_rank_against_a_singular_value_decomposition() -> None:
    matrix = unit_noise(7, 30) * torch.linspace(1, 0.01, 30)
    shares = np.linalg.svd(matrix.double().numpy(), compute_uv=False)
    shares = shares / shares.sum()
    assert effective_rank(matrix) == pytest.approx(math.exp(-(shares * np.log(shares)).sum()), rel=1e-6)


def test_rank_of_one_point_is_one() -> None:
    assert effective_rank(F.normalize(torch.ones(300, 256), dim=1)) == pytest.approx(1, abs=1e-3)


def test_two_antipodal_classes_have_rank_one() -> None:
    point = unit_noise(1, 16)
    assert effective_rank(torch.cat([point, -point] * 8)) == pytest.approx(1, abs=1e-3)


def test_rank_of_a_simplex_of_classes_is_one_less_than_their_number() -> None:
    simplex = F.normalize(torch.eye(6) - 1 / 6, dim=1)
    assert effective_rank(simplex.repeat(3, 1)) == pytest.approx(5, abs=1e-3)


def test_spread_is_one_for_embeddings_all_over_the_sphere() -> None:
    assert embedding_statistics(unit_noise(2000, 64), torch.arange(2000)).spread == pytest.approx(1, abs=0.01)


def test_spread_by_dimension(noise: Tensor, found: EmbeddingStatistics) -> None:
    assert found.spread == pytest.approx(np.std(noise.double().numpy(), axis=0).mean() * math.sqrt(6), abs=1e-6)


def test_mean_similarity_leaves_each_with_itself_out(noise: Tensor, found: EmbeddingStatistics) -> None:
    every = pairs(noise, GROUPS, alike=True) + pairs(noise, GROUPS, alike=False)
    assert found.mean_similarity == pytest.approx(np.mean(every), abs=1e-6)


def test_without_a_positive_pair_there_are_no_figures_of_it(noise: Tensor) -> None:
    found = embedding_statistics(noise, torch.arange(10))
    assert (found.positive, found.alignment, list(histograms(found))) == (None, None, ["negative_similarity"])
    assert not [name for name in found.figures() if name.startswith("positive") or name == "alignment"]


def test_figures_by_name(found: EmbeddingStatistics) -> None:
    kinds = [
        f"{kind}_similarity_{of}" for kind in ("positive", "negative") for of in ("mean", "std", "p05", "p50", "p95")
    ]
    rest = ["alignment", "uniformity", "effective_rank", "spread", "mean_similarity"]
    assert list(found.figures()) == kinds + rest


def test_one_row_has_no_pairs() -> None:
    with pytest.raises(ValueError, match=r"^embeddings: 1 row; statistics of pairs need 2$"):
        embedding_statistics(unit_noise(1, 4), torch.zeros(1))


def test_a_large_batch_is_thinned_by_whole_pairs_of_every_group() -> None:
    groups = np.arange(100).repeat(2)[np.random.default_rng(0).permutation(200)]
    rows = representative_rows(groups, most=60)
    assert sorted(np.bincount(groups[rows], minlength=100)) == [0] * 70 + [2] * 30


def test_thinning_takes_every_group_before_it_takes_more_of_one() -> None:
    groups = np.array([5] * 50 + [9] * 50 + [2] * 2)
    rows = representative_rows(groups, most=12)
    assert {int(group): int((groups[rows] == group).sum()) for group in (5, 9, 2)} == {5: 6, 9: 4, 2: 2}


def test_statistics_of_a_large_batch_are_those_of_the_thinned_one() -> None:
    embeddings, groups = unit_noise(2 * MOST_ROWS, 8), torch.arange(MOST_ROWS).repeat(2)
    rows = torch.from_numpy(representative_rows(groups.numpy(), most=MOST_ROWS))
    assert len(rows) == MOST_ROWS
    assert embedding_statistics(embeddings, groups) == embedding_statistics(embeddings[rows], groups[rows])

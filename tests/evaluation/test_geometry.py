"""Geometry against plain loops over pairs, known shapes, and the statistics of training."""

from math import exp, log

import numpy as np
import pytest
import torch
from torch import Tensor

from simtrain.evaluation.geometry import (
    alignment_of,
    geometry,
    mean_similarity,
    partition_isotropy,
    uniformity_of,
)
from simtrain.training.tracking.embedding_statistics import embedding_statistics

GROUPS = np.array([0, 0, 0, 1, 1, 2, -1, -1, 3, 3], dtype=np.int64)


def unit(rows: int, features: int, *, seed: int, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, features, generator=generator) + shift, dim=1)


def test_mean_similarity_and_uniformity_equal_a_loop_over_pairs() -> None:
    vectors = unit(10, 4, seed=0, shift=0.5)
    products = [float(vectors[i] @ vectors[j]) for i in range(10) for j in range(i)]
    assert mean_similarity(vectors) == pytest.approx(np.mean(products), abs=1e-6)
    assert uniformity_of(vectors) == pytest.approx(log(np.mean([exp(-2 * (2 - 2 * s)) for s in products])), abs=1e-5)


def test_alignment_equals_a_loop_over_pairs_of_a_group() -> None:
    vectors = unit(10, 4, seed=1)
    pairs = [(0, 1), (0, 2), (1, 2), (3, 4), (8, 9)]
    expected = np.mean([float((vectors[i] - vectors[j]).square().sum()) for i, j in pairs])
    assert alignment_of(vectors, GROUPS) == pytest.approx(expected, abs=1e-6)


def test_alignment_is_none_without_a_pair() -> None:
    assert alignment_of(unit(3, 4, seed=1), np.array([-1, -1, 0])) is None


def test_uniformity_does_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = unit(40, 8, seed=2)
    whole = uniformity_of(vectors)
    monkeypatch.setattr("simtrain.evaluation.geometry._BLOCK_ELEMENTS", 40 * 7)
    assert uniformity_of(vectors) == pytest.approx(whole, abs=1e-6)


def test_figures_equal_those_of_training_where_both_see_all_rows() -> None:
    vectors, groups = unit(60, 16, seed=3, shift=0.2), np.arange(60, dtype=np.int64) % 13
    ours = geometry(vectors, groups, most_rows=60, seed=0)
    theirs = embedding_statistics(vectors, torch.from_numpy(groups))
    assert ours.mean_similarity == pytest.approx(theirs.mean_similarity, abs=1e-6)
    assert ours.uniformity == pytest.approx(theirs.uniformity, abs=1e-6)
    assert ours.alignment == pytest.approx(theirs.alignment, abs=1e-6)
    assert ours.effective_rank == pytest.approx(theirs.effective_rank)


def test_effective_rank_counts_the_directions_of_equal_use() -> None:
    found = geometry(torch.eye(12)[[0, 1, 2, 3, 4] * 4], np.zeros(20, dtype=np.int64), most_rows=20, seed=0)
    assert found.effective_rank == pytest.approx(5)


def test_a_collapsed_space_has_the_ends_of_the_ranges() -> None:
    found = geometry(torch.eye(6)[[2] * 9], np.zeros(9, dtype=np.int64), most_rows=100, seed=0)
    assert found.mean_similarity == pytest.approx(1)
    assert found.isotropy == pytest.approx(exp(-2))
    assert found.effective_rank == pytest.approx(1, abs=1e-4)
    assert found.uniformity == pytest.approx(0)
    assert found.alignment == pytest.approx(0)


def test_axes_in_both_senses_are_isotropic() -> None:
    assert partition_isotropy(torch.cat([torch.eye(5), -torch.eye(5)])) == pytest.approx(1)


def test_isotropy_of_one_preferred_direction_is_arithmetic() -> None:
    vectors = torch.eye(3)[[0, 0, 0, 1]]
    # Z along the first axis: 3e + 1, against it: 3/e + 1; along the second: e + 3, 1/e + 3; along the third: 4.
    assert partition_isotropy(vectors) == pytest.approx((3 / exp(1) + 1) / (3 * exp(1) + 1))


def test_isotropy_of_few_rows_is_that_of_all_directions() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(6, 11, generator=torch.Generator().manual_seed(0)), dim=1)
    _, _, directions = torch.linalg.svd(vectors.double(), full_matrices=True)
    along = vectors.double() @ directions.T
    sums = torch.cat([along.exp().sum(dim=0), (-along).exp().sum(dim=0)])
    assert partition_isotropy(vectors) == pytest.approx(float(sums.min() / sums.max()))


def test_isotropy_does_not_depend_on_the_sense_of_the_axes() -> None:
    vectors = unit(50, 6, seed=4, shift=0.3)
    assert partition_isotropy(vectors) == pytest.approx(partition_isotropy(-vectors))


def test_a_sample_is_the_same_each_time_and_told() -> None:
    vectors, groups = unit(300, 8, seed=5), np.arange(300, dtype=np.int64) % 40
    first = geometry(vectors, groups, most_rows=100, seed=1)
    assert first == geometry(vectors, groups, most_rows=100, seed=1)
    assert first.to_dict() == {
        "mean_similarity": pytest.approx(mean_similarity(vectors)),
        "isotropy": first.isotropy,
        "effective_rank": first.effective_rank,
        "uniformity": first.uniformity,
        "alignment": pytest.approx(alignment_of(vectors, groups)),
        "features": 8,
        "rows": 300,
        "sampled_rows": 100,
    }
    assert first.uniformity != geometry(vectors, groups, most_rows=100, seed=2).uniformity


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"^got 1 embeddings and most_rows 5; allowed: 2 or more of each$"):
        geometry(torch.eye(1), np.zeros(1, dtype=np.int64), most_rows=5, seed=0)
    with pytest.raises(ValueError, match=r"^got 2 embeddings and most_rows 1; allowed: 2 or more of each$"):
        geometry(torch.eye(2), np.zeros(2, dtype=np.int64), most_rows=1, seed=0)
    with pytest.raises(ValueError, match=r"^groups has shape \(3,\), but there are 2 embeddings$"):
        geometry(torch.eye(2), np.zeros(3, dtype=np.int64), most_rows=5, seed=0)

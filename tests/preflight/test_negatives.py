"""How many negatives a largest similarity leaves, against a count of all pairs."""

# Shapes: C = 60 images, F = 16.

import pytest
import torch
import torch.nn.functional as F

from simtrain.preflight.negatives import few_negatives

REFERENCE = F.normalize(torch.randn(60, 16, generator=torch.Generator().manual_seed(0)) + 2, dim=1)
ROWS = list(range(0, 60, 2))


def excluded_share(max_similarity: float) -> float:
    similarities = REFERENCE[ROWS] @ REFERENCE[ROWS].T
    others = ~torch.eye(len(ROWS), dtype=torch.bool)
    return float((similarities[others] > max_similarity).float().mean())


def test_bound_below_all_similarities_is_told() -> None:
    found = few_negatives(REFERENCE, ROWS, max_similarity=0.01, batch_size=16)
    assert found is not None
    assert excluded_share(0.01) == 1
    assert found.message.startswith(
        "objective.false_negatives.max_similarity 0.01 leaves 0.0 negatives of the 15 other images of a batch: "
    )


@pytest.mark.parametrize("max_similarity", [0.8, 0.95, 1.0])
def test_bound_that_leaves_negatives_is_not_told(max_similarity: float) -> None:
    assert excluded_share(max_similarity) < 0.9
    assert few_negatives(REFERENCE, ROWS, max_similarity=max_similarity, batch_size=16) is None


def test_one_image_has_no_pairs() -> None:
    assert few_negatives(REFERENCE, [3], max_similarity=0.01, batch_size=16) is None

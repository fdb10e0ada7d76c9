"""Anchors and references, against loops over their labels."""

import pytest
import torch

from simtrain.losses.false_negatives import FalseNegatives
from simtrain.losses.references import with_held, within_batch

LABELS = [0, 1, 0, 2]
HELD_LABELS = [1, 0, 5]
ROWS, HELD_ROWS = [10, 11, 12, 13], [11, 14, 15]


def vectors(count: int, *, seed: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_a_batch_is_compared_with_itself() -> None:
    found = within_batch(vectors(4, seed=0), torch.tensor(LABELS), excluded=None)
    pairs = range(4)
    assert not found.has_memory
    assert found.positives(slice(0, 4)).tolist() == [[a != b and LABELS[a] == LABELS[b] for b in pairs] for a in pairs]
    assert found.negatives(slice(0, 4)).tolist() == [[LABELS[a] != LABELS[b] for b in pairs] for a in pairs]


@pytest.mark.parametrize("rows", [slice(0, 2), slice(1, 4), slice(3, 4)])
def test_some_anchors_have_the_rows_of_all(rows: slice) -> None:
    found = within_batch(vectors(4, seed=0), torch.tensor(LABELS), excluded=None)
    assert torch.equal(found.positives(rows), found.positives(slice(0, 4))[rows])
    assert torch.equal(found.negatives(rows), found.negatives(slice(0, 4))[rows])


def test_what_a_memory_holds_comes_after_the_batch() -> None:
    batch, held = vectors(4, seed=0), vectors(3, seed=1)
    memory = (held, torch.tensor(HELD_LABELS), torch.tensor(HELD_ROWS))
    found = with_held(batch, torch.tensor(LABELS), held=memory, excluded=None)
    labels = LABELS + HELD_LABELS
    assert found.has_memory
    assert torch.equal(found.references, torch.cat([batch, held]))
    assert found.reference_labels.tolist() == labels
    assert found.positives(slice(0, 4)).tolist() == [
        [a != b and LABELS[a] == labels[b] for b in range(7)] for a in range(4)
    ]


def test_pairs_that_are_no_negatives_are_known_of_the_memory_too() -> None:
    """Row 11 is in the batch and in the memory; rows 10 and 14 are copies of one another."""
    groups = torch.full((16,), -1)
    groups[[10, 14]] = 7
    excluded = FalseNegatives(duplicate_groups=groups, reference=None, max_similarity=None).of(torch.tensor(ROWS))
    memory = (vectors(3, seed=1), torch.tensor([8, 8, 8]), torch.tensor(HELD_ROWS))
    found = with_held(vectors(4, seed=0), torch.tensor(LABELS), held=memory, excluded=excluded)
    rows = ROWS + HELD_ROWS
    labels = [*LABELS, 8, 8, 8]
    expected = [
        [labels[a] != labels[b] and rows[a] != rows[b] and {rows[a], rows[b]} != {10, 14} for b in range(7)]
        for a in range(4)
    ]
    assert found.negatives(slice(0, 4)).tolist() == expected

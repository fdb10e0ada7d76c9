"""The cross-batch memory against a list that forgets its oldest entries."""

from collections import deque

import pytest
import torch
from torch import Tensor

from simtrain.losses.memory import CrossBatchMemory


def batch(size: int, *, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels, rows = torch.randint(0, 99, (2, size), generator=generator)
    return torch.randn(size, 3, generator=generator), labels, rows


def entries(memory: CrossBatchMemory) -> set[tuple[float, ...]]:
    embeddings, labels, rows = memory.held()
    return {
        (*e, float(label), float(row))
        for e, label, row in zip(embeddings.tolist(), labels.tolist(), rows.tolist(), strict=True)
    }


@pytest.mark.parametrize("sizes", [[3, 3, 3], [4, 4, 4, 4], [2, 9, 3], [7], [8], [5, 2, 1, 6, 3]])
def test_it_holds_the_latest_embeddings(sizes: list[int]) -> None:
    memory = CrossBatchMemory(size=7, embedding_size=3, start_step=0)
    expected: deque[tuple[float, ...]] = deque(maxlen=7)
    for seed, size in enumerate(sizes):
        embeddings, labels, rows = batch(size, seed=seed)
        memory.store(embeddings, labels, rows)
        expected.extend((*e.tolist(), float(y), float(r)) for e, y, r in zip(embeddings, labels, rows, strict=True))
        assert entries(memory) == set(expected)
        assert len(memory) == len(expected)


def test_it_fills_after_so_many_batches() -> None:
    memory = CrossBatchMemory(size=9, embedding_size=3, start_step=2)
    lengths = []
    for seed in range(4):
        memory.store(*batch(3, seed=seed))
        lengths.append(len(memory))
    assert lengths == [0, 0, 3, 6]


def test_rows_that_nobody_told_are_unknown() -> None:
    memory = CrossBatchMemory(size=4, embedding_size=3, start_step=0)
    embeddings, labels, _ = batch(2, seed=0)
    memory.store(embeddings, labels, None)
    assert memory.held()[2].tolist() == [-1, -1]


def test_entries_carry_no_gradient() -> None:
    memory = CrossBatchMemory(size=4, embedding_size=3, start_step=0)
    embeddings, labels, rows = batch(2, seed=0)
    memory.store(embeddings.requires_grad_(), labels, rows)
    assert not memory.held()[0].requires_grad


@pytest.mark.parametrize("stop", [1, 2, 3, 5])
def test_a_checkpoint_carries_all_of_it(stop: int) -> None:
    straight, first, resumed = (CrossBatchMemory(size=7, embedding_size=3, start_step=1) for _ in range(3))
    for seed in range(6):
        straight.store(*batch(3, seed=seed))
    for seed in range(stop):
        first.store(*batch(3, seed=seed))
    resumed.load_state_dict(first.state_dict())
    for seed in range(stop, 6):
        resumed.store(*batch(3, seed=seed))
    for name, tensor in straight.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor)

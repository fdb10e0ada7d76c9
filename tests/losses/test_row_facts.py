"""Facts by catalogue row: what is found, and where a host waits for its GPU."""

import pytest
import torch
from claimed_cuda import ClaimedGpu, claimed, counted_waits

from simtrain.losses import row_facts
from simtrain.losses.row_facts import RowFacts

ROWS = torch.tensor([2, -1, 0])


@pytest.mark.parametrize(
    ("table", "unknown", "expected"),
    [
        (torch.tensor([5, 6, 7]), -1, torch.tensor([7, -1, 5])),
        (torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).half(), 0, torch.tensor([[5, 6], [0, 0], [1, 2]]).half()),
    ],
)
def test_each_row_has_its_own_and_an_unknown_one_what_was_said(
    table: torch.Tensor, unknown: float, expected: torch.Tensor
) -> None:
    assert torch.equal(RowFacts(table, unknown=unknown).of(ROWS), expected)


@pytest.mark.parametrize(("largest", "waits"), [(24, [True, False, False]), (23, [True, True, True])])
def test_a_table_goes_to_the_gpu_once_if_it_is_small_enough(
    monkeypatch: pytest.MonkeyPatch, largest: int, waits: list[bool]
) -> None:
    monkeypatch.setattr(row_facts, "LARGEST_ON_GPU", largest)
    facts, rows, found = RowFacts(torch.tensor([5, 6, 7]), unknown=-1), claimed(ROWS), []
    for _ in waits:
        with ClaimedGpu(), counted_waits() as counted:
            picked = facts.of(rows)
        found.append(counted.ours.total() + counted.theirs.total())
        assert picked.device == rows.device
        assert torch.equal(picked.held, torch.tensor([7, -1, 5]))
    assert [count > 0 for count in found] == waits

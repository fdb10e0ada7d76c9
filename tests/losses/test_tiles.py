"""Log-sum-exp in tiles, against the whole matrix in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from simtrain.losses.tiles import log_sum_exp_of_others, row_blocks, unit_rows


def embeddings(count: int) -> Tensor:
    return F.normalize(torch.randn(count, 5, generator=torch.Generator().manual_seed(2)), dim=1)


def left_out(row: int, column: int) -> bool:
    """Symmetric, and for row 3 everything."""
    return (row + column) % 7 == 0 or 3 in (row, column)


def leave_out(tile: Tensor, rows: slice, columns: slice) -> None:
    for i, row in enumerate(range(rows.start, rows.stop)):
        for j, column in enumerate(range(columns.start, columns.stop)):
            if left_out(row, column):
                tile[i, j] = -torch.inf


def dense(unit: Tensor, temperature: float) -> Tensor:
    count = len(unit)
    kept = torch.tensor([[a != b and not left_out(a, b) for b in range(count)] for a in range(count)])
    return (unit @ unit.T / temperature).masked_fill(~kept, -torch.inf).logsumexp(dim=1)


@pytest.mark.parametrize("temperature", [0.5, 0.01], ids=["bounded", "not bounded"])
@pytest.mark.parametrize("rows_of_a_tile", [4, 5, 400])
def test_tiles_give_the_sums_and_gradients_of_the_whole_matrix(
    monkeypatch: pytest.MonkeyPatch, temperature: float, rows_of_a_tile: int
) -> None:
    monkeypatch.setattr("simtrain.losses.tiles._ROWS_ON_CPU", rows_of_a_tile)
    unit, exact = (embeddings(13).double().requires_grad_() for _ in range(2))
    found = log_sum_exp_of_others(unit, temperature=temperature, leave_out=leave_out)
    expected = dense(exact, temperature)
    assert found[3].item() == -torch.inf
    torch.testing.assert_close(found, expected)
    weights = torch.linspace(0.5, 2.0, 13, dtype=torch.float64)
    for sums in (found, expected):
        torch.where(sums.isinf(), 0.0, sums * weights).sum().backward()
    assert unit.grad is not None
    torch.testing.assert_close(unit.grad, exact.grad)


def test_blocks_cover_every_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simtrain.losses.tiles._ROWS_ON_CPU", 4)
    blocks = row_blocks(torch.zeros(10, 2))
    assert [row for block in blocks for row in range(10)[block]] == list(range(10))
    assert [block.stop - block.start for block in blocks] == [4, 4, 2]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64, torch.float64)],
)
def test_rows_are_of_unit_length_in_float32_or_more(given: torch.dtype, expected: torch.dtype) -> None:
    found = unit_rows(torch.tensor([[3.0, 4.0], [0.0, 2.0]], dtype=given))
    assert found.dtype == expected
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8], [0.0, 1.0]], dtype=expected), rtol=1e-6, atol=1e-6)

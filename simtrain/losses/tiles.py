"""Log-sum-exp over all pairs of a batch, tile by tile: the N by N matrix of similarities is never held."""

# Shapes: N embeddings, D features, T rows of a tile.

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

LeaveOut = Callable[[Tensor, slice, slice], None]
"""Writes -inf into a (n, m) tile of the matrix, at given rows and columns, where a pair does not count."""

# Small enough for the cache of a core; large enough that an accelerator is not kept waiting for the next tile.
_ROWS_ON_CPU, _ROWS_ELSEWHERE = 384, 4096
# The exponentials of logits from -40 to 40, and their sums, are normal numbers of float32.
_LARGEST_LOGIT = 40.0


def unit_rows(embeddings: Tensor) -> Tensor:
    """(N, D) of any precision -> unit vectors in float32, or in float64 where they came so."""
    return F.normalize(embeddings.to(torch.promote_types(embeddings.dtype, torch.float32)), dim=1)


def row_blocks(embeddings: Tensor) -> list[slice]:
    """The rows of (N, D) in blocks, of which two make a tile of the size that suits their device."""
    rows = _ROWS_ON_CPU if embeddings.device.type == "cpu" else _ROWS_ELSEWHERE
    return [slice(start, min(start + rows, len(embeddings))) for start in range(0, len(embeddings), rows)]


def log_sum_exp_of_others(unit: Tensor, *, temperature: float, leave_out: LeaveOut) -> Tensor:
    """Of each row, the logarithm of the sum of exp(similarity / temperature) over the other rows.

    Forward and backward recompute each tile of the symmetric matrix once, for its rows and its columns: 4·N²·D
    operations and O(N·D + T²) memory. It has no second derivative.

    Args:
        unit: (N, D) unit vectors.
        temperature: Divides the similarities; above 0.
        leave_out: Marks the pairs that do not count; must be symmetric.

    Returns:
        (N,) logarithms; -inf for a row without another that counts.
    """
    sums: Tensor = _LogSumExpOfOthers.apply(unit, temperature, leave_out)
    return sums


class _LogSumExpOfOthers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, unit: Tensor, temperature: float, leave_out: LeaveOut) -> Tensor:
        tiles = _Tiles(unit=unit, temperature=temperature, leave_out=leave_out)
        with torch.autocast(unit.device.type, enabled=False):
            sums = _sums_of_bounded(tiles) if tiles.bounded else _sums_of_any(tiles)
        ctx.save_for_backward(unit, sums)
        ctx.temperature, ctx.leave_out = temperature, leave_out
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, wanted: Tensor) -> tuple[Tensor, None, None]:
        unit, sums = ctx.saved_tensors
        tiles = _Tiles(unit=unit, temperature=ctx.temperature, leave_out=ctx.leave_out)
        with torch.autocast(unit.device.type, enabled=False):
            return _gradient(tiles, sums, wanted), None, None


@dataclass(frozen=True, kw_only=True)
class _Tiles:
    """The upper triangle of the matrix of similarities / temperature."""

    unit: Tensor
    temperature: float
    leave_out: LeaveOut

    @property
    def bounded(self) -> bool:
        """Whether exp() needs no largest logit of the row to be taken off."""
        return 1 / self.temperature < _LARGEST_LOGIT

    def logits(self) -> Iterator[tuple[slice, slice, Tensor]]:
        """Rows, columns and entries of each tile on or above the diagonal; -inf where left out."""
        scaled = self.unit / self.temperature
        blocks = row_blocks(self.unit)
        for place, first in enumerate(blocks):
            for second in blocks[place:]:
                tile = scaled[first] @ self.unit[second].T
                if first == second:
                    tile.fill_diagonal_(-torch.inf)
                self.leave_out(tile, first, second)
                yield first, second, tile


def _sums_of_bounded(tiles: _Tiles) -> Tensor:
    sums = tiles.unit.new_zeros(len(tiles.unit))
    for first, second, tile in tiles.logits():
        weights = tile.exp_()
        sums[first] += weights.sum(dim=1)
        if first != second:
            sums[second] += weights.sum(dim=0)
    return sums.log()


def _sums_of_any(tiles: _Tiles) -> Tensor:
    sums = tiles.unit.new_full((len(tiles.unit),), -torch.inf)
    for first, second, tile in tiles.logits():
        sums[first] = torch.logaddexp(sums[first], tile.logsumexp(dim=1))
        if first != second:
            sums[second] = torch.logaddexp(sums[second], tile.logsumexp(dim=0))
    return sums


def _gradient(tiles: _Tiles, sums: Tensor, wanted: Tensor) -> Tensor:
    """Of row i: the sum over j of (p_ij·wanted_i + p_ji·wanted_j)·unit_j / temperature, p the softmax of a row."""
    alone = sums == -torch.inf
    wanted, sums = wanted.masked_fill(alone, 0), sums.masked_fill(alone, 0)
    scale = wanted * (-sums).exp() if tiles.bounded else wanted
    found = torch.zeros_like(tiles.unit)
    for first, second, tile in tiles.logits():
        if tiles.bounded:
            weights = tile.exp_().mul_(scale[first, None] + scale[second])
        else:
            weights = (tile - sums[first, None]).exp_().mul_(scale[first, None])
            weights += tile.sub_(sums[second]).exp_().mul_(scale[second])
        found[first].addmm_(weights, tiles.unit[second], alpha=1 / tiles.temperature)
        if first != second:
            found[second].addmm_(weights.T, tiles.unit[first], alpha=1 / tiles.temperature)
    return found

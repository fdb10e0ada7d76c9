"""Relational distillation: the student's similarities within a batch follow those of a teacher.

What is taught is how images relate to each other, not where they are: teacher and student may have different
dimensions. Relational knowledge distillation (RKD, https://arxiv.org/abs/1904.05068) names the family;
similarity-preserving distillation (SP, https://arxiv.org/abs/1907.09682) compares the similarity matrices of a batch,
row by row; PKT (https://arxiv.org/abs/1803.10837) turns the rows into probabilities and compares them by the
Kullback-Leibler divergence; CompRess (https://arxiv.org/abs/2010.14713) and SEED (https://arxiv.org/abs/2101.04731)
take a softmax at a temperature for these probabilities, over a queue of images where this loss takes the batch.
"""

# Shapes: N embeddings of a batch, D features of the student, F of the teacher, n rows of a block.

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from simtrain.losses.tiles import unit_rows

_ENTRIES_AT_ONCE = 2**22  # of a block of the matrix of similarities


def relational_distillation_loss(
    embeddings: Tensor, teacher: Tensor, *, temperature: float = 0.1, left_out: Sequence[Tensor] = ()
) -> Tensor:
    """Mean over the rows i of KL(softmax_j(t_i·t_j / T) || softmax_j(s_i·s_j / T)), j over the pairs of i.

    Rows are paired with all others but those that `left_out` names. A row that is paired with none teaches nothing and
    does not count in the mean; one that is paired with one other counts, and costs 0. Computed in float32 at least; the
    N by N matrix is held in blocks of rows. It has no second derivative.

    Args:
        embeddings: (N, D) of the student; need not be of unit length.
        teacher: (N, F) of the same images by the teacher; need not be of unit length. Without gradient.
        temperature: T, divides the cosine similarities of both; above 0.
        left_out: (N,) int64 numbers each, such as products or copies of one picture: two rows with the same number, 0
            or more, are no pair.

    Returns:
        Scalar; 0 or more, but for rounding. Where no row is paired with another it is 0, and so is its gradient.

    Raises:
        ValueError: for numbers of rows that differ, or a temperature that is not above 0.

    Example:
        >>> teacher, student = torch.eye(3), torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> loss = relational_distillation_loss(student, teacher, temperature=1.0, left_out=[])
        >>> round(loss.item(), 4)  # 2 / 3 of log((1 + e) / 2) - 1 / 2: the third finds both others alike, as it should
        0.0801
    """
    counts = {len(embeddings), len(teacher), *(len(numbers) for numbers in left_out)}
    if len(counts) > 1:
        raise ValueError(
            f"teacher: got {len(teacher)} rows for {len(embeddings)} embeddings, and left_out "
            f"{[len(numbers) for numbers in left_out]}; must be as many"
        )
    if not temperature > 0:
        raise ValueError(f"temperature: got {temperature}; must be above 0")
    with torch.autocast(embeddings.device.type, enabled=False):
        student = unit_rows(embeddings)
        reference = unit_rows(teacher.detach()).to(student.dtype)
        loss: Tensor = _MeanDivergence.apply(student, reference, temperature, left_out)
    return loss


class _MeanDivergence(torch.autograd.Function):
    """The gradient is made with the loss: both need the same two matrices, which are then let go."""

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, temperature: float, left_out: Sequence[Tensor]) -> Tensor:
        with torch.autocast(student.device.type, enabled=False):
            total, gradient, rows = student.new_zeros(()), torch.zeros_like(student), student.new_zeros(())
            for block in _row_blocks(len(student)):
                unpaired = _unpaired(block, count=len(student), left_out=left_out, device=student.device)
                told = _log_shares(teacher, block, unpaired, temperature=temperature)
                found = _log_shares(student, block, unpaired, temperature=temperature)
                shares = told.exp()
                total += (shares * (told - found)).masked_fill_(unpaired, 0).sum()
                rows += (~unpaired).any(dim=1).sum()
                # Of row i's divergence by s_i·s_j: (softmax of the student - softmax of the teacher) / T.
                slopes = (found.exp_() - shares).masked_fill_(unpaired, 0)
                gradient[block] += slopes @ student
                gradient += slopes.T @ student[block]
            counted = rows.clamp(min=1)
            ctx.save_for_backward(gradient / (temperature * counted))
            return total / counted

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, wanted: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return wanted * gradient, None, None, None


def _row_blocks(count: int) -> list[slice]:
    rows = max(1, _ENTRIES_AT_ONCE // max(1, count))
    return [slice(start, min(start + rows, count)) for start in range(0, count, rows)]


def _unpaired(block: slice, *, count: int, left_out: Sequence[Tensor], device: torch.device) -> Tensor:
    """(n, N) bool, True where two rows are no pair: the row itself, and what shares a number with it."""
    places = torch.arange(count, device=device)
    found = places[block, None] == places
    for numbers in left_out:
        found |= (numbers[block, None] == numbers) & (numbers[block, None] >= 0)
    return found


def _log_shares(unit: Tensor, block: slice, unpaired: Tensor, *, temperature: float) -> Tensor:
    """(n, N) logarithms of the softmax over a row's pairs; any number where there is no pair."""
    logits = (unit[block] @ unit.T / temperature).masked_fill_(unpaired, -torch.inf)
    return (logits - logits.logsumexp(dim=1, keepdim=True)).masked_fill_(unpaired, 0)

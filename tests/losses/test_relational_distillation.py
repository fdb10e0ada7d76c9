"""Relational distillation against a plain loop, against autograd over the whole matrix, and where rows have no pair."""

# Shapes: N embeddings, D features of the student, F of the teacher.

import doctest
import math
import re
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from simtrain.losses import relational_distillation
from simtrain.losses.relational_distillation import relational_distillation_loss

TEMPERATURES = (0.01, 0.1, 1.0)


def both(*, count: int, seed: int = 0, precision: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """(N, 6) of a student and (N, 9) of its teacher, related and of any length."""
    generator = torch.Generator().manual_seed(seed)
    student = torch.randn(count, 6, generator=generator)
    teacher = torch.cat([student, torch.randn(count, 3, generator=generator)], dim=1)
    lengths = 0.1 + 5 * torch.rand(count, 1, generator=generator)
    return (student * lengths).to(precision), (teacher / lengths).to(precision)


def similarity(a: list[float], b: list[float]) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def loop_loss(
    embeddings: Tensor, teacher: Tensor, *, temperature: float, left_out: Sequence[Sequence[int]]
) -> float | None:
    """The definition row by row in Python's numbers; None where no row has a pair."""
    costs = []
    for i in range(len(embeddings)):
        others = [
            j
            for j in range(len(embeddings))
            if j != i and not any(numbers[i] == numbers[j] and numbers[i] >= 0 for numbers in left_out)
        ]
        if not others:
            continue
        shares = []
        for rows in (teacher.tolist(), embeddings.tolist()):
            weights = [math.exp(similarity(rows[i], rows[j]) / temperature) for j in others]
            shares.append([weight / sum(weights) for weight in weights])
        costs.append(sum(p * math.log(p / q) for p, q in zip(*shares, strict=True) if p > 0))
    return sum(costs) / len(costs) if costs else None


def dense_loss(embeddings: Tensor, teacher: Tensor, *, temperature: float, left_out: Sequence[Tensor]) -> Tensor:
    """The whole matrix at once, by torch's own divergence, for autograd; each row must have a pair."""
    no_pair = torch.eye(len(embeddings), dtype=torch.bool)
    for numbers in left_out:
        no_pair |= (numbers[:, None] == numbers) & (numbers[:, None] >= 0)
    lowest = torch.finfo(embeddings.dtype).min / 4
    told, found = (
        F.log_softmax((unit @ unit.T / temperature).masked_fill(no_pair, lowest), dim=1)
        for unit in (F.normalize(teacher, dim=1), F.normalize(embeddings, dim=1))
    )
    return F.kl_div(found, told, reduction="batchmean", log_target=True)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("left_out", [[], [[0, 0, 1, -1, 1, 2, -1]], [[0, 0, 1, -1, 1, 2, -1], [3, 4, 4, 5, 6, 7, 8]]])
def test_equals_a_plain_loop(temperature: float, left_out: list[list[int]]) -> None:
    embeddings, teacher = both(count=7)
    expected = loop_loss(embeddings, teacher, temperature=temperature, left_out=left_out)
    numbers = [torch.tensor(each) for each in left_out]
    found = relational_distillation_loss(embeddings, teacher, temperature=temperature, left_out=numbers)
    assert found.item() == pytest.approx(expected, rel=2e-4, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-1, 2), min_size=1, max_size=7), st.sampled_from(TEMPERATURES), st.integers(0, 1000))
def test_equals_a_plain_loop_whatever_is_left_out(numbers: list[int], temperature: float, seed: int) -> None:
    embeddings, teacher = both(count=len(numbers), seed=seed, precision=torch.float64)
    expected = loop_loss(embeddings, teacher, temperature=temperature, left_out=[numbers])
    found = relational_distillation_loss(embeddings, teacher, temperature=temperature, left_out=[torch.tensor(numbers)])
    assert found.item() == pytest.approx(expected or 0.0, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_gradient_is_that_of_finite_differences(temperature: float) -> None:
    embeddings, teacher = both(count=6, precision=torch.float64)
    left_out = [torch.tensor([0, 0, 1, -1, -1, 2])]
    assert torch.autograd.gradcheck(
        lambda rows: relational_distillation_loss(rows, teacher, temperature=temperature, left_out=left_out),
        (embeddings.requires_grad_(),),
    )


@pytest.mark.parametrize("entries", [1, 50, 10_000])
def test_blocks_of_rows_give_the_loss_and_gradient_of_the_whole(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relational_distillation, "_ENTRIES_AT_ONCE", entries)
    embeddings, teacher = both(count=23, precision=torch.float64)
    left_out = [torch.arange(23) // 2]
    embeddings.requires_grad_()
    expected = dense_loss(embeddings, teacher, temperature=0.1, left_out=left_out)
    found = relational_distillation_loss(embeddings, teacher, temperature=0.1, left_out=left_out)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(3 * loss, embeddings)[0] for loss in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_a_student_that_relates_images_as_its_teacher_does_has_nothing_to_learn() -> None:
    embeddings, _ = both(count=9)
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))
    student = embeddings.requires_grad_()
    loss = relational_distillation_loss(student, embeddings.detach() @ turn, temperature=0.1, left_out=[])
    assert loss.item() == pytest.approx(0, abs=1e-6)
    (gradient,) = torch.autograd.grad(loss, student)
    assert gradient.abs().max().item() < 1e-5


def test_a_teacher_does_not_learn() -> None:
    embeddings, teacher = both(count=5)
    teacher.requires_grad_()
    loss = relational_distillation_loss(embeddings.requires_grad_(), teacher, temperature=0.1, left_out=[])
    assert torch.autograd.grad(loss, teacher, allow_unused=True) == (None,)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_rows_without_a_pair_teach_nothing(count: int) -> None:
    embeddings, teacher = both(count=count)
    product = [torch.zeros(count, dtype=torch.int64)]
    loss = relational_distillation_loss(embeddings.requires_grad_(), teacher, temperature=0.1, left_out=product)
    (gradient,) = torch.autograd.grad(loss, embeddings)
    assert loss.item() == 0
    assert not gradient.any()


def test_a_row_without_a_pair_is_as_if_it_were_not_there() -> None:
    embeddings, teacher = both(count=6)
    lone = [torch.tensor([0, 0, 0, 0, 0, -1]), torch.tensor([1, -1, -1, -1, -1, 1])]  # row 0 is no pair of any
    embeddings.requires_grad_()
    found = relational_distillation_loss(embeddings, teacher, temperature=0.1, left_out=lone)
    rest = [numbers[1:] for numbers in lone]
    expected = relational_distillation_loss(embeddings[1:], teacher[1:], temperature=0.1, left_out=rest)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(loss, embeddings)[0] for loss in (found, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(precision: torch.dtype) -> None:
    embeddings, teacher = both(count=8, precision=precision)
    found = relational_distillation_loss(embeddings, teacher, temperature=0.05, left_out=[])
    expected = relational_distillation_loss(embeddings.float(), teacher.float(), temperature=0.05, left_out=[])
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_autocast_leaves_loss_and_gradient_in_float32() -> None:
    embeddings, teacher = both(count=8)
    embeddings.requires_grad_()
    expected = relational_distillation_loss(embeddings, teacher, temperature=0.05, left_out=[])
    gradient = torch.autograd.grad(expected, embeddings)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = relational_distillation_loss(embeddings, teacher, temperature=0.05, left_out=[])
        torch.testing.assert_close(torch.autograd.grad(found, embeddings), gradient, rtol=0, atol=0)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_what_is_not_a_number_stays_so() -> None:
    embeddings, teacher = both(count=6)
    embeddings[2, 1] = math.nan
    assert relational_distillation_loss(embeddings, teacher, temperature=0.1, left_out=[]).isnan()


@pytest.mark.parametrize(
    ("teacher_rows", "numbers", "temperature", "message"),
    [
        (3, 4, 0.1, "teacher: got 3 rows for 4 embeddings, and left_out [4]; must be as many"),
        (4, 5, 0.1, "teacher: got 4 rows for 4 embeddings, and left_out [5]; must be as many"),
        (4, 4, 0.0, "temperature: got 0.0; must be above 0"),
        (4, 4, math.nan, "temperature: got nan; must be above 0"),
    ],
)
def test_what_does_not_fit_is_an_error(teacher_rows: int, numbers: int, temperature: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        relational_distillation_loss(
            torch.ones(4, 3),
            torch.ones(teacher_rows, 2),
            temperature=temperature,
            left_out=[torch.zeros(numbers, dtype=torch.int64)],
        )


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(relational_distillation) == doctest.TestResults(failed=0, attempted=3)

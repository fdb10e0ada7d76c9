"""What holds an encoder to its start, against arithmetic."""

# Shapes: N embeddings, D features.

import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from simtrain.losses.start_regularisation import distillation_loss, weight_distance


def pairs(*, precision: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """(6, 5) embeddings and references of any length."""
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(6, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    return (3 * first).to(precision).requires_grad_(), (first + second).to(precision).requires_grad_()


def test_distillation_is_one_less_the_cosine() -> None:
    embeddings, reference = pairs()
    expected = (1 - F.cosine_similarity(embeddings, reference.detach())).mean()
    found = distillation_loss(embeddings, reference)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(loss, embeddings) for loss in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_distillation_does_not_move_an_encoder_at_its_start() -> None:
    embeddings, _ = pairs(precision=torch.float32)
    loss = distillation_loss(embeddings, embeddings.detach().clone())
    (gradient,) = torch.autograd.grad(loss, embeddings)
    assert loss.item() == 0
    assert not gradient.any()


def test_a_reference_does_not_learn() -> None:
    embeddings, reference = pairs()
    assert torch.autograd.grad(distillation_loss(embeddings, reference), reference, allow_unused=True) == (None,)


def test_weight_distance_is_a_mean_over_all_numbers() -> None:
    weights = [torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True), torch.tensor(7.0, requires_grad=True)]
    start = [torch.tensor([[1.0, 0.0], [3.0, 1.0]]), torch.tensor(6.0)]
    loss = weight_distance(weights, start)
    assert loss.item() == pytest.approx((4 + 9 + 1) / 5)
    matrix, scalar = torch.autograd.grad(loss, weights)
    torch.testing.assert_close(matrix, torch.tensor([[0.0, 4.0], [0.0, 6.0]]) / 5)
    assert scalar.item() == pytest.approx(2 / 5)


SCALE = torch.tensor(1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: distillation_loss(torch.ones(3, 2), torch.ones(1, 2)),
            "embeddings: got (3, 2) and a reference of (1, 2); must be the same (rows, features)",
        ),
        (lambda: weight_distance([], []), "parameters: got 0, and 0 at the start; must be as many, and 1 or more"),
        (
            lambda: weight_distance([SCALE], [SCALE, SCALE]),
            "parameters: got 1, and 2 at the start; must be as many, and 1 or more",
        ),
        (
            lambda: weight_distance([SCALE, torch.ones(2, 3)], [SCALE, torch.ones(3)]),
            "parameters: number 1 has shape (2, 3), but at the start (3,)",
        ),
    ],
)
def test_wrong_input_is_named(call: Callable[[], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()

"""NT-Xent against a plain loop over equation 1 and against pytorch-metric-learning."""

# Shapes: B pairs, N = 2·B views, D features.

import doctest
import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.losses import NTXentLoss, SelfSupervisedLoss
from torch import Tensor

from simtrain.losses import nt_xent
from simtrain.losses.nt_xent import nt_xent_loss

TEMPERATURES = (0.01, 0.07, 0.1, 0.5, 1.0)


def views(*, pairs: int, features: int, seed: int, spread: float = 1.0) -> Tensor:
    """(2·B, D) of any length, where rows i and i + B are an image and the same with noise."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(pairs, features, generator=generator)
    second = first + spread * torch.randn(pairs, features, generator=generator)
    return torch.cat([first, second]) * (0.1 + 5 * torch.rand(2 * pairs, 1, generator=generator))


def similarity(a: list[float], b: list[float]) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def loop_loss(embeddings: Tensor, *, temperature: float) -> float:
    """Equation 1, view by view, in Python's numbers."""
    rows = embeddings.tolist()
    count = len(rows)
    total = 0.0
    for i in range(count):
        partner = (i + count // 2) % count
        others = [math.exp(similarity(rows[i], rows[k]) / temperature) for k in range(count) if k != i]
        total -= math.log(math.exp(similarity(rows[i], rows[partner]) / temperature) / sum(others))
    return total / count


def differentiable_loop(embeddings: Tensor, *, temperature: float) -> Tensor:
    """Equation 1 as sums of scalars that autograd follows."""
    count = len(embeddings)
    unit = [row / row.square().sum().sqrt() for row in embeddings]
    losses = []
    for i in range(count):
        logits = {k: (unit[i] * unit[k]).sum() / temperature for k in range(count) if k != i}
        losses.append(torch.stack(list(logits.values())).exp().sum().log() - logits[(i + count // 2) % count])
    return torch.stack(losses).sum() / count


def library_loss(embeddings: Tensor, *, temperature: float) -> Tensor:
    """pytorch-metric-learning's; its smallest probability is the number type's, so it needs float64 at 0.01."""
    first, second = embeddings.double().chunk(2)
    return SelfSupervisedLoss(NTXentLoss(temperature=temperature))(first, second)


@given(
    pairs=st.integers(2, 7),
    features=st.integers(1, 9),
    temperature=st.floats(0.05, 5.0),
    seed=st.integers(0, 2**31 - 1),
)
@settings(max_examples=60, deadline=None)
def test_equals_a_loop_over_the_equation(pairs: int, features: int, temperature: float, seed: int) -> None:
    embeddings = views(pairs=pairs, features=features, seed=seed)
    expected = loop_loss(embeddings, temperature=temperature)
    assert nt_xent_loss(embeddings, temperature=temperature).item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("pairs", [2, 3, 16])
def test_equals_pytorch_metric_learning(pairs: int, temperature: float) -> None:
    embeddings = views(pairs=pairs, features=12, seed=pairs)
    expected = library_loss(embeddings, temperature=temperature).item()
    assert nt_xent_loss(embeddings, temperature=temperature).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_gradient_equals_pytorch_metric_learnings(temperature: float) -> None:
    embeddings = views(pairs=8, features=12, seed=1).requires_grad_()
    (expected,) = torch.autograd.grad(library_loss(embeddings, temperature=temperature), embeddings)
    (found,) = torch.autograd.grad(nt_xent_loss(embeddings, temperature=temperature), embeddings)
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_gradient_equals_that_of_a_float64_loop(temperature: float) -> None:
    embeddings = views(pairs=3, features=5, seed=2)
    exact = embeddings.double().requires_grad_()
    (expected,) = torch.autograd.grad(differentiable_loop(exact, temperature=temperature), exact)
    embeddings.requires_grad_()
    (found,) = torch.autograd.grad(nt_xent_loss(embeddings, temperature=temperature), embeddings)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [4, 6, 64])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_equal_embeddings_give_the_logarithm_of_the_other_views(count: int, temperature: float) -> None:
    loss = nt_xent_loss(torch.ones(count, 8), temperature=temperature)
    assert loss.item() == pytest.approx(math.log(count - 1), rel=1e-5)


def test_is_never_below_zero() -> None:
    orthogonal = torch.linalg.qr(torch.randn(64, 64, generator=torch.Generator().manual_seed(0)))[0][:16]
    noise = 1e-4 * torch.randn(16, 64, generator=torch.Generator().manual_seed(1))
    assert nt_xent_loss(torch.cat([orthogonal, orthogonal + noise]), temperature=0.01).item() >= 0


def test_the_length_of_an_embedding_does_not_matter() -> None:
    embeddings = views(pairs=6, features=10, seed=3)
    lengths = torch.linspace(0.01, 100, 12)[:, None]
    loss = nt_xent_loss(embeddings, temperature=0.1)
    assert nt_xent_loss(embeddings * lengths, temperature=0.1).item() == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(precision: torch.dtype) -> None:
    embeddings = views(pairs=6, features=10, seed=4).to(precision)
    loss = nt_xent_loss(embeddings, temperature=0.05)
    torch.testing.assert_close(loss, nt_xent_loss(embeddings.float(), temperature=0.05), rtol=0, atol=0)


def test_autocast_leaves_it_in_float32() -> None:
    embeddings = views(pairs=6, features=10, seed=5)
    expected = nt_xent_loss(embeddings, temperature=0.05)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nt_xent_loss(embeddings, temperature=0.05)
    torch.testing.assert_close(loss, expected, rtol=0, atol=0)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 5])
def test_too_few_or_odd_rows_are_an_error(rows: int) -> None:
    message = f"embeddings: got {rows} rows; NT-Xent needs an even number, 4 or more"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        nt_xent_loss(torch.ones(rows, 3), temperature=0.1)


@pytest.mark.parametrize("temperature", [0.0, -0.5, math.nan])
def test_a_temperature_not_above_zero_is_an_error(temperature: float) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'temperature: got {temperature}; must be above 0')}$"):
        nt_xent_loss(torch.ones(4, 3), temperature=temperature)


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(nt_xent) == doctest.TestResults(failed=0, attempted=1)

"""NT-Xent against a plain loop over equation 1 and against pytorch-metric-learning."""

# Shapes: B pairs, N = 2·B views, D features.

import doctest
import math
import re
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.losses import NTXentLoss, SelfSupervisedLoss
from torch import Tensor

from simtrain.losses import nt_xent
from simtrain.losses.false_negatives import FalseNegatives, PairMask
from simtrain.losses.nt_xent import nt_xent_loss

TEMPERATURES = (0.01, 0.07, 0.1, 0.5, 1.0)


def loss_of(embeddings: Tensor, *, temperature: float) -> Tensor:
    return nt_xent_loss(embeddings, temperature=temperature, decoupled=False, excluded=None)


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
    assert loss_of(embeddings, temperature=temperature).item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("pairs", [2, 3, 16])
def test_equals_pytorch_metric_learning(pairs: int, temperature: float) -> None:
    embeddings = views(pairs=pairs, features=12, seed=pairs)
    expected = library_loss(embeddings, temperature=temperature).item()
    assert loss_of(embeddings, temperature=temperature).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_gradient_equals_pytorch_metric_learnings(temperature: float) -> None:
    embeddings = views(pairs=8, features=12, seed=1).requires_grad_()
    (expected,) = torch.autograd.grad(library_loss(embeddings, temperature=temperature), embeddings)
    (found,) = torch.autograd.grad(loss_of(embeddings, temperature=temperature), embeddings)
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_gradient_equals_that_of_a_float64_loop(temperature: float) -> None:
    embeddings = views(pairs=3, features=5, seed=2)
    exact = embeddings.double().requires_grad_()
    (expected,) = torch.autograd.grad(differentiable_loop(exact, temperature=temperature), exact)
    embeddings.requires_grad_()
    (found,) = torch.autograd.grad(loss_of(embeddings, temperature=temperature), embeddings)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [4, 6, 64])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_equal_embeddings_give_the_logarithm_of_the_other_views(count: int, temperature: float) -> None:
    loss = loss_of(torch.ones(count, 8), temperature=temperature)
    assert loss.item() == pytest.approx(math.log(count - 1), rel=1e-5)


def test_is_never_below_zero() -> None:
    orthogonal = torch.linalg.qr(torch.randn(64, 64, generator=torch.Generator().manual_seed(0)))[0][:16]
    noise = 1e-4 * torch.randn(16, 64, generator=torch.Generator().manual_seed(1))
    assert loss_of(torch.cat([orthogonal, orthogonal + noise]), temperature=0.01).item() >= 0


def test_the_length_of_an_embedding_does_not_matter() -> None:
    embeddings = views(pairs=6, features=10, seed=3)
    lengths = torch.linspace(0.01, 100, 12)[:, None]
    loss = loss_of(embeddings, temperature=0.1)
    assert loss_of(embeddings * lengths, temperature=0.1).item() == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(precision: torch.dtype) -> None:
    embeddings = views(pairs=6, features=10, seed=4).to(precision)
    loss = loss_of(embeddings, temperature=0.05)
    torch.testing.assert_close(loss, loss_of(embeddings.float(), temperature=0.05), rtol=0, atol=0)


def test_autocast_leaves_it_in_float32() -> None:
    embeddings = views(pairs=6, features=10, seed=5)
    expected = loss_of(embeddings, temperature=0.05)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(embeddings, temperature=0.05)
    torch.testing.assert_close(loss, expected, rtol=0, atol=0)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 5])
def test_too_few_or_odd_rows_are_an_error(rows: int) -> None:
    message = f"embeddings: got {rows} rows; NT-Xent needs an even number, 4 or more"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        loss_of(torch.ones(rows, 3), temperature=0.1)


@pytest.mark.parametrize("temperature", [0.0, -0.5, math.nan])
def test_a_temperature_not_above_zero_is_an_error(temperature: float) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'temperature: got {temperature}; must be above 0')}$"):
        loss_of(torch.ones(4, 3), temperature=temperature)


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(nt_xent) == doctest.TestResults(failed=0, attempted=2)


def dense_loss(embeddings: Tensor, *, temperature: float, decoupled: bool, no_negatives: Tensor) -> Tensor:
    """The same from the whole matrix, which autograd follows; `no_negatives` is (N, N) bool."""
    unit = F.normalize(embeddings, dim=1)
    count = len(unit)
    logits = unit @ unit.T / temperature
    partner = torch.eye(count, dtype=torch.bool).roll(count // 2, dims=1)
    kept = ~no_negatives & ~torch.eye(count, dtype=torch.bool) & ~partner
    kept = kept if decoupled else kept | partner
    return (logits.masked_fill(~kept, -torch.inf).logsumexp(dim=1) - logits[partner]).mean()


def mask_of(groups: list[int], rows: Tensor | None = None) -> PairMask:
    """Images of one group, which is 0 or more, are no negatives."""
    known = FalseNegatives(duplicate_groups=torch.tensor(groups), reference=None, max_similarity=None)
    return known.of(torch.arange(len(groups)) if rows is None else rows)


def nobody(count: int) -> Tensor:
    return torch.zeros(count, count, dtype=torch.bool)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("pairs", [250, 384, 530])
def test_more_rows_than_a_tile_give_the_dense_loss_and_gradient(
    pairs: int, decoupled: bool, temperature: float
) -> None:
    embeddings = views(pairs=pairs, features=6, seed=pairs).double().requires_grad_()
    expected = dense_loss(embeddings, temperature=temperature, decoupled=decoupled, no_negatives=nobody(2 * pairs))
    found = nt_xent_loss(embeddings, temperature=temperature, decoupled=decoupled, excluded=None)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        torch.autograd.grad(found, embeddings)[0], torch.autograd.grad(expected, embeddings)[0], rtol=1e-8, atol=1e-11
    )


@pytest.mark.parametrize("temperature", [0.01, 0.07, 0.5])
@pytest.mark.parametrize("decoupled", [False, True])
def test_excluded_pairs_are_no_negatives_yet_partners_stay(decoupled: bool, temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    groups = torch.randint(-1, 40, (1100,), generator=generator)
    groups[550:600] = groups[:50]  # partners of one group
    embeddings = views(pairs=550, features=6, seed=9).double().requires_grad_()
    no_negatives = (groups[:, None] == groups) & (groups[:, None] >= 0)
    expected = dense_loss(embeddings, temperature=temperature, decoupled=decoupled, no_negatives=no_negatives)
    mask = mask_of(groups.tolist())
    found = nt_xent_loss(embeddings, temperature=temperature, decoupled=decoupled, excluded=mask)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        torch.autograd.grad(found, embeddings)[0], torch.autograd.grad(expected, embeddings)[0], rtol=1e-8, atol=1e-11
    )


@pytest.mark.parametrize("temperature", [0.02, 0.3])
@pytest.mark.parametrize("decoupled", [False, True])
def test_the_gradient_is_that_of_finite_differences(decoupled: bool, temperature: float) -> None:
    mask = mask_of([0, 1, 2, 0, 4, 5])
    embeddings = views(pairs=3, features=4, seed=6).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda rows: nt_xent_loss(rows, temperature=temperature, decoupled=decoupled, excluded=mask), (embeddings,)
    )


@pytest.mark.parametrize("temperature", [0.01, 0.5])
def test_a_view_without_negatives_is_only_drawn_to_its_partner_when_decoupled(temperature: float) -> None:
    embeddings = views(pairs=2, features=4, seed=7).requires_grad_()
    loss = nt_xent_loss(embeddings, temperature=temperature, decoupled=True, excluded=mask_of([0, 0, 0, 0]))
    unit = F.normalize(embeddings, dim=1)
    expected = -(unit[:2] * unit[2:]).sum(dim=1).mean() / temperature
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, embeddings), torch.autograd.grad(expected, embeddings))


@pytest.mark.parametrize("temperature", [0.01, 0.5])
def test_a_batch_without_negatives_has_nothing_to_learn(temperature: float) -> None:
    embeddings = views(pairs=2, features=4, seed=7).requires_grad_()
    loss = nt_xent_loss(embeddings, temperature=temperature, decoupled=False, excluded=mask_of([0, 0, 0, 0]))
    assert loss.item() == 0
    assert torch.autograd.grad(loss, embeddings)[0].abs().max() == 0


def test_two_crops_of_one_image_in_two_pairs_are_no_negatives() -> None:
    embeddings = views(pairs=3, features=4, seed=8)
    rows = torch.tensor([5, 6, 5, 5, 6, 5])
    mask = FalseNegatives(duplicate_groups=None, reference=None, max_similarity=None).of(rows)
    expected = dense_loss(embeddings, temperature=0.2, decoupled=False, no_negatives=rows[:, None] == rows)
    torch.testing.assert_close(nt_xent_loss(embeddings, temperature=0.2, decoupled=False, excluded=mask), expected)


def test_a_loss_near_zero_keeps_its_digits() -> None:
    embeddings = torch.eye(4).repeat(2, 1)
    # Each view has its equal and six orthogonal ones: log(e^10 + 6) - 10 = 6 / e^10 - (6 / e^10)^2 / 2 + ...
    assert loss_of(embeddings, temperature=0.1).item() == pytest.approx(math.log1p(6 * math.exp(-10)), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.01, 0.1])
def test_what_is_not_a_number_stays_so(temperature: float) -> None:
    embeddings = views(pairs=3, features=4, seed=1)
    embeddings[2, 1] = math.nan
    assert loss_of(embeddings, temperature=temperature).isnan()


def test_autocast_around_the_backward_pass_leaves_it_in_float32() -> None:
    embeddings = views(pairs=6, features=10, seed=5).requires_grad_()
    (expected,) = torch.autograd.grad(loss_of(embeddings, temperature=0.05), embeddings)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (found,) = torch.autograd.grad(loss_of(embeddings, temperature=0.05), embeddings)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.slow
def test_sixteen_thousand_views_need_no_matrix_of_all_pairs() -> None:
    peak = peak_growth_mb(8_192)
    assert peak < 150  # the matrix alone is 1.1 GB


def peak_growth_mb(pairs: int) -> float:
    """By how much the largest memory of a process of its own grows from 4 pairs to so many."""
    code = f"""
import resource, torch
from simtrain.losses.nt_xent import nt_xent_loss
def run(pairs):
    rows = torch.ones(2 * pairs, 8, requires_grad=True)
    nt_xent_loss(rows, temperature=0.1, decoupled=False, excluded=None).backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = run(600)
print((run({pairs}) - before) / 1024)
"""
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

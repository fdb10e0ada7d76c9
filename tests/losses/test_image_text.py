"""Image-text losses against cross-entropy, against explicit soft targets and against a loop, over all pairs at once."""

# Shapes: N pairs, D features.

import doctest
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from simtrain.losses import image_text
from simtrain.losses.image_text import image_text_loss, sigmoid_loss
from simtrain.losses.start_regularisation import distillation_loss

SCALES = (1.0, 14.3, 100.0)
GROUPS = ([0, 1, 2, 3, 4, 5, 6], [3, 3, 0, 9, 0, 3, 7], [2, -1, 2, -1, 5, 5, -1], [4] * 7, [-1] * 7)
# Two products and two texts, where being right is not passed on; copies of one image; nothing but one's own text.
CRITERIA = ([[0, 5], [0, 6], [1, 6], [1, -1], [-1, 5], [2, -1], [-1, -1]], [[3, 3, 1]] * 7, [[]] * 7)
MORE_THAN_TWO_TILES = 900
Groups = Sequence[int] | Sequence[Sequence[int]]


def pairs(
    count: int, *, features: int = 6, seed: int = 0, precision: torch.dtype = torch.float64
) -> tuple[Tensor, ...]:
    """(N, D) images and texts of any length, each text near its image."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, features, generator=generator, dtype=torch.float64)
    texts = images + torch.randn(count, features, generator=generator, dtype=torch.float64)
    lengths = 0.1 + 5 * torch.rand(2, count, 1, generator=generator, dtype=torch.float64)
    return tuple(
        (side * length).to(precision).requires_grad_() for side, length in zip((images, texts), lengths, strict=True)
    )


def number(value: float, *, precision: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(value, dtype=precision, requires_grad=True)


def all_logits(images: Tensor, texts: Tensor, *, scale: Tensor) -> Tensor:
    """(N, N) scale · cosine."""
    return scale * F.normalize(images) @ F.normalize(texts).T


def belong_together(groups: Groups) -> Tensor:
    """(N, N) bool."""
    together = torch.eye(len(groups), dtype=torch.bool)
    for column in torch.tensor(groups).reshape(len(groups), -1).T:
        together |= (column[:, None] == column) & (column >= 0)
    return together


def dense_soft_targets(images: Tensor, texts: Tensor, *, scale: Tensor, groups: Groups) -> Tensor:
    """UniCL with the whole matrices of logits and of targets."""
    logits, together = all_logits(images, texts, scale=scale), belong_together(groups).to(images.dtype)
    of_images = F.cross_entropy(logits, together / together.sum(dim=1, keepdim=True))
    of_texts = F.cross_entropy(logits.T, together.T / together.T.sum(dim=1, keepdim=True))
    return (of_images + of_texts) / 2


def dense_sigmoid(images: Tensor, texts: Tensor, *, scale: Tensor, bias: Tensor, groups: Groups) -> Tensor:
    """SigLIP as a binary cross-entropy of the whole matrix."""
    logits = all_logits(images, texts, scale=scale) + bias
    targets = belong_together(groups).to(images.dtype)
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(images)


def assert_same(found: Tensor, expected: Tensor, inputs: tuple[Tensor, ...], **tolerance: float) -> None:
    """Values and gradients."""
    torch.testing.assert_close(found, expected, **tolerance)
    found_gradients, gradients = torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs)
    torch.testing.assert_close(found_gradients, gradients, **tolerance)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("count", [2, 7])
def test_equals_cross_entropy_of_the_diagonal(count: int, scale: float) -> None:
    images, texts = pairs(count)
    factor, own = number(scale), torch.arange(count)
    logits = all_logits(images, texts, scale=factor)
    expected = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    found = image_text_loss(images, texts, scale=factor, positives=None)
    assert_same(found, expected, (images, texts, factor))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("groups", [*GROUPS, *CRITERIA])
def test_equals_explicit_soft_targets(groups: Groups, scale: float) -> None:
    images, texts = pairs(7)
    factor = number(scale)
    expected = dense_soft_targets(images, texts, scale=factor, groups=groups)
    found = image_text_loss(images, texts, scale=factor, positives=torch.tensor(groups).long())
    assert_same(found, expected, (images, texts, factor))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("groups", [*GROUPS, *CRITERIA])
def test_sigmoid_equals_a_binary_cross_entropy(groups: Groups, scale: float) -> None:
    images, texts = pairs(7)
    factor, bias = number(scale), number(-10.0)
    expected = dense_sigmoid(images, texts, scale=factor, bias=bias, groups=groups)
    found = sigmoid_loss(images, texts, scale=factor, bias=bias, positives=torch.tensor(groups).long())
    assert_same(found, expected, (images, texts, factor, bias))


def test_sigmoid_without_groups_takes_the_diagonal() -> None:
    images, texts = pairs(5)
    factor, bias = number(10.0), number(-10.0)
    expected = dense_sigmoid(images, texts, scale=factor, bias=bias, groups=list(range(5)))
    found = sigmoid_loss(images, texts, scale=factor, bias=bias, positives=None)
    assert_same(found, expected, (images, texts, factor, bias))


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("precision", [torch.float64, torch.float32])
def test_equal_the_whole_matrix_over_several_tiles(precision: torch.dtype, columns: int) -> None:
    images, texts = pairs(MORE_THAN_TWO_TILES, features=24, precision=precision)
    factor, bias = number(20.0, precision=precision), number(-5.0, precision=precision)
    groups = torch.randint(-1, 60, (MORE_THAN_TWO_TILES, columns), generator=torch.Generator().manual_seed(1))
    tolerance = {"rtol": 1e-7, "atol": 1e-9} if precision == torch.float64 else {"rtol": 1e-4, "atol": 1e-6}
    found = image_text_loss(images, texts, scale=factor, positives=groups)
    expected = dense_soft_targets(images, texts, scale=factor, groups=groups.tolist())
    assert_same(found, expected, (images, texts, factor), **tolerance)
    found = sigmoid_loss(images, texts, scale=factor, bias=bias, positives=groups)
    expected = dense_sigmoid(images, texts, scale=factor, bias=bias, groups=groups.tolist())
    assert_same(found, expected, (images, texts, factor, bias), **tolerance)


def contrastive(images: Tensor, texts: Tensor) -> Tensor:
    scale = torch.tensor(100.0, dtype=torch.float32)
    return image_text_loss(images, texts, scale=scale, positives=torch.arange(len(images)) // 2)


def sigmoid(images: Tensor, texts: Tensor) -> Tensor:
    scale, bias = torch.tensor(100.0), torch.tensor(-10.0)
    return sigmoid_loss(images, texts, scale=scale, bias=bias, positives=torch.arange(len(images)) // 2)


LOSSES = pytest.mark.parametrize("loss", [contrastive, sigmoid, distillation_loss])
Loss = Callable[[Tensor, Tensor], Tensor]


@LOSSES
def test_the_length_of_an_embedding_does_not_matter(loss: Loss) -> None:
    images, texts = pairs(8, precision=torch.float32)
    lengths = torch.linspace(0.01, 100, 8)[:, None]
    torch.testing.assert_close(loss(images * lengths, texts / lengths), loss(images, texts))


@LOSSES
@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(loss: Loss, precision: torch.dtype) -> None:
    images, texts = pairs(8, precision=precision)
    torch.testing.assert_close(loss(images, texts), loss(images.float(), texts.float()), rtol=0, atol=0)


@LOSSES
def test_autocast_leaves_it_in_float32(loss: Loss) -> None:
    images, texts = pairs(8, precision=torch.float32)
    expected = loss(images, texts)
    (gradient,) = torch.autograd.grad(expected, images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(images, texts)
        (found_gradient,) = torch.autograd.grad(found, images)
    torch.testing.assert_close((found, found_gradient), (expected, gradient), rtol=0, atol=0)


@LOSSES
def test_a_frozen_text_side_needs_no_gradient(loss: Loss) -> None:
    images, texts = pairs(8, precision=torch.float32)
    (expected,) = torch.autograd.grad(loss(images, texts), images)
    (found,) = torch.autograd.grad(loss(images, texts.detach()), images)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("loss", [contrastive, sigmoid])
def test_a_frozen_image_side_needs_no_gradient(loss: Loss) -> None:
    images, texts = pairs(8, precision=torch.float32)
    (expected,) = torch.autograd.grad(loss(images, texts), texts)
    (found,) = torch.autograd.grad(loss(images.detach(), texts), texts)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_scale_alone_has_its_gradient() -> None:
    images, texts = (side.detach() for side in pairs(6))
    factor = number(5.0)
    expected = dense_soft_targets(images, texts, scale=factor, groups=[0, 0, 1, 2, 3, 3])
    found = image_text_loss(images, texts, scale=factor, positives=torch.tensor([0, 0, 1, 2, 3, 3]))
    assert_same(found, expected, (factor,))


def test_a_text_given_twice_is_no_false_negative() -> None:
    # Rows 0 and 1 have one caption, and both images match it perfectly: nothing is left to learn, but for the draw
    # between equals, whose two answers have log(2) for entropy.
    embeddings = torch.eye(3)[[0, 0, 1, 2]]
    loss = image_text_loss(embeddings, embeddings, scale=torch.tensor(100.0), positives=torch.tensor([5, 5, 1, 2]))
    assert loss.item() == pytest.approx(math.log(2) / 2, abs=1e-5)


def test_sharing_among_equal_texts_changes_nothing_of_the_softmax() -> None:
    images, words = pairs(12)
    scale, groups = number(10.0), torch.arange(12) % 4
    values = [image_text_loss(images, words[groups], scale=scale, positives=shared) for shared in (None, groups)]
    gradients = [torch.autograd.grad(value, (images, words, scale)) for value in values]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*gradients)


def test_sharing_among_equal_texts_changes_the_gradient_of_the_sigmoid() -> None:
    images, words = pairs(12)
    scale, bias, groups = number(10.0), number(-5.0), torch.arange(12) % 4
    values = [sigmoid_loss(images, words[groups], scale=scale, bias=bias, positives=of) for of in (None, groups)]
    plain, shared = (torch.autograd.grad(value, images)[0] for value in values)
    assert (plain - shared).norm() > 0.1 * shared.norm()


@pytest.mark.parametrize("count", [2, 5, MORE_THAN_TWO_TILES])
def test_equal_embeddings_give_the_logarithm_of_the_rows(count: int) -> None:
    rows = torch.ones(count, 4)
    loss = image_text_loss(rows, rows, scale=torch.tensor(100.0), positives=None)
    assert loss.item() == pytest.approx(math.log(count), rel=1e-5)


def test_what_is_left_to_learn_is_exact_where_nearly_all_is_learnt() -> None:
    # Probabilities of 0.9999 and more: how much they lack is all that the gradient is made of.
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(900, 64, generator=generator, dtype=torch.float64)
    texts, own = images + torch.randn(900, 64, generator=generator, dtype=torch.float64), torch.arange(900)
    exact, short = images.requires_grad_(), images.detach().float().requires_grad_()
    logits = all_logits(exact, texts, scale=torch.tensor(100.0))
    expected = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    found = image_text_loss(short, texts.float(), scale=torch.tensor(100.0), positives=None)
    assert 1e-5 < expected.item() < 1e-4
    assert found.item() == pytest.approx(expected.item(), rel=1e-3)
    (gradient,), (found_gradient,) = torch.autograd.grad(expected, exact), torch.autograd.grad(found, short)
    assert (found_gradient - gradient).norm() < 1e-4 * gradient.norm()


def test_opposite_wrong_answers_do_not_overflow() -> None:
    images = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    loss = image_text_loss(images, -images.detach(), scale=torch.tensor(1000.0), positives=None)
    (gradient,) = torch.autograd.grad(loss, images)
    assert loss.item() == pytest.approx(2000)  # each prefers the other's by twice the scale
    assert gradient.isfinite().all()


def test_sigmoid_of_far_logits_does_not_overflow() -> None:
    images = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    scale, bias = torch.tensor(1000.0), torch.tensor(0.0)
    loss = sigmoid_loss(images, -images.detach(), scale=scale, bias=bias, positives=None)
    (gradient,) = torch.autograd.grad(loss, images)
    assert loss.item() == pytest.approx(2000)  # four pairs, each wrong by the scale
    assert gradient.isfinite().all()


def test_sigmoid_of_nothing_is_a_guess_about_each_pair() -> None:
    images, texts = pairs(6)
    loss = sigmoid_loss(images, texts, scale=number(0.0), bias=number(0.0), positives=None)
    assert loss.item() == pytest.approx(6 * math.log(2))


SCALE = torch.tensor(1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: image_text_loss(torch.ones(3, 2), torch.ones(4, 2), scale=SCALE, positives=None),
            "images: got (3, 2) and texts of (4, 2); must be the same (rows, features)",
        ),
        (
            lambda: sigmoid_loss(torch.ones(0, 2), torch.ones(0, 2), scale=SCALE, bias=SCALE, positives=None),
            "images: got (0, 2) and texts of (0, 2); must be the same (rows, features)",
        ),
        (
            lambda: image_text_loss(torch.ones(1, 2), torch.ones(1, 2), scale=SCALE, positives=None),
            "images: got 1 row; a text cannot be picked out of fewer than 2",
        ),
        (
            lambda: image_text_loss(torch.ones(3, 2), torch.ones(3, 2), scale=SCALE, positives=torch.arange(4)),
            "positives: got shape (4,) for 3 rows",
        ),
        (
            lambda: image_text_loss(torch.ones(3, 2), torch.ones(3, 2), scale=torch.ones(1), positives=None),
            "scale: got shape (1,); must be a scalar",
        ),
        (
            lambda: sigmoid_loss(torch.ones(3, 2), torch.ones(3, 2), scale=SCALE, bias=torch.ones(3), positives=None),
            "bias: got shape (3,); must be a scalar",
        ),
    ],
)
def test_wrong_input_is_named(call: Callable[[], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


MEMORY = """
import resource, torch
from simtrain.losses.image_text import image_text_loss, sigmoid_loss
from simtrain.losses.start_regularisation import distillation_loss
torch.set_num_threads(1)
def run(count):
    images, texts = (torch.randn(count, 8, requires_grad=True) for _ in range(2))
    scale, bias = torch.tensor(10.0, requires_grad=True), torch.tensor(-10.0, requires_grad=True)
    groups = torch.arange(count) // 3
    loss = image_text_loss(images, texts, scale=scale, positives=groups)
    (loss + sigmoid_loss(images, texts, scale=scale, bias=bias, positives=groups)).backward()
run(800)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run(6000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_no_matrix_of_all_pairs_is_held() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    told = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, env=environment
    ).stdout
    one_matrix = 6000**2 * 4 / 1024  # KiB
    assert int(told) < one_matrix / 3


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(image_text).failed == 0
    assert doctest.testmod(image_text).attempted > 0

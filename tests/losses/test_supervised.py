"""The supervised contrastive loss against a loop over equation 2 and against pytorch-metric-learning."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import SupConLoss
from torch import Tensor

from simtrain.losses.false_negatives import FalseNegatives, PairMask
from simtrain.losses.supervised import supervised_contrastive_loss, supervised_contrastive_loss_or_zero

TEMPERATURES = (0.01, 0.07, 0.5)


def random_rows(count: int, *, seed: int = 0) -> Tensor:
    return 3 * torch.randn(count, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loop(embeddings: Tensor, labels: list[int], *, temperature: float, no_negatives: set[frozenset[int]]) -> Tensor:
    """Equation 2, anchor by anchor, which autograd follows."""
    unit = [row / row.square().sum().sqrt() for row in embeddings]
    count, losses = len(unit), []
    for a in range(count):
        logits = {b: (unit[a] * unit[b]).sum() / temperature for b in range(count) if b != a}
        positives = [b for b in logits if labels[b] == labels[a] != -1]
        kept = [logits[b] for b in logits if b in positives or frozenset((a, b)) not in no_negatives]
        if positives:
            among = torch.stack(kept).logsumexp(dim=0)
            losses.append(torch.stack([among - logits[p] for p in positives]).mean())
    return torch.stack(losses).mean()


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2], [4, 0, 0, 0, 7, 7, 3], [9, 9, 9]])
def test_equals_a_loop_over_the_equation(labels: list[int], temperature: float) -> None:
    embeddings = random_rows(len(labels)).requires_grad_()
    expected = loop(embeddings, labels, temperature=temperature, no_negatives=set())
    found = supervised_contrastive_loss(embeddings, torch.tensor(labels), temperature=temperature, excluded=None)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, embeddings), torch.autograd.grad(expected, embeddings))


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_equals_pytorch_metric_learning_over_more_rows_than_a_tile(temperature: float) -> None:
    labels = torch.randint(0, 200, (700,), generator=torch.Generator().manual_seed(0))
    embeddings = random_rows(700).requires_grad_()
    expected = SupConLoss(temperature=temperature)(embeddings, labels)
    found = supervised_contrastive_loss(embeddings, labels, temperature=temperature, excluded=None)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, embeddings), torch.autograd.grad(expected, embeddings))


def test_rows_of_unknown_label_are_negatives_and_no_anchors() -> None:
    labels = [-1, 0, 0, -1, 1, 2, 2]
    embeddings = random_rows(7)
    found = supervised_contrastive_loss(embeddings, torch.tensor(labels), temperature=0.2, excluded=None)
    torch.testing.assert_close(found, loop(embeddings, labels, temperature=0.2, no_negatives=set()))


def pair_mask(groups: list[int]) -> PairMask:
    known = FalseNegatives(duplicate_groups=torch.tensor(groups), reference=None, max_similarity=None)
    return known.of(torch.arange(len(groups)))


@pytest.mark.parametrize("temperature", [0.01, 0.2])
def test_excluded_pairs_are_no_negatives_yet_positives_stay(temperature: float) -> None:
    labels = [0, 0, 1, 1, -1, 2]
    embeddings = random_rows(6).requires_grad_()
    pairs = {frozenset(pair) for pair in ((0, 1), (0, 2), (1, 2), (3, 4))}
    mask = pair_mask([5, 5, 5, 7, 7, -1])
    expected = loop(embeddings, labels, temperature=temperature, no_negatives=pairs)
    found = supervised_contrastive_loss(embeddings, torch.tensor(labels), temperature=temperature, excluded=mask)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, embeddings), torch.autograd.grad(expected, embeddings))


@pytest.mark.parametrize("count", [3, 8])
def test_equal_embeddings_give_the_logarithm_of_the_others(count: int) -> None:
    labels = torch.zeros(count, dtype=torch.int64)
    loss = supervised_contrastive_loss(torch.ones(count, 4), labels, temperature=0.1, excluded=None)
    assert loss.item() == pytest.approx(math.log(count - 1), rel=1e-5)


def test_autocast_leaves_it_in_float32() -> None:
    embeddings, labels = random_rows(8).float(), torch.arange(8) // 2
    expected = supervised_contrastive_loss(embeddings, labels, temperature=0.1, excluded=None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = supervised_contrastive_loss(embeddings, labels, temperature=0.1, excluded=None)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_half_precision_is_computed_in_float32() -> None:
    embeddings, labels = F.normalize(random_rows(8)).bfloat16(), torch.arange(8) // 2
    found = supervised_contrastive_loss(embeddings, labels, temperature=0.1, excluded=None)
    expected = supervised_contrastive_loss(embeddings.float(), labels, temperature=0.1, excluded=None)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("labels", [[0, 1, 2], [-1, -1, 5], [-1, -1, -1]])
def test_a_batch_without_a_positive_pair_is_an_error(labels: list[int]) -> None:
    message = "labels: 3 rows, of which no two have the same known label"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        supervised_contrastive_loss(random_rows(3), torch.tensor(labels), temperature=0.1, excluded=None)


def test_a_temperature_not_above_zero_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^temperature: got 0.0; must be above 0$"):
        supervised_contrastive_loss(random_rows(2), torch.zeros(2), temperature=0.0, excluded=None)


UNPAIRED = [3, 3, 5, 5, 7, -1, -1, 7]


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_rows_that_are_no_pair_are_neither_positives_nor_negatives(temperature: float) -> None:
    labels = [0, 0, 0, 1, 1, 1, 0, 2]
    embeddings = random_rows(8).requires_grad_()
    unit = [row / row.square().sum().sqrt() for row in embeddings]
    losses = []
    for a in range(8):
        paired = [b for b in range(8) if b != a and not (UNPAIRED[a] == UNPAIRED[b] != -1)]
        logits = {b: (unit[a] * unit[b]).sum() / temperature for b in paired}
        positives = [b for b in paired if labels[b] == labels[a]]
        if positives:
            among = torch.stack(list(logits.values())).logsumexp(dim=0)
            losses.append(torch.stack([among - logits[p] for p in positives]).mean())
    expected = torch.stack(losses).mean()
    found = supervised_contrastive_loss(
        embeddings, torch.tensor(labels), temperature=temperature, unpaired=torch.tensor(UNPAIRED)
    )
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, embeddings), torch.autograd.grad(expected, embeddings))


@pytest.mark.parametrize(
    ("labels", "unpaired", "expected"),
    [
        ([0, 0], None, True),
        ([0, 1], None, False),
        ([-1, -1], None, False),
        ([0, 0], [4, 4], False),
        ([0, 0], [-1, -1], True),
        ([0, 0, 0], [4, 4, 5], True),
    ],
)
def test_whether_there_is_a_positive_pair(labels: list[int], unpaired: list[int] | None, expected: bool) -> None:
    apart = None if unpaired is None else torch.tensor(unpaired)
    rows = random_rows(len(labels)).requires_grad_()
    loss, anchors = supervised_contrastive_loss_or_zero(rows, torch.tensor(labels), unpaired=apart)
    loss.backward()
    assert rows.grad.isfinite().all()
    assert (int(anchors) > 0) is expected
    if not expected:
        assert float(loss) == 0.0
        assert not rows.grad.any()
        with pytest.raises(ValueError, match="no two have the same known label"):
            supervised_contrastive_loss(random_rows(len(labels)), torch.tensor(labels), unpaired=apart)

"""Losses of pytorch-metric-learning on tuples without the excluded ones, and with a memory."""

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning import losses, miners
from torch import Tensor

from simtrain.errors import ConfigError
from simtrain.losses.false_negatives import FalseNegatives, PairMask
from simtrain.losses.memory import CrossBatchMemory
from simtrain.losses.metric_learning import LibraryClass, MinedLoss, named_loss

LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 2, 3, 3])
# Rows 0, 2 and 5 show one picture, as do 1 and 7, and 3 and 6.
GROUPS = torch.tensor([4, 5, 4, 6, -1, 4, 6, 5, -1])
OF_TRIPLETS = ("DynamicSoftMarginLoss", "HistogramLoss", "MarginLoss", "TripletMarginLoss")
OF_PAIRS = (
    "CircleLoss",
    "ContrastiveLoss",
    "GeneralizedLiftedStructureLoss",
    "LiftedStructureLoss",
    "MultiSimilarityLoss",
    "NTXentLoss",
    "SignalToNoiseRatioContrastiveLoss",
    "SupConLoss",
    "ThresholdConsistentMarginLoss",
    "TupletMarginLoss",
)
WITH_MEMORY = sorted(set(losses.CrossBatchMemory.supported_losses()) - {"NCALoss"})


def random_embeddings(count: int = len(LABELS), *, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)))


def loss_named(
    name: str, *, miner: str | None = None, memory: CrossBatchMemory | None = None, **parameters: Any
) -> MinedLoss:
    return named_loss(
        loss=LibraryClass(name=name, parameters=parameters),
        miner=None if miner is None else LibraryClass(name=miner, parameters={}),
        classes=4,
        embedding_size=8,
        memory=memory,
    )


def memory_of(size: int) -> CrossBatchMemory:
    return CrossBatchMemory(size=size, embedding_size=8, start_step=0)


def copies() -> PairMask:
    known = FalseNegatives(duplicate_groups=GROUPS, reference=None, max_similarity=None)
    return known.of(torch.arange(len(GROUPS)))


def is_negative(a: int, n: int) -> bool:
    return bool(LABELS[a] != LABELS[n]) and not GROUPS[a] == GROUPS[n] >= 0


def triplets() -> tuple[Tensor, ...]:
    """All of the batch whose negative is no copy of the anchor."""
    found = [
        (a, p, n)
        for a, p, n in itertools.product(range(len(LABELS)), repeat=3)
        if a != p and LABELS[a] == LABELS[p] and is_negative(a, n)
    ]
    return tuple(torch.tensor(found).T)


def pairs() -> tuple[Tensor, ...]:
    """All of the batch whose negative is no copy of the anchor."""
    both = list(itertools.product(range(len(LABELS)), repeat=2))
    positive = [(a, p) for a, p in both if a != p and LABELS[a] == LABELS[p]]
    negative = [(a, n) for a, n in both if is_negative(a, n)]
    return (*torch.tensor(positive).T, *torch.tensor(negative).T)


@pytest.mark.parametrize("name", [*OF_TRIPLETS, *OF_PAIRS])
def test_excluded_pairs_are_in_no_tuple(name: str) -> None:
    embeddings = random_embeddings()
    tuples = triplets() if name in OF_TRIPLETS else pairs()
    expected = getattr(losses, name)()(embeddings, LABELS, tuples)
    found = loss_named(name)(embeddings, LABELS, excluded=copies())
    torch.testing.assert_close(found.total, expected)


@pytest.mark.parametrize("name", ["ProxyAnchorLoss", "ArcFaceLoss", "NCALoss", "FastAPLoss", "InstanceLoss"])
def test_a_loss_that_looks_at_no_tuples_sees_every_image(name: str) -> None:
    torch.manual_seed(0)
    loss = loss_named(name)
    embeddings = random_embeddings()
    torch.testing.assert_close(
        loss(embeddings, LABELS, excluded=copies()).total, loss(embeddings, LABELS, excluded=None).total
    )


@pytest.mark.parametrize("miner", ["TripletMarginMiner", "MultiSimilarityMiner", "BatchHardMiner", "HDCMiner"])
def test_excluded_pairs_are_taken_out_of_what_was_mined(miner: str) -> None:
    embeddings = random_embeddings()
    mined = getattr(miners, miner)()(embeddings, LABELS)
    anchors, negatives = (mined[0], mined[2]) if len(mined) == 3 else mined[2:]
    kept = torch.tensor([is_negative(int(a), int(n)) for a, n in zip(anchors, negatives, strict=True)])
    assert not kept.all()
    left = tuple(part[kept] for part in mined) if len(mined) == 3 else (*mined[:2], anchors[kept], negatives[kept])
    expected = losses.MultiSimilarityLoss()(embeddings, LABELS, left)
    found = loss_named("MultiSimilarityLoss", miner=miner)(embeddings, LABELS, excluded=copies())
    torch.testing.assert_close(found.total, expected)
    assert found.mined == (len(left[0]) if len(left) == 3 else len(left[0]) + len(left[2]))


def test_the_share_of_triplets_that_cost_anything_is_told() -> None:
    embeddings = random_embeddings()
    near = embeddings @ embeddings.T
    a, p, n = triplets()
    distance = (2 - 2 * near).clamp(min=0).sqrt()
    costs = distance[a, p] - distance[a, n] + 0.1
    found = loss_named("TripletMarginLoss", margin=0.1)(embeddings, LABELS, excluded=copies())
    assert found.mined == len(a)
    assert found.active_share is not None
    assert found.active_share.item() == pytest.approx((costs > 0).float().mean().item())


@pytest.mark.parametrize("name", ["ContrastiveLoss", "ProxyAnchorLoss"])
def test_a_loss_without_triplets_has_no_such_share(name: str) -> None:
    found = loss_named(name)(random_embeddings(), LABELS, excluded=None)
    assert (found.active_share, found.mined) == (None, None)


def test_nothing_mined_costs_nothing_and_keeps_its_graph() -> None:
    embeddings = F.one_hot(torch.arange(4) // 2, 8).float().requires_grad_()  # no triplet violates the margin
    loss = loss_named("MarginLoss", miner="TripletMarginMiner", learn_beta=True)
    found = loss(embeddings, torch.arange(4) // 2, excluded=None)
    assert (found.total.item(), found.mined) == (0, 0)
    learned = list(loss.parameters())
    gradients = torch.autograd.grad(found.total, [embeddings, *learned])
    assert len(learned) == 1
    assert all(gradient.abs().max() == 0 for gradient in gradients)


@pytest.mark.parametrize("miner", [None, "MultiSimilarityMiner", "TripletMarginMiner"])
@pytest.mark.parametrize("name", sorted(set(WITH_MEMORY) - {"LiftedStructureLoss"}))
def test_a_memory_gives_what_the_library_gives_of_its_own(name: str, miner: str | None) -> None:
    mine = getattr(miners, miner)() if miner is not None else None
    library = losses.CrossBatchMemory(getattr(losses, name)(), embedding_size=8, memory_size=100, miner=mine)
    loss = loss_named(name, miner=miner, memory=memory_of(100))
    for seed in range(3):
        embeddings = random_embeddings(seed=seed)
        expected = library(embeddings, LABELS)
        torch.testing.assert_close(loss(embeddings, LABELS, excluded=None).total, expected, rtol=1e-4, atol=1e-5)


def test_the_negatives_of_a_positive_in_the_batch_are_those_of_the_same_image() -> None:
    # The library's own memory takes them by their place in the ring, which is that of another image.
    loss = loss_named("LiftedStructureLoss", memory=memory_of(20))
    loss(random_embeddings(seed=1), LABELS, excluded=None)
    embeddings = random_embeddings(seed=2)
    count = len(LABELS)
    distance = torch.cdist(embeddings, torch.cat([embeddings, random_embeddings(seed=1)]))
    negatives = LABELS[:, None] != LABELS.repeat(2)
    costs = []
    for a, p in itertools.product(range(count), range(2 * count)):
        if a != p and LABELS[a] == LABELS[p % count]:
            near = [distance[a][negatives[a]], *([distance[p][negatives[p]]] if p < count else [])]
            costs.append(F.relu((1 - torch.cat(near)).logsumexp(dim=0) + distance[a, p]) ** 2 / 2)
    torch.testing.assert_close(loss(embeddings, LABELS, excluded=None).total, torch.stack(costs).mean())


def test_what_a_memory_holds_can_be_excluded_too() -> None:
    memory = memory_of(20)
    loss = loss_named("ContrastiveLoss", memory=memory)
    loss(random_embeddings(seed=1), LABELS, excluded=copies())
    embeddings = random_embeddings(seed=2)
    references = torch.cat([embeddings, random_embeddings(seed=1)])
    rows = range(len(LABELS))
    count = len(LABELS)
    positive = [(a, b) for a in rows for b in range(2 * count) if a != b and LABELS[a] == LABELS[b % count]]
    negative = [(a, b) for a in rows for b in range(2 * count) if is_negative(a, b % count)]
    tuples = (*torch.tensor(positive).T, *torch.tensor(negative).T)
    expected = losses.ContrastiveLoss()(embeddings, LABELS, tuples, references, LABELS.repeat(2))
    torch.testing.assert_close(loss(embeddings, LABELS, excluded=copies()).total, expected)


@pytest.mark.parametrize("name", ["ProxyAnchorLoss", "ArcFaceLoss", "NCALoss", "FastAPLoss"])
def test_a_loss_that_cannot_use_a_memory_is_an_error(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loss_named(name, memory=memory_of(8))
    assert str(caught.value) == (
        f"memory: {name} cannot compare with earlier batches; set it to null, or take one of {', '.join(WITH_MEMORY)}"
    )


def test_a_parameter_that_does_not_go_with_a_memory_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"^objective: TripletMarginLoss does not work on labelled embeddings with a"):
        loss_named("TripletMarginLoss", memory=memory_of(8), swap=True)


def test_trying_a_loss_out_leaves_the_memory_empty() -> None:
    memory = memory_of(8)
    loss_named("ContrastiveLoss", memory=memory)
    assert len(memory) == 0


def test_what_a_loss_learned_of_past_batches_is_in_the_checkpoint() -> None:
    first, resumed = loss_named("DynamicSoftMarginLoss"), loss_named("DynamicSoftMarginLoss")
    first(random_embeddings(seed=1), LABELS, excluded=None)
    resumed.load_state_dict(first.state_dict())
    expected = first(random_embeddings(seed=2), LABELS, excluded=None).total
    assert torch.equal(resumed(random_embeddings(seed=2), LABELS, excluded=None).total, expected)


@pytest.mark.parametrize("name", ["DynamicSoftMarginLoss", "HistogramLoss", "MarginLoss", "ProxyAnchorLoss"])
def test_a_loss_trains_for_several_steps(name: str) -> None:
    loss = loss_named(name)
    for seed in range(3):
        embeddings = random_embeddings(seed=seed).requires_grad_()
        loss(embeddings, LABELS, excluded=None).total.backward()
        assert embeddings.grad is not None
        assert torch.isfinite(embeddings.grad).all()
    assert all(value.grad_fn is None for value in loss.buffers())

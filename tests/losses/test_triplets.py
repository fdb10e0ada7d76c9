"""The triplet loss against a loop over all triplets, and against pytorch-metric-learning's miners."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning import distances, losses, miners
from torch import Tensor

from simtrain.losses.false_negatives import FalseNegatives, PairMask
from simtrain.losses.loss_value import LossValue
from simtrain.losses.memory import CrossBatchMemory
from simtrain.losses.metric_learning import triplet_loss

DISTANCES = ("cosine", "euclidean")
MINERS = ("batch_hard", "semi_hard", "hard_negatives", "all")


def random_embeddings(labels: Sequence[int], *, features: int = 8, seed: int = 0) -> Tensor:
    return 3 * torch.randn(len(labels), features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@dataclass(frozen=True)
class Expected:
    total: Tensor
    active: int
    mined: int


def brute_force(
    embeddings: Tensor,
    labels: Sequence[int],
    *,
    margin: float,
    distance: str,
    miner: str,
    no_negatives: Sequence[set[int]] = (),
    earlier: Tensor | None = None,
    earlier_labels: Sequence[int] = (),
) -> Expected:
    """Mean cost of the miner's triplets that cost anything, by a loop over all triplets, which autograd follows.

    `no_negatives` are sets of rows (earlier batches' after the batch's own) that are no negatives of each other.
    """
    unit = F.normalize(embeddings if earlier is None else torch.cat([embeddings, earlier]))
    every = [*labels, *earlier_labels]

    def near(a: int, b: int) -> Tensor:  # grows with similarity
        return unit[a] @ unit[b] if distance == "cosine" else -(unit[a] - unit[b]).norm()

    costs = []
    for a in range(len(labels)):
        nearness = {b: near(a, b) for b in range(len(every)) if b != a}
        positives = [b for b in nearness if every[b] == every[a]]
        negatives = [b for b in nearness if every[b] != every[a] and not any({a, b} <= alike for alike in no_negatives)]
        for p, n in itertools.product(positives, negatives):
            gap = nearness[p] - nearness[n]
            hardest_negative = all(nearness[n] >= nearness[b] for b in negatives)
            farthest_positive = all(nearness[p] <= nearness[b] for b in positives)
            if {
                "batch_hard": hardest_negative and farthest_positive,
                "hard_negatives": hardest_negative,
                "semi_hard": bool(0 < gap <= margin),
                "all": True,
            }[miner]:
                costs.append(margin - gap)
    active = [cost for cost in costs if cost > 0]
    total = torch.stack(active).mean() if active else 0 * unit.sum()
    return Expected(total=total, active=len(active), mined=len(costs))


def check(found: LossValue, expected: Expected, embeddings: Tensor) -> None:
    torch.testing.assert_close(found.total, expected.total, rtol=1e-9, atol=1e-9)
    (gradient,) = torch.autograd.grad(found.total, embeddings)
    (exact,) = torch.autograd.grad(expected.total, embeddings)
    torch.testing.assert_close(gradient, exact, rtol=1e-8, atol=1e-9)
    assert found.mined == expected.mined
    assert found.active_share is not None
    assert found.active_share.item() == pytest.approx(expected.active / max(expected.mined, 1))


def mask_of(groups: list[int]) -> PairMask:
    known = FalseNegatives(duplicate_groups=torch.tensor(groups), reference=None, max_similarity=None)
    return known.of(torch.arange(len(groups)))


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 2, 3, 3, 3, 3], [5, 2, 5, 2, 2, 9], [4, 4, 4]])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("miner", MINERS)
def test_triplets_equal_brute_force(miner: Any, distance: Any, labels: list[int]) -> None:
    for seed, margin in ((0, 0.05), (1, 0.2), (2, 1.0)):
        embeddings = random_embeddings(labels, seed=seed).requires_grad_()
        expected = brute_force(embeddings, labels, margin=margin, distance=distance, miner=miner)
        loss = triplet_loss(margin=margin, distance=distance, miner=miner, memory=None)
        check(loss(embeddings, torch.tensor(labels), excluded=None), expected, embeddings)


def test_the_brute_force_tells_the_miners_apart() -> None:
    labels = [0, 0, 0, 1, 1, 1, 2, 2, 2]
    embeddings = random_embeddings(labels, seed=3)
    totals = [brute_force(embeddings, labels, margin=0.2, distance=d, miner=m).total for d in DISTANCES for m in MINERS]
    assert len({round(total.item(), 6) for total in totals}) == 8


def library_miner(miner: str, *, margin: float, measure: Any) -> Any:
    match miner:
        case "batch_hard":
            return miners.BatchHardMiner(distance=measure)
        case "semi_hard":
            return miners.TripletMarginMiner(margin=margin, type_of_triplets="semihard", distance=measure)
        case "hard_negatives":
            return miners.BatchEasyHardMiner(pos_strategy="all", neg_strategy="hard", distance=measure)
    return None


@pytest.mark.parametrize("rows_at_once", [1, 7, 1000])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("miner", MINERS)
def test_triplets_equal_those_of_pytorch_metric_learning(
    miner: Any, distance: Any, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simtrain.losses.triplets._PAIRS_ON_CPU", 96 * rows_at_once)
    labels = torch.randint(0, 30, (96,), generator=torch.Generator().manual_seed(0))
    embeddings = random_embeddings(labels.tolist()).requires_grad_()
    measure = distances.CosineSimilarity() if distance == "cosine" else distances.LpDistance()
    mine = library_miner(miner, margin=0.2, measure=measure)
    mined = mine(embeddings.detach(), labels) if mine is not None else None
    expected = losses.TripletMarginLoss(margin=0.2, distance=measure)(embeddings, labels, mined)
    found = triplet_loss(margin=0.2, distance=distance, miner=miner, memory=None)(embeddings, labels, excluded=None)
    torch.testing.assert_close(found.total, expected, rtol=1e-6, atol=1e-7)
    (gradient,) = torch.autograd.grad(found.total, embeddings)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, embeddings)[0], rtol=1e-5, atol=1e-7)
    if miner in ("batch_hard", "semi_hard"):
        assert found.mined == len(mined[0])


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("miner", MINERS)
def test_an_excluded_negative_leaves_its_place_to_the_next(miner: Any, distance: Any) -> None:
    labels = [0, 0, 1, 1, 2, 2, 3, 3, 3]
    groups = [7, -1, 7, 8, 8, 7, 7, 9, 9]
    alike = [{0, 2, 5, 6}, {3, 4}, {7, 8}]
    embeddings = random_embeddings(labels, seed=5).requires_grad_()
    expected = brute_force(embeddings, labels, margin=0.5, distance=distance, miner=miner, no_negatives=alike)
    loss = triplet_loss(margin=0.5, distance=distance, miner=miner, memory=None)
    check(loss(embeddings, torch.tensor(labels), excluded=mask_of(groups)), expected, embeddings)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("miner", MINERS)
def test_a_batch_without_a_negative_costs_nothing_and_keeps_its_graph(miner: Any, distance: Any) -> None:
    embeddings = random_embeddings([0, 0, 1, 1]).requires_grad_()
    loss = triplet_loss(margin=0.2, distance=distance, miner=miner, memory=None)
    found = loss(embeddings, torch.tensor([0, 0, 1, 1]), excluded=mask_of([5, 5, 5, 5]))
    assert (found.total.item(), found.mined, found.active_share.item()) == (0, 0, 0)
    assert torch.autograd.grad(found.total, embeddings)[0].abs().max() == 0


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("miner", MINERS)
def test_a_memory_gives_more_positives_and_negatives(miner: Any, distance: Any) -> None:
    memory = CrossBatchMemory(size=6, embedding_size=8, start_step=0).double()
    labels, earlier_labels = [0, 0, 1, 1], [1, 2, 0, 3, 2]
    embeddings = random_embeddings(labels, seed=1).requires_grad_()
    earlier = random_embeddings(earlier_labels, seed=2)
    memory.store(F.normalize(earlier), torch.tensor(earlier_labels), None)
    expected = brute_force(
        embeddings,
        labels,
        margin=0.5,
        distance=distance,
        miner=miner,
        earlier=earlier,
        earlier_labels=earlier_labels,
    )
    loss = triplet_loss(margin=0.5, distance=distance, miner=miner, memory=memory)
    check(loss(embeddings, torch.tensor(labels), excluded=None), expected, embeddings)


def test_what_a_memory_holds_can_be_excluded_too() -> None:
    memory = CrossBatchMemory(size=6, embedding_size=8, start_step=0).double()
    labels, earlier_labels = [0, 0, 1, 1], [1, 2, 0, 3, 2]
    embeddings = random_embeddings(labels, seed=1).requires_grad_()
    earlier = random_embeddings(earlier_labels, seed=2)
    memory.store(F.normalize(earlier), torch.tensor(earlier_labels), torch.tensor([4, 5, 6, 7, -1]))
    expected = brute_force(
        embeddings,
        labels,
        margin=0.5,
        distance="cosine",
        miner="all",
        no_negatives=[{0, 5}, {2, 7}],
        earlier=earlier,
        earlier_labels=earlier_labels,
    )
    known = FalseNegatives(
        duplicate_groups=torch.tensor([1, -1, 2, -1, -1, 1, -1, 2]), reference=None, max_similarity=None
    )
    loss = triplet_loss(margin=0.5, distance="cosine", miner="all", memory=memory)
    check(loss(embeddings, torch.tensor(labels), excluded=known.of(torch.arange(4))), expected, embeddings)
    assert sorted(memory.held()[2].tolist()) == [-1, 0, 1, 2, 3, 7]  # of 9, the latest 6


def test_a_batch_enters_the_memory_in_training_only() -> None:
    memory = CrossBatchMemory(size=8, embedding_size=8, start_step=0)
    loss = triplet_loss(margin=0.2, distance="cosine", miner="all", memory=memory)
    embeddings, labels = random_embeddings([0, 0, 1, 1]).float(), torch.tensor([0, 0, 1, 1])
    loss.eval()(embeddings, labels, excluded=None)
    assert len(memory) == 0
    loss.train()(embeddings, labels, excluded=None)
    torch.testing.assert_close(memory.held()[0], F.normalize(embeddings))
    assert memory.held()[1].tolist() == [0, 0, 1, 1]


def test_a_batch_whose_loss_is_no_number_leaves_the_memory_of_a_checkpoint_as_it_was() -> None:
    memory = CrossBatchMemory(size=6, embedding_size=8, start_step=0)
    loss = triplet_loss(margin=0.2, distance="cosine", miner="all", memory=memory).train()
    labels = torch.tensor([0, 0, 1, 1])
    loss(random_embeddings([0, 0, 1, 1]).float(), labels, excluded=None)
    before = {name: value.clone() for name, value in memory.state_dict().items()}
    broken = random_embeddings([0, 0, 1, 1], seed=1).float()
    broken[2, 3] = torch.nan
    assert loss(broken, labels, excluded=None).total.isnan()
    assert all(torch.equal(value, before[name]) for name, value in memory.state_dict().items())
    resumed = CrossBatchMemory(size=6, embedding_size=8, start_step=0)
    resumed.load_state_dict(memory.state_dict())
    assert len(resumed) == 4


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("miner", MINERS)
def test_identical_images_leave_the_gradient_finite(miner: Any, distance: Any) -> None:
    labels = torch.arange(40) // 4
    embeddings = random_embeddings(labels.tolist()).float()
    embeddings[1] = embeddings[0]
    embeddings[8] = embeddings[0]
    embeddings.requires_grad_()
    loss = triplet_loss(margin=0.2, distance=distance, miner=miner, memory=None)
    loss(embeddings, labels, excluded=None).total.backward()
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("miner", MINERS)
def test_what_is_not_a_number_stays_so(miner: Any, distance: Any) -> None:
    embeddings = random_embeddings([0, 0, 1, 1, 2, 2])
    embeddings[:, 1] = math.nan
    loss = triplet_loss(margin=0.2, distance=distance, miner=miner, memory=None)
    assert loss(embeddings, torch.arange(6) // 2, excluded=None).total.isnan()


@pytest.mark.parametrize("distance", DISTANCES)
def test_autocast_leaves_it_in_float32(distance: Any) -> None:
    labels = torch.arange(12) // 2
    embeddings = random_embeddings(labels.tolist()).float()
    loss = triplet_loss(margin=0.2, distance=distance, miner="all", memory=None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(embeddings, labels, excluded=None).total
    torch.testing.assert_close(found, loss(embeddings, labels, excluded=None).total, rtol=0, atol=0)

"""Coarser levels: which values and pairs a batch has, and how the loss is added."""

import pytest
import torch
from tiny_training import TinyEncoder, noise_batch, training_settings
from torch import Tensor

from simtrain.losses.metric_learning import triplet_loss
from simtrain.losses.row_facts import RowFacts
from simtrain.losses.supervised import supervised_contrastive_loss
from simtrain.modules.coarser_level import CoarserLevel
from simtrain.modules.global_batch import AuxiliaryLosses
from simtrain.modules.metric_learning import MetricLearningModule, MetricLearningSettings


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def level(numbers: list[int], *, weight: float = 0.3) -> CoarserLevel:
    return CoarserLevel(
        column="label", numbers=RowFacts(torch.tensor(numbers), unknown=-1), weight=weight, temperature=0.2
    )


def test_values_are_looked_up_by_row_and_groups_of_the_objective_are_no_pairs() -> None:
    embeddings = random(6, 4)
    rows, groups = torch.tensor([5, 0, 1, 2, 3, 4]), torch.tensor([0, 0, 1, 1, 2, 2])
    found, among = level([0, 0, 1, 1, -1, 0]).loss(embeddings, rows=rows, groups=groups)
    values = torch.tensor([0, 0, 0, 1, 1, -1])
    expected = supervised_contrastive_loss(embeddings, values, temperature=0.2, unpaired=groups)
    torch.testing.assert_close(found, expected)
    assert int(among) == 5  # all that have a value: each has another product of its kind


def test_the_pull_is_towards_other_products_of_the_kind_only() -> None:
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [-1.0, 0.0]], requires_grad=True)
    groups = torch.tensor([0, 0, 1, 2])
    loss, _ = level([0, 0, 0, 1]).loss(embeddings, rows=torch.arange(4), groups=groups)
    (gradient,) = torch.autograd.grad(loss, embeddings)
    assert gradient[0] @ torch.tensor([0.0, 1.0]) < 0  # a step turns the first image towards the other product


@pytest.mark.parametrize("numbers", [[0, 0, 1, 1], [-1, -1, -1, -1], [0, 0, -1, -1]])
def test_a_batch_without_two_products_of_one_kind_goes_without(numbers: list[int]) -> None:
    groups = torch.tensor([0, 0, 1, 1])
    embeddings = random(4, 3).requires_grad_()
    loss, among = level(numbers).loss(embeddings, rows=torch.arange(4), groups=groups)
    loss.backward()
    assert (float(loss), int(among)) == (0.0, 0)
    assert torch.equal(embeddings.grad, torch.zeros(4, 3))


@pytest.mark.parametrize("weight", [0.1, 2.0])
def test_beside_another_loss_it_is_added_times_its_weight(weight: float) -> None:
    batch = noise_batch(samples=8, views=1)

    def value(*levels: CoarserLevel) -> tuple[float, dict[str, float]]:
        torch.manual_seed(0)
        module = MetricLearningModule(
            objective=MetricLearningSettings(
                mined_loss=triplet_loss(margin=0.2, distance="cosine", miner="batch_hard", memory=None),
                false_negatives=None,
            ),
            encoder=TinyEncoder(),
            head=None,
            settings=training_settings(),
            validation=None,
            auxiliary=AuxiliaryLosses(levels=levels),
        )
        found = module.value(module.gather_batch(batch))
        return float(found.total.detach()), {name: float(part) for name, part in found.parts.items()}

    alone, _ = value()
    together, parts = value(level([0, 0, 0, 0, 1, 1, 1, 1], weight=weight))
    assert together == pytest.approx(alone + weight * parts["level_label"])
    assert parts["level_label"] > 0

"""Relational distillation as an objective of its own."""

import math

import pytest
import torch
from tiny_training import TinyEncoder, noise_batch, training_settings
from torch import Tensor

from simtrain.modules.distill import DistillModule
from simtrain.modules.global_batch import AuxiliaryLosses, GlobalBatch
from simtrain.modules.relational_teacher import RelationalTeacher


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def teacher(vectors: Tensor, *, duplicates: Tensor | None = None, other_groups: bool = False) -> RelationalTeacher:
    alone = torch.full((len(vectors),), -1)
    return RelationalTeacher(
        vectors,
        duplicate_groups=alone if duplicates is None else duplicates,
        temperature=0.1,
        other_groups=other_groups,
    )


def test_a_module_of_its_own_learns_the_similarities_of_the_batch() -> None:
    known = teacher(random(8, 5))
    module = DistillModule(
        teacher=known,
        label_weight=0.0,
        encoder=TinyEncoder(),
        settings=training_settings(freeze_batch_norm=True),
        validation=None,
        auxiliary=AuxiliaryLosses(teacher=known),
    ).train()
    batch = noise_batch(samples=8, views=1)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.003)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        value = module.value(module.gather_batch(batch))
        value.total.backward()
        optimizer.step()
        losses.append(value.total.item())
    assert losses[-1] < 0.7 * losses[0]
    assert value.parts["relations"].item() == losses[-1]


def with_labels(weight: float, labels: list[int], *, views: int = 1) -> tuple[DistillModule, GlobalBatch]:
    known = teacher(random(len(labels), 5))
    module = DistillModule(
        teacher=known,
        label_weight=weight,
        encoder=TinyEncoder(),
        settings=training_settings(freeze_batch_norm=True),
        validation=None,
        auxiliary=AuxiliaryLosses(teacher=known),
    ).train()
    return module, module.gather_batch(noise_batch(samples=len(labels), views=views, labels=labels))


def supervised_by_loops(vectors: Tensor, labels: list[int]) -> float:
    """Mean over the anchors of the mean cross-entropy of their positives, at a temperature of 0.1."""
    unit, terms = torch.nn.functional.normalize(vectors.double(), dim=1), []
    for i, label in enumerate(labels):
        positives = [j for j, other in enumerate(labels) if j != i and other == label != -1]
        if positives:
            logits = {j: float(unit[i] @ unit[j]) / 0.1 for j in range(len(labels)) if j != i}
            total = math.log(sum(math.exp(value) for value in logits.values()))
            terms.append(sum(total - logits[j] for j in positives) / len(positives))
    return sum(terms) / len(terms)


@pytest.mark.parametrize("views", [1, 2])
def test_labels_add_a_weighted_supervised_loss(views: int) -> None:
    labels = [0, 1, 0, -1, 1, 2]
    module, batch = with_labels(0.2, labels, views=views)
    plain, _ = with_labels(0.0, labels, views=views)
    value, relations = module.loss(batch), plain.loss(batch)
    supervised = supervised_by_loops(batch.embeddings.detach(), labels * views)
    assert value.parts["supervised"].item() == pytest.approx(supervised, rel=1e-5)
    assert value.total.item() == pytest.approx(relations.total.item() + 0.2 * supervised, rel=1e-5)


def test_a_batch_without_a_pair_of_labels_goes_without_it() -> None:
    module, batch = with_labels(0.2, [0, 1, 2, -1, -1, 3])
    value = module.loss(batch)
    assert value.parts["supervised"].isnan()
    assert value.total == value.parts["relations"]

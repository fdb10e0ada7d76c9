"""Relational distillation as an objective of its own."""

import torch
from tiny_training import TinyEncoder, noise_batch, training_settings
from torch import Tensor

from simtrain.modules.distill import DistillModule
from simtrain.modules.global_batch import AuxiliaryLosses
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

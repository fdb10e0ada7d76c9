"""What a training step takes from a teacher: vectors by catalogue row, and which pairs are left out."""

import pytest
import torch
from tiny_training import TinyEncoder, noise_batch, training_settings
from torch import Tensor

from simtrain.losses.metric_learning import triplet_loss
from simtrain.losses.relational_distillation import relational_distillation_loss
from simtrain.modules.global_batch import AuxiliaryLosses
from simtrain.modules.metric_learning import MetricLearningModule, MetricLearningSettings
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


@pytest.mark.parametrize("other_groups", [False, True])
def test_vectors_are_looked_up_by_row_and_pairs_are_left_out(other_groups: bool) -> None:
    vectors, embeddings = random(10, 5), random(6, 4, seed=1)
    duplicates = torch.tensor([0, 1, 2, 2, -1, -1, -1, -1, -1, -1])
    rows, groups = torch.tensor([3, 2, 9, 4, 4, 0]), torch.tensor([7, -1, 7, -1, 5, 5])
    found = teacher(vectors, duplicates=duplicates, other_groups=other_groups).loss(
        embeddings, rows=rows, groups=groups
    )
    copies = torch.tensor([0, 0, -1, 1, 1, -1])  # rows 3 and 2 are copies; row 4 stands there twice
    left_out = [copies, groups] if other_groups else [copies]
    expected = relational_distillation_loss(embeddings, vectors[rows], temperature=0.1, left_out=left_out)
    torch.testing.assert_close(found, expected)


def test_half_of_the_digits_are_enough() -> None:
    vectors, embeddings, rows = random(10, 5), random(10, 4, seed=1), torch.arange(10)
    groups = torch.full((10,), -1)
    whole, half = (teacher(kept).loss(embeddings, rows=rows, groups=groups) for kept in (vectors, vectors.half()))
    torch.testing.assert_close(half, whole, rtol=1e-2, atol=0)


@pytest.mark.parametrize("weight", [0.15, 2.0])
def test_beside_another_loss_it_is_added_times_its_weight(weight: float) -> None:
    known = teacher(random(8, 5), other_groups=True)
    module = MetricLearningModule(
        objective=MetricLearningSettings(
            mined_loss=triplet_loss(margin=0.2, distance="cosine", miner="batch_hard", memory=None),
            false_negatives=None,
        ),
        encoder=TinyEncoder(),
        head=None,
        settings=training_settings(),
        validation=None,
        auxiliary=AuxiliaryLosses(teacher=known, teacher_weight=weight),
    ).eval()
    batch = noise_batch(samples=8, views=1)
    gathered = module.gather_batch(batch)
    relations = known.loss(gathered.embeddings, rows=torch.arange(8), groups=torch.arange(8) // 2)
    value = module.value(gathered)
    torch.testing.assert_close(value.total, module.loss(gathered).total + weight * relations)
    torch.testing.assert_close(value.parts["relations"], relations.detach())

"""Losses that are used alone, with the defaults of a configuration."""

import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner

from simtrain import losses
from simtrain.config import DistillationConfig
from simtrain.config.objective import SimCLRConfig, TripletConfig

LABELS = torch.arange(12) // 3


def rows(*, seed: int = 0) -> torch.Tensor:
    return torch.randn(12, 7, generator=torch.Generator().manual_seed(seed))


def test_nt_xent_has_the_temperature_of_the_configuration():
    temperature = SimCLRConfig(kind="simclr").temperature
    assert losses.nt_xent_loss(rows()) == losses.nt_xent_loss(rows(), temperature=temperature)


def test_relational_distillation_has_the_temperature_of_the_configuration():
    temperature, teacher = DistillationConfig().temperature, rows(seed=1)
    chosen = losses.relational_distillation_loss(rows(), teacher, temperature=temperature, left_out=[])
    assert losses.relational_distillation_loss(rows(), teacher) == chosen


def test_triplets_have_the_defaults_of_the_configuration():
    usual = TripletConfig(kind="triplet")
    chosen = losses.triplet_margin_loss(rows(), LABELS, margin=usual.margin, distance=usual.distance, miner=usual.miner)
    assert losses.triplet_margin_loss(rows(), LABELS) == chosen


def test_triplets_are_those_of_the_library():
    similarity = CosineSimilarity()
    mined = BatchHardMiner(distance=similarity)(rows(), LABELS)
    expected = TripletMarginLoss(margin=0.2, distance=similarity)(rows(), LABELS, mined)
    assert losses.triplet_margin_loss(rows(), LABELS).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_batch_with_nothing_to_learn_from_is_refused():
    with pytest.raises(ValueError, match=r"^labels: 12 rows, of which no two have the same label$"):
        losses.triplet_margin_loss(rows(), torch.arange(12))


def test_image_text_takes_a_plain_number_as_scale():
    images, texts = rows(), rows(seed=1)
    assert losses.image_text_loss(images, texts, scale=20.0) == losses.image_text_loss(
        images, texts, scale=torch.tensor(20.0)
    )


def test_every_public_loss_gives_a_gradient():
    for loss in (
        losses.nt_xent_loss,
        lambda batch: losses.relational_distillation_loss(batch, rows(seed=1)),
        lambda batch: losses.supervised_contrastive_loss(batch, LABELS),
        lambda batch: losses.triplet_margin_loss(batch, LABELS),
        lambda batch: losses.image_text_loss(batch, rows(seed=1)),
    ):
        batch = rows().requires_grad_()
        loss(batch).backward()
        assert batch.grad is not None
        assert bool(batch.grad.abs().sum() > 0)

"""Training modules of every kind on the tiny encoder."""

from typing import Any

import torch
from tiny_training import (
    TinyEncoder,
    simclr_settings,
    training_settings,
)
from torch import Tensor, nn

from simtrain.data.batch import Batch
from simtrain.losses.metric_learning import triplet_loss
from simtrain.modules.base import RetrievalModule
from simtrain.modules.heads import projection_head
from simtrain.modules.metric_learning import MetricLearningModule, MetricLearningSettings
from simtrain.modules.simclr import SimCLRModule


def total(module: RetrievalModule, batch: Batch) -> Tensor:
    return module.loss(module.gather_batch(batch)).total


def head() -> nn.Sequential:
    torch.manual_seed(1)
    return projection_head(input_size=12, hidden_size=16, output_size=6)


def simclr(*, encoder: TinyEncoder | None = None, head: nn.Module | None = None, **settings: Any) -> SimCLRModule:
    return SimCLRModule(
        objective=simclr_settings(temperature=0.2),
        encoder=encoder if encoder is not None else TinyEncoder(),
        head=head,
        settings=training_settings(**settings),
        validation=None,
    )


def triplet(**settings: Any) -> MetricLearningModule:
    return MetricLearningModule(
        objective=MetricLearningSettings(
            mined_loss=triplet_loss(margin=0.2, distance="cosine", miner="hard_negatives", memory=None),
            false_negatives=None,
        ),
        encoder=TinyEncoder(),
        head=None,
        settings=training_settings(**settings),
        validation=None,
    )

"""Objective of the user's own: a callable from embeddings and labels to a loss."""

# Shapes: B samples, V views, O dimensions that the loss sees.

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.losses.loss_value import LossValue
from simtrain.modules.base import RetrievalModule
from simtrain.modules.global_batch import NO_AUXILIARY_LOSSES, AuxiliaryLosses, GlobalBatch, TrainingSettings

OwnLoss = Callable[[Tensor, Tensor], Tensor]
"""From (V·B, O) float32 embeddings, not yet of unit length, and (V·B,) int64 labels to a scalar."""


@dataclass(frozen=True, kw_only=True)
class OwnObjectiveSettings:
    """Settings of a loss of the user's own.

    Attributes:
        own_loss: The loss; the weights of an `nn.Module` are trained with the head's learning rate, and checkpointed.
        labelled: Whether the batch has labels; without, the views of an image have the same, and no other image has it.
    """

    own_loss: OwnLoss
    labelled: bool


class OwnObjectiveModule(RetrievalModule):
    """A loss of the user's own.

    Args:
        objective: Settings of the loss.
        encoder: Encoder to fine-tune.
        head: Projection head that export drops, or None.
        settings: Settings of optimizer, freezing, weight averaging and memory.
        validation: Retrieval task of validation, or None.
        auxiliary: Auxiliary losses: texts, and regularisation towards the initial weights.
    """

    def __init__(
        self,
        *,
        objective: OwnObjectiveSettings,
        encoder: Encoder,
        head: nn.Module | None,
        settings: TrainingSettings,
        validation: RetrievalTask | None,
        auxiliary: AuxiliaryLosses = NO_AUXILIARY_LOSSES,
    ) -> None:
        super().__init__(encoder=encoder, head=head, settings=settings, validation=validation, auxiliary=auxiliary)
        self.own_loss = objective.own_loss
        self._labelled = objective.labelled

    @override
    def loss(self, batch: GlobalBatch) -> LossValue:
        with torch.autocast(batch.embeddings.device.type, enabled=False):
            return LossValue(total=self.own_loss(batch.embeddings.float(), self.positives(batch)))

    @override
    def positives(self, batch: GlobalBatch) -> Tensor:
        samples, views = batch.rows.shape
        labels = batch.labels if self._labelled else torch.arange(samples, device=batch.rows.device)
        return labels.repeat(views)

"""SimCLR objective (https://arxiv.org/abs/2002.05709)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.losses.false_negatives import FalseNegatives
from simtrain.losses.loss_value import LossValue
from simtrain.losses.nt_xent import nt_xent_loss
from simtrain.losses.supervised import supervised_contrastive_loss_or_zero
from simtrain.modules.base import RetrievalModule
from simtrain.modules.global_batch import NO_AUXILIARY_LOSSES, AuxiliaryLosses, GlobalBatch, TrainingSettings


@dataclass(frozen=True, kw_only=True)
class SimCLRSettings:
    """Settings of the SimCLR loss.

    Attributes:
        temperature: Divides the cosine similarities; above 0.
        decoupled: Whether the partner is left out of the denominator.
        label_weight: Factor of the supervised contrastive loss over the batch's labels, which is added; 0: none.
        false_negatives: Pairs excluded from the negatives; None: all other views are negatives.
    """

    temperature: float
    decoupled: bool
    label_weight: float
    false_negatives: FalseNegatives | None


class SimCLRModule(RetrievalModule):
    """NT-Xent between two views: augmentations of one image, or two pictures of one product.

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
        objective: SimCLRSettings,
        encoder: Encoder,
        head: nn.Module | None,
        settings: TrainingSettings,
        validation: RetrievalTask | None,
        auxiliary: AuxiliaryLosses = NO_AUXILIARY_LOSSES,
    ) -> None:
        super().__init__(encoder=encoder, head=head, settings=settings, validation=validation, auxiliary=auxiliary)
        self._objective = objective

    @property
    @override
    def temperature(self) -> float:
        return self._objective.temperature

    @override
    def loss(self, batch: GlobalBatch) -> LossValue:
        objective = self._objective
        excluded = objective.false_negatives.of(batch.flat_rows) if objective.false_negatives is not None else None
        contrast = nt_xent_loss(
            batch.embeddings, temperature=objective.temperature, decoupled=objective.decoupled, excluded=excluded
        )
        value = LossValue(total=contrast, parts={"nt_xent": contrast.detach()})
        if not objective.label_weight:
            return value
        labels = batch.labels.repeat(batch.rows.shape[1])
        supervised, among = supervised_contrastive_loss_or_zero(
            batch.embeddings, labels, temperature=objective.temperature, excluded=excluded
        )
        return value.plus("supervised", supervised, weight=objective.label_weight, among=among)

    @override
    def positives(self, batch: GlobalBatch) -> Tensor:
        samples, views = batch.rows.shape
        return torch.arange(samples, device=batch.rows.device).repeat(views)

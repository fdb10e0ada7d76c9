"""Training module of relational distillation, with a supervised loss where there are labels."""

import torch
from torch import Tensor
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.losses.loss_value import LossValue
from simtrain.losses.supervised import supervised_contrastive_loss_or_zero
from simtrain.modules.base import RetrievalModule
from simtrain.modules.global_batch import AuxiliaryLosses, GlobalBatch, TrainingSettings
from simtrain.modules.relational_teacher import RelationalTeacher


class DistillModule(RetrievalModule):
    """Relational distillation: similarities within a batch follow those of the teacher. It needs no labels.

    Args:
        teacher: Teacher vectors of the training images.
        label_weight: Weight of the supervised contrastive loss over the labels of a batch, 0 or more; its temperature
            is the teacher's. It is 0 for a batch without two images of one label.
        encoder: Encoder that is fine-tuned.
        settings: Training settings: optimizer, freezing, averaging, memory.
        validation: Retrieval task that validation scores, or None.
        auxiliary: Auxiliary losses; they hold the same `teacher`.
    """

    def __init__(
        self,
        *,
        teacher: RelationalTeacher,
        label_weight: float,
        encoder: Encoder,
        settings: TrainingSettings,
        validation: RetrievalTask | None,
        auxiliary: AuxiliaryLosses,
    ) -> None:
        super().__init__(encoder=encoder, head=None, settings=settings, validation=validation, auxiliary=auxiliary)
        self._teacher = teacher
        self._label_weight = label_weight

    @property
    @override
    def temperature(self) -> float:
        return self._teacher.temperature

    @override
    def loss(self, batch: GlobalBatch) -> LossValue:
        loss = self._teacher.loss(batch.embeddings, rows=batch.flat_rows, groups=self.positives(batch))
        value = LossValue(total=loss, parts={"relations": loss.detach()})
        if not self._label_weight:
            return value
        labels = batch.labels.repeat(batch.rows.shape[1])
        supervised, among = supervised_contrastive_loss_or_zero(batch.embeddings, labels, temperature=self.temperature)
        return value.plus("supervised", supervised, weight=self._label_weight, among=among)

    @override
    def positives(self, batch: GlobalBatch) -> Tensor:
        samples, views = batch.rows.shape
        return torch.arange(samples, device=batch.rows.device).repeat(views)

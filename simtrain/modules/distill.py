"""Training module of relational distillation alone, which needs no labels."""

import torch
from torch import Tensor
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.losses.loss_value import LossValue
from simtrain.modules.base import RetrievalModule
from simtrain.modules.global_batch import AuxiliaryLosses, GlobalBatch, TrainingSettings
from simtrain.modules.relational_teacher import RelationalTeacher


class DistillModule(RetrievalModule):
    """Module whose only loss is relational distillation: similarities within a batch follow those of the teacher.

    Args:
        teacher: Teacher vectors of the training images.
        encoder: Encoder that is fine-tuned.
        settings: Training settings: optimizer, freezing, averaging, memory.
        validation: Retrieval task that validation scores, or None.
        auxiliary: Auxiliary losses; they hold the same `teacher`.
    """

    def __init__(
        self,
        *,
        teacher: RelationalTeacher,
        encoder: Encoder,
        settings: TrainingSettings,
        validation: RetrievalTask | None,
        auxiliary: AuxiliaryLosses,
    ) -> None:
        super().__init__(encoder=encoder, head=None, settings=settings, validation=validation, auxiliary=auxiliary)
        self._teacher = teacher

    @property
    @override
    def temperature(self) -> float:
        return self._teacher.temperature

    @override
    def loss(self, batch: GlobalBatch) -> LossValue:
        loss = self._teacher.loss(batch.embeddings, rows=batch.flat_rows, groups=self.positives(batch))
        return LossValue(total=loss, parts={"relations": loss.detach()})

    @override
    def positives(self, batch: GlobalBatch) -> Tensor:
        samples, views = batch.rows.shape
        return torch.arange(samples, device=batch.rows.device).repeat(views)

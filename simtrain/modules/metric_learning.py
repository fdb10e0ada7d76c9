"""Metric-learning objective: triplets and every other loss on labels within a P×K batch."""

from dataclasses import dataclass

from torch import Tensor, nn
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.losses.false_negatives import FalseNegatives
from simtrain.losses.loss_value import LossValue
from simtrain.losses.metric_learning import MinedLoss
from simtrain.modules.base import RetrievalModule
from simtrain.modules.global_batch import NO_AUXILIARY_LOSSES, AuxiliaryLosses, GlobalBatch, TrainingSettings


@dataclass(frozen=True, kw_only=True)
class MetricLearningSettings:
    """Settings of a loss on labels.

    Attributes:
        mined_loss: Loss and miner; its own weights (proxies) are trained too.
        false_negatives: Pairs excluded from the negatives; None: all pairs of different labels are negatives.
    """

    mined_loss: MinedLoss
    false_negatives: FalseNegatives | None


class MetricLearningModule(RetrievalModule):
    """A loss of pytorch-metric-learning on what its miner picks from the batch.

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
        objective: MetricLearningSettings,
        encoder: Encoder,
        head: nn.Module | None,
        settings: TrainingSettings,
        validation: RetrievalTask | None,
        auxiliary: AuxiliaryLosses = NO_AUXILIARY_LOSSES,
    ) -> None:
        super().__init__(encoder=encoder, head=head, settings=settings, validation=validation, auxiliary=auxiliary)
        self.mined_loss = objective.mined_loss
        self._false_negatives = objective.false_negatives
        if self.mined_loss.memory is not None:
            # Every process fills it alike; data-parallel training would send all of it around in each step.
            names = [f"mined_loss.memory.{name}" for name, _ in self.mined_loss.memory.named_buffers()]
            self._ddp_params_and_buffers_to_ignore = names

    @override
    def loss(self, batch: GlobalBatch) -> LossValue:
        excluded = self._false_negatives.of(batch.flat_rows) if self._false_negatives is not None else None
        value: LossValue = self.mined_loss(batch.embeddings, batch.labels, excluded=excluded)
        return value

    @override
    def positives(self, batch: GlobalBatch) -> Tensor:
        return batch.labels

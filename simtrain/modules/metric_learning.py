"""Triplets and every other loss that works on labels within a P×K batch."""

from torch import Tensor, nn
from typing_extensions import override

from simtrain.data.batch import Batch
from simtrain.encoders.base import Encoder
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.losses.metric_learning import MinedLoss
from simtrain.modules.base import RetrievalModule, TrainingSettings


class MetricLearningModule(RetrievalModule):
    """A loss of pytorch-metric-learning on what its miner picks from the batch.

    Args:
        mined_loss: Loss and miner; its own weights (proxies) are trained too.
        encoder: What is fine-tuned.
        head: Projection head that export drops, or None.
        settings: Optimizer and freezing.
        validation: What validation scores, or None.
    """

    def __init__(
        self,
        *,
        mined_loss: MinedLoss,
        encoder: Encoder,
        head: nn.Module | None,
        settings: TrainingSettings,
        validation: RetrievalTask | None,
    ) -> None:
        super().__init__(encoder=encoder, head=head, settings=settings, validation=validation)
        self.mined_loss = mined_loss

    @override
    def loss(self, batch: Batch) -> Tensor:
        value: Tensor = self.mined_loss(self.project(batch), batch.labels)
        return value

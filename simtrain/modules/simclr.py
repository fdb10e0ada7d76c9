"""SimCLR (https://arxiv.org/abs/2002.05709)."""

from torch import Tensor, nn
from typing_extensions import override

from simtrain.data.batch import Batch
from simtrain.encoders.base import Encoder
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.losses.nt_xent import nt_xent_loss
from simtrain.modules.base import RetrievalModule, TrainingSettings


class SimCLRModule(RetrievalModule):
    """NT-Xent between two views: augmentations of one image, or two pictures of one product.

    Args:
        temperature: Divides the cosine similarities.
        encoder: What is fine-tuned.
        head: Projection head that export drops, or None.
        settings: Optimizer and freezing.
        validation: What validation scores, or None.
    """

    def __init__(
        self,
        *,
        temperature: float,
        encoder: Encoder,
        head: nn.Module | None,
        settings: TrainingSettings,
        validation: RetrievalTask | None,
    ) -> None:
        super().__init__(encoder=encoder, head=head, settings=settings, validation=validation)
        self._temperature = temperature

    @override
    def loss(self, batch: Batch) -> Tensor:
        return nt_xent_loss(self.project(batch), temperature=self._temperature)

"""Image-text objective (CLIP, https://arxiv.org/abs/2103.00020)."""

import torch
from torch import Tensor
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.losses.loss_value import LossValue
from simtrain.modules.base import RetrievalModule
from simtrain.modules.global_batch import AuxiliaryLosses, GlobalBatch, TrainingSettings
from simtrain.modules.image_text_pairs import ImageTextPairs


class ImageTextModule(RetrievalModule):
    """Each image picks out its text among all texts of the batch, and each text its image.

    Args:
        image_text: Image-text loss with the texts of the images.
        encoder: Encoder to fine-tune; an `AlignedEncoder`.
        settings: Settings of optimizer, freezing, weight averaging and memory.
        validation: Retrieval task of validation, or None.
        auxiliary: Auxiliary losses, which hold the same `image_text`.
    """

    def __init__(
        self,
        *,
        image_text: ImageTextPairs,
        encoder: Encoder,
        settings: TrainingSettings,
        validation: RetrievalTask | None,
        auxiliary: AuxiliaryLosses,
    ) -> None:
        super().__init__(encoder=encoder, head=None, settings=settings, validation=validation, auxiliary=auxiliary)
        self._image_text = image_text

    @property
    @override
    def temperature(self) -> Tensor:
        return torch.exp(-self._aligned().logit_scale.detach()).reshape(())

    @override
    def loss(self, batch: GlobalBatch) -> LossValue:
        assert batch.pairs is not None
        loss = self._image_text.value(self._aligned(), batch.pairs)
        return LossValue(total=loss, parts={"image_text": loss.detach()})

    @override
    def positives(self, batch: GlobalBatch) -> Tensor:
        samples, views = batch.rows.shape
        return torch.arange(samples, device=batch.rows.device).repeat(views)

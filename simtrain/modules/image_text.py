"""Image-text objective (CLIP, https://arxiv.org/abs/2103.00020)."""

import torch
from torch import Tensor
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.losses.loss_value import LossValue
from simtrain.modules.base import RetrievalModule
from simtrain.modules.global_batch import SeenBatch, SideTerms, TrainingSettings
from simtrain.modules.image_text_pairs import Words


class ImageTextModule(RetrievalModule):
    """Each image picks out its text among all texts of the batch, and each text its image.

    Args:
        words: Image-text loss with the texts of the images.
        encoder: Encoder to fine-tune; an `AlignedEncoder`.
        settings: Settings of optimizer, freezing, weight averaging and memory.
        validation: Retrieval task of validation, or None.
        side: Auxiliary losses, which hold the same `words`.
    """

    def __init__(
        self,
        *,
        words: Words,
        encoder: Encoder,
        settings: TrainingSettings,
        validation: RetrievalTask | None,
        side: SideTerms,
    ) -> None:
        super().__init__(encoder=encoder, head=None, settings=settings, validation=validation, side=side)
        self._words = words

    @property
    @override
    def temperature(self) -> float:
        return float(torch.exp(-self._aligned().logit_scale.detach()))

    @override
    def loss(self, seen: SeenBatch) -> LossValue:
        assert seen.told is not None
        loss = self._words.value(self._aligned(), seen.told)
        return LossValue(total=loss, parts={"image_text": loss.detach()})

    @override
    def positives(self, seen: SeenBatch) -> Tensor:
        samples, views = seen.rows.shape
        return torch.arange(samples, device=seen.rows.device).repeat(views)

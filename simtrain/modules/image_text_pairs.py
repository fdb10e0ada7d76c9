"""The image-text loss within a training step: which texts, their embeddings, and what is right for what."""

# Shapes: B samples of the whole batch, b of this process, V views, N of the V·B images that have a text, D features.

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from simtrain.data.texts import CatalogTexts
from simtrain.encoders.text import AlignedEncoder
from simtrain.losses.image_text import image_text_loss, sigmoid_loss

LARGEST_SCALE = 100.0
"""What a scale that learns is held below (https://arxiv.org/abs/2103.00020, section 2.5)."""


@dataclass(frozen=True, kw_only=True)
class ToldImages:
    """Images and texts of the whole batch that belong together, the same on every process.

    Attributes:
        images: (N, D) joint embeddings with gradients, not of unit length.
        texts: (N, D) of their texts, with gradients where the text side learns.
        positives: (N, K) int64 numbers; equal in any column, and not -1: a text is right for the other's image too.
    """

    images: Tensor
    texts: Tensor
    positives: Tensor


class Words:
    """The texts of a run, and the loss that draws them to their images.

    Args:
        texts: Of the catalogue.
        embedded: (texts, D) unit vectors of all texts, for a text side that does not learn; None: it learns.
        loss: `softmax` over the batch, or `sigmoid` of each pair.
        seed: Of the choice among an image's texts.
        micro_batch_size: Texts that pass through the network at once; None: all.
    """

    def __init__(
        self,
        *,
        texts: CatalogTexts,
        embedded: Tensor | None,
        loss: Literal["softmax", "sigmoid"],
        seed: int,
        micro_batch_size: int | None,
    ) -> None:
        self._texts = texts
        self._embedded = embedded
        self._loss = loss
        self._seed = seed
        self._micro_batch_size = micro_batch_size

    def see(
        self,
        encoder: AlignedEncoder,
        images: Tensor,
        rows: Tensor,
        *,
        step: int,
        mine: slice,
        whole: Callable[[Tensor], Tensor],
    ) -> ToldImages:
        """The texts of a batch beside its images.

        Args:
            encoder: Embeds the texts.
            images: (V·B, D) joint embeddings of the whole batch, view by view.
            rows: (B, V) catalogue rows.
            step: Of the run, which decides among an image's texts.
            mine: Samples of the batch that are this process's.
            whole: Makes (V·B, D) of all processes out of (V·b, D) of each, with gradients.
        """
        drawn = self._texts.draw(rows.T.flatten(), seed=self._seed, step=step)
        told = drawn >= 0
        filled = drawn.clamp(min=0)  # an image without a text takes any: each process then embeds as many
        if self._embedded is not None:
            texts = self._embedded[filled].to(images.device)
        else:
            own = filled.reshape(rows.shape[1], -1)[:, mine].flatten()
            texts = whole(self._embed(encoder, own))
        positives = self._texts.criteria[rows.T.flatten().cpu()]
        kept = told.to(images.device)
        return ToldImages(images=images[kept], texts=texts[kept], positives=positives[told].to(images.device))

    def value(self, encoder: AlignedEncoder, seen: ToldImages) -> Tensor:
        """Scalar loss; 0, with gradients of 0, for a batch in which fewer than two images have a text."""
        if len(seen.images) < 2:
            return (seen.images.sum() + seen.texts.sum()) * 0
        scale = encoder.logit_scale.exp().reshape(())
        if self._loss == "softmax":
            return image_text_loss(seen.images, seen.texts, scale=scale, positives=seen.positives)
        bias = encoder.logit_bias.reshape(()) if encoder.logit_bias is not None else torch.zeros_like(scale)
        return sigmoid_loss(seen.images, seen.texts, scale=scale, bias=bias, positives=seen.positives)

    def _embed(self, encoder: AlignedEncoder, ids: Tensor) -> Tensor:
        """(n,) texts -> (n, D), each different one once."""
        different, places = torch.unique(ids, return_inverse=True)
        tokens = encoder.tokenize([self._texts.texts[place] for place in different.tolist()])
        size = self._micro_batch_size
        if size is None or len(different) <= size:
            return encoder.text_features(tokens)[places]
        starts = range(0, len(different), size)
        parts = [{name: value[start : start + size] for name, value in tokens.items()} for start in starts]
        return torch.cat([checkpoint(encoder.text_features, part, use_reentrant=False) for part in parts])[places]


def largest_scale(encoder: AlignedEncoder) -> float:
    """What the logarithm of the scale is held below: that of 100, or where it starts if that is more."""
    return max(math.log(LARGEST_SCALE), float(encoder.logit_scale.detach()))

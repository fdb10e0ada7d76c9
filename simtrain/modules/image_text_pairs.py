"""Image-text pairs of a training step: drawn texts, their embeddings, matches, and the image-text loss."""

# Shapes: B samples of the whole batch, b of this process, V views, N of the V·B images that have a text, D features.

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from simtrain.data.texts import CatalogTexts
from simtrain.encoders.sending import sent
from simtrain.encoders.text import AlignedEncoder
from simtrain.losses.image_text import image_text_loss, sigmoid_loss
from simtrain.training.ranks import rank, rank_count

LARGEST_SCALE = 100.0
"""Upper bound of a learned scale (https://arxiv.org/abs/2103.00020, section 2.5)."""


@dataclass(frozen=True, kw_only=True)
class PairedEmbeddings:
    """Embeddings of the global batch's images and of their texts, the same on every process.

    Attributes:
        images: (N, D) image embeddings with gradients, not of unit length.
        texts: (N, D) embeddings of their texts, with gradients where the text tower learns.
        positives: (N, K) int64; the text of one row matches the image of another where both have an equal number, not
            -1, in any column.
    """

    images: Tensor
    texts: Tensor
    positives: Tensor


class ImageTextPairs:
    """The image-text loss of a run, with the texts of its images.

    Args:
        texts: Texts of the catalogue's images.
        embedded: (texts, D) unit embeddings of all texts, for a frozen text tower; None: the text tower learns.
        loss: `softmax` over the batch, or `sigmoid` of each pair.
        seed: Seed of the random choice among an image's texts.
        micro_batch_size: Number of texts that pass through the network at once; None: all.
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

    def embed_pairs(
        self,
        encoder: AlignedEncoder,
        images: Tensor,
        rows: Tensor,
        *,
        step: int,
        whole: Callable[[Tensor], Tensor],
    ) -> PairedEmbeddings:
        """Draw and embed the texts of a global batch.

        Args:
            encoder: Encoder that embeds the texts.
            images: (V·B, D) image embeddings of the global batch, view by view.
            rows: (B, V) catalogue rows, in the memory of the host.
            step: Step of the run, which seeds the choice among an image's texts.
            whole: Gathers (V·b, D) of each process to (V·B, D), with gradients.
        """
        here = rows.T.flatten()
        drawn = self._texts.draw(here, seed=self._seed, step=step)
        has_text = (drawn >= 0).nonzero()[:, 0]
        filled = drawn.clamp(min=0)  # an image without a text takes any: each process then embeds as many
        if self._embedded is not None:
            texts = sent(self._embedded[filled], images.device)
        else:
            own = filled.reshape(rows.shape[1], rank_count(), -1)[:, rank()].flatten()
            texts = whole(self._embed(encoder, own))
        kept, positives = (sent(one, images.device) for one in (has_text, self._texts.criteria[here[has_text]]))
        return PairedEmbeddings(images=images[kept], texts=texts[kept], positives=positives)

    def value(self, encoder: AlignedEncoder, pairs: PairedEmbeddings) -> Tensor:
        """Scalar loss; 0, with gradients of 0, for a batch in which fewer than two images have a text."""
        if len(pairs.images) < 2:
            learned = [one for one in (encoder.logit_scale, encoder.logit_bias) if one is not None]
            # Data-parallel training waits for a gradient of everything that learns.
            return sum((one.sum() for one in (pairs.texts, *learned)), start=pairs.images.sum()) * 0
        scale = encoder.logit_scale.exp().reshape(())
        if self._loss == "softmax":
            return image_text_loss(pairs.images, pairs.texts, scale=scale, positives=pairs.positives)
        bias = encoder.logit_bias.reshape(()) if encoder.logit_bias is not None else torch.zeros_like(scale)
        return sigmoid_loss(pairs.images, pairs.texts, scale=scale, bias=bias, positives=pairs.positives)

    def _embed(self, encoder: AlignedEncoder, ids: Tensor) -> Tensor:
        """(n,) texts -> (n, D), each different one once."""
        different, places = torch.unique(ids, return_inverse=True)
        tokens = encoder.tokenize([self._texts.texts[place] for place in different.tolist()])
        size = self._micro_batch_size
        if size is None or len(different) <= size:
            features = encoder.text_features(tokens)
            return features[sent(places, features.device)]
        starts = range(0, len(different), size)
        parts = [{name: value[start : start + size] for name, value in tokens.items()} for start in starts]
        features = torch.cat([checkpoint(encoder.text_features, part, use_reentrant=False) for part in parts])
        return features[sent(places, features.device)]


def largest_scale(encoder: AlignedEncoder) -> float:
    """Upper bound of the logarithm of the scale: that of 100, or its initial value if that is larger."""
    return max(math.log(LARGEST_SCALE), float(encoder.logit_scale.detach()))

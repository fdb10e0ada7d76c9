"""Embeddings for a comparison, computed or read from the cache."""

# Shapes: N images, D dimensions.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.catalog.store.reader import ImageReader, OpenedImages, open_images
from simtrain.catalog.table import Catalog
from simtrain.comparison.candidates import Member
from simtrain.comparison.neighbours import VariedQueries
from simtrain.config import CompareConfig
from simtrain.console import Console
from simtrain.data.altered_images import AlteredImages
from simtrain.data.datasets import worker_count
from simtrain.data.embedding import EmbeddingSettings, device_name, embed_images
from simtrain.data.embedding_cache import Embedded, EmbeddingCache, encoder_fingerprint, variant_fingerprint
from simtrain.data.robustness import QueryVariant
from simtrain.encoders.base import Encoder

SMALLEST = 1
"""Smallest side in pixels asked of images to alter: as the store has them, the same for every encoder."""


@dataclass(frozen=True, kw_only=True)
class EmbeddedMember:
    """A member of a candidate with its embeddings.

    Attributes:
        member: The member.
        encoder: Its encoder with weights, for texts and for altered images.
        fingerprint: Fingerprint of encoder and images.
        told: Where the images were read from, as a phrase.
        embedded: Embeddings of every row that its folds need.
    """

    member: Member
    encoder: Encoder
    fingerprint: str
    told: str
    embedded: Embedded


@dataclass(kw_only=True)
class Embedder:
    """Embeds images of one catalogue.

    Attributes:
        config: Batch size and loading processes.
        catalog: The whole catalogue.
        cache: Cache of embeddings.
        device: Device that encoders run on.
        console: Shows how many batches are embedded.
    """

    config: CompareConfig
    catalog: Catalog
    cache: EmbeddingCache
    device: torch.device
    console: Console
    _opened: dict[int, OpenedImages] = field(default_factory=dict)

    def images(self, smallest: int) -> OpenedImages:
        """Reader of the images, for an encoder's input of so many pixels."""
        if smallest not in self._opened:
            self._opened[smallest] = open_images(self.catalog, smallest=smallest)
        return self._opened[smallest]

    def embed(self, member: Member, rows: NDArray[np.int64]) -> EmbeddedMember:
        """Embeddings of (N,) ascending rows by a member.

        Raises:
            SimtrainError: if the encoder cannot be loaded, or an image cannot be read.
        """
        encoder = member.build().eval()
        images = self.images(encoder.preprocessing.image_size)
        fingerprint = encoder_fingerprint(encoder, images=images.description)
        embedded = self._get(encoder, fingerprint, images.reader, rows)
        return EmbeddedMember(
            member=member, encoder=encoder, fingerprint=fingerprint, told=images.description, embedded=embedded
        )

    def again(self, member: Member, fingerprint: str, rows: NDArray[np.int64]) -> Embedded:
        """Embeddings that were computed before; the encoder is built only if the cache has lost them."""

        def embed(missing: NDArray[np.int64]) -> Tensor:
            return self.embed(member, missing).embedded.vectors

        return self.cache.get(fingerprint, rows, embed, device=device_name(self.device))

    def embed_varied(
        self, of: EmbeddedMember, varied: Sequence[tuple[QueryVariant, NDArray[np.int64]]]
    ) -> list[VariedQueries]:
        """Embeddings of altered copies of images by the same encoder."""
        images = self.images(SMALLEST)
        found = []
        for variant, rows in varied:
            changed = AlteredImages(images=images.reader, variant=variant)
            key = variant_fingerprint(of.fingerprint, f"{variant.name} {images.description}")
            vectors = self._get(of.encoder, key, changed, rows).vectors
            found.append(VariedQueries(name=variant.name, words=variant.words, rows=rows, vectors=vectors))
        return found

    def _get(self, encoder: Encoder, fingerprint: str, images: ImageReader, rows: NDArray[np.int64]) -> Embedded:
        def embed(missing: NDArray[np.int64]) -> Tensor:
            return embed_images(
                encoder,
                images,
                missing.tolist(),
                settings=EmbeddingSettings(
                    batch_size=self.config.batch_size,
                    workers=worker_count(self.config.workers, sharing=1),
                    device=self.device,
                ),
                console=self.console,
            )

        return self.cache.get(fingerprint, rows, embed, device=device_name(self.device))

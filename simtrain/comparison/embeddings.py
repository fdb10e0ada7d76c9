"""Embeddings of the images that a comparison needs, by whichever encoder."""

# Shapes: N images, D dimensions.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.catalog.progress import Progress
from simtrain.catalog.store.reader import ImageReader, OpenedImages, open_images
from simtrain.catalog.table import Catalog
from simtrain.comparison.candidates import Member
from simtrain.comparison.embedding_cache import Embedded, EmbeddingCache, encoder_fingerprint, variant_fingerprint
from simtrain.comparison.neighbours import VariedQueries
from simtrain.config import CompareConfig
from simtrain.data.altered_images import VariedImages
from simtrain.data.datasets import worker_count
from simtrain.data.embedding import embed_images
from simtrain.data.robustness import QueryVariant
from simtrain.encoders.base import Encoder

SMALLEST = 1
"""Pixels asked of pictures that are changed: as the store has them, the same for every encoder."""


@dataclass(frozen=True, kw_only=True)
class EmbeddedMember:
    """A member of a contender whose embeddings are in the cache.

    Attributes:
        member: It.
        encoder: With its weights; for texts, and for changed pictures.
        fingerprint: Of encoder and images.
        told: Where the pictures were read from.
        embedded: Of every row that its parts need.
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
        config: Batches and processes.
        catalog: The whole.
        cache: Where embeddings are kept.
        device: That encoders run on.
        progress: Shows how many batches are embedded.
    """

    config: CompareConfig
    catalog: Catalog
    cache: EmbeddingCache
    device: torch.device
    progress: Progress
    _opened: dict[int, OpenedImages] = field(default_factory=dict)

    @property
    def device_words(self) -> str:
        """For a person."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"CPU, {torch.get_num_threads()} threads"

    def images(self, smallest: int) -> OpenedImages:
        """The pictures, for an encoder's input of so many pixels."""
        if smallest not in self._opened:
            self._opened[smallest] = open_images(self.catalog, smallest=smallest)
        return self._opened[smallest]

    def embed(self, member: Member, rows: NDArray[np.int64]) -> EmbeddedMember:
        """The embeddings of these rows, (N,) ascending, by a member.

        Raises:
            SimtrainError: if the encoder cannot be had, or an image cannot be read.
        """
        encoder = member.build().eval()
        images = self.images(encoder.preprocessing.image_size)
        fingerprint = encoder_fingerprint(encoder, images=images.told)
        embedded = self._get(encoder, fingerprint, images.reader, rows)
        return EmbeddedMember(
            member=member, encoder=encoder, fingerprint=fingerprint, told=images.told, embedded=embedded
        )

    def again(self, member: Member, fingerprint: str, rows: NDArray[np.int64]) -> Embedded:
        """Embeddings that were made before; the encoder is built only if they are no longer kept."""

        def embed(missing: NDArray[np.int64]) -> Tensor:
            return self.embed(member, missing).embedded.vectors

        return self.cache.get(fingerprint, rows, embed, device=self.device_words)

    def embed_varied(
        self, of: EmbeddedMember, varied: Sequence[tuple[QueryVariant, NDArray[np.int64]]]
    ) -> list[VariedQueries]:
        """Changed copies of pictures by the same encoder, of the pictures that were looked at to choose the rows."""
        images = self.images(SMALLEST)
        found = []
        for variant, rows in varied:
            changed = VariedImages(images=images.reader, variant=variant)
            key = variant_fingerprint(of.fingerprint, f"{variant.name} {images.told}")
            vectors = self._get(of.encoder, key, changed, rows).vectors
            found.append(VariedQueries(name=variant.name, words=variant.words, rows=rows, vectors=vectors))
        return found

    def _get(self, encoder: Encoder, fingerprint: str, images: ImageReader, rows: NDArray[np.int64]) -> Embedded:
        def embed(missing: NDArray[np.int64]) -> Tensor:
            return embed_images(
                encoder,
                images,
                missing.tolist(),
                batch_size=self.config.batch_size,
                workers=worker_count(self.config.workers, sharing=1),
                device=self.device,
                progress=self.progress,
            )

        return self.cache.get(fingerprint, rows, embed, device=self.device_words)

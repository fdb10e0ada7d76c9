"""Embeddings for a comparison, computed or read from the cache."""

# Shapes: N images, D dimensions.

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from simtrain.catalog.store.reader import ImageReader, OpenedImages
from simtrain.catalog.table import Catalog
from simtrain.comparison.candidates import EncoderFactory
from simtrain.comparison.neighbours import AlteredQueries
from simtrain.config import CompareConfig
from simtrain.console import SILENT, Console, NamedConsole
from simtrain.data.altered_images import AlteredImages
from simtrain.data.changed_pictures import open_judged_images
from simtrain.data.datasets import worker_count
from simtrain.data.embedding import EmbeddingSettings, embed_images
from simtrain.data.embedding_cache import Embedded, EmbeddingCache, encoder_fingerprint, variant_fingerprint
from simtrain.data.embedding_precision import chosen_embedding_precision
from simtrain.data.robustness import QueryVariant
from simtrain.encoders.arithmetic import Precision
from simtrain.encoders.base import Encoder
from simtrain.encoders.whitening import Whitening
from simtrain.launch.shared_embedding import EmbeddingPass
from simtrain.training.devices import embedding_cards

ALTERED_IMAGE_SIDE = 1
"""Smallest side in pixels asked of images to alter: all encoders see copies altered at the size in the store."""


@dataclass(frozen=True, kw_only=True)
class EmbeddedEncoder:
    """An encoder with its embeddings.

    Attributes:
        factory: Factory of the encoder.
        encoder: The encoder with weights, for texts and for altered images.
        fingerprint: Fingerprint of encoder and images.
        kept_as: Fingerprint of what the cache keeps of it: embeddings before its own whitening, if it has one.
        image_source: Where the images were read from, as a phrase.
        embedded: Embeddings of every row that its folds need.
    """

    factory: EncoderFactory
    encoder: Encoder
    fingerprint: str
    kept_as: str
    image_source: str
    embedded: Embedded


@dataclass(kw_only=True)
class Embedder:
    """Embeds images of one catalogue and keeps the embeddings in its cache.

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
        """Reader of the images for encoder inputs of `smallest` pixels or fewer; >= 1."""
        if smallest not in self._opened:
            self._opened[smallest] = open_judged_images(self.catalog, smallest=smallest)
        return self._opened[smallest]

    def embed(self, factory: EncoderFactory, rows: NDArray[np.int64]) -> EmbeddedEncoder:
        """Build an encoder and embed (N,) ascending catalogue rows with it.

        Raises:
            SimtrainError: if the encoder cannot be loaded, or an image cannot be read.
        """
        encoder = factory.build().eval()
        images = self.images(encoder.preprocessing.image_size)
        plain = encoder.unwhitened()
        named = partial(encoder_fingerprint, images=images.description, precision=self._precision(plain))
        kept_as = named(plain)
        return EmbeddedEncoder(
            factory=factory,
            encoder=encoder,
            fingerprint=kept_as if plain is encoder else named(encoder),
            kept_as=kept_as,
            image_source=images.description,
            embedded=_whitened(self._get(plain, kept_as, images.reader, rows), encoder.whitening),
        )

    def timed(self, factory: EncoderFactory, rows: NDArray[np.int64], *, images: int) -> tuple[int, float]:
        """How many of (N,) ascending rows have no embedding yet, and the seconds that one of them takes.

        Args:
            factory: Factory of the encoder.
            rows: Rows of the catalogue.
            images: Number of images that are embedded to measure it; nothing is kept of them.
                One card does it, also where several will embed.

        Raises:
            SimtrainError: if the encoder cannot be loaded, or an image cannot be read.
        """
        encoder = factory.build().eval().unwhitened()
        opened = self.images(encoder.preprocessing.image_size)
        precision = self._precision(encoder)
        fingerprint = encoder_fingerprint(encoder, images=opened.description, precision=precision)
        missing = self.cache.missing(fingerprint, rows)
        if len(missing) == 0:
            return 0, 0.0
        settings = EmbeddingSettings(batch_size=images, workers=0, device=self.device, precision=precision)
        embed_images(encoder, opened.reader, missing[:2].tolist(), settings=settings, console=SILENT)  # to warm up
        began = time.perf_counter()
        embed_images(encoder, opened.reader, missing[-images:].tolist(), settings=settings, console=SILENT)
        return len(missing), (time.perf_counter() - began) / len(missing[-images:])

    def reload(
        self, factory: EncoderFactory, kept_as: str, rows: NDArray[np.int64], *, whitening: Whitening | None
    ) -> Embedded:
        """Embeddings of (N,) ascending rows from the cache; the encoder is built again only if they are gone."""
        if len(self.cache.missing(kept_as, rows)):
            return self.embed(factory, rows).embedded
        return _whitened(self.cache.load(kept_as, rows), whitening)

    def embed_altered(
        self, embedded: EmbeddedEncoder, altered_rows: Sequence[tuple[QueryVariant, NDArray[np.int64]]]
    ) -> list[AlteredQueries]:
        """Embeddings of altered copies of images by an encoder, for each alteration its (Q,) rows."""
        images = self.images(ALTERED_IMAGE_SIDE)
        queries = []
        for variant, rows in altered_rows:
            altered = AlteredImages(images=images.reader, variant=variant)
            key = variant_fingerprint(embedded.fingerprint, f"{variant.name} {images.description}")
            named = replace(self, console=NamedConsole(self.console, name=variant.name))
            vectors = named._get(embedded.encoder, key, altered, rows).vectors
            queries.append(AlteredQueries(name=variant.name, description=variant.words, rows=rows, embeddings=vectors))
        return queries

    def _get(self, encoder: Encoder, fingerprint: str, images: ImageReader, rows: NDArray[np.int64]) -> Embedded:
        cards = embedding_cards(self.config.devices, accelerator=self.config.accelerator)
        settings = EmbeddingSettings(
            batch_size=self.config.batch_size,
            workers=worker_count(self.config.workers, sharing=1),
            device=self.device,
            precision=self._precision(encoder),
        )
        whole = EmbeddingPass(encoder=encoder, images=images, settings=settings, cards=cards, console=self.console)
        return whole.through(self.cache, fingerprint, rows)

    def _precision(self, encoder: Encoder) -> Precision:
        return chosen_embedding_precision(self.config.precision, encoder, device=self.device)


def _whitened(embedded: Embedded, whitening: Whitening | None) -> Embedded:
    return embedded if whitening is None else replace(embedded, vectors=whitening(embedded.vectors))

"""Embedding of a catalogue where a part of its images has embeddings already."""

# Shapes: N images of the catalogue, D dimensions of the embedding.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from simtrain.builders.devices import kept_precision
from simtrain.catalog.store.reader import ImageReader, OpenedImages, open_images, source_images
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig
from simtrain.console import SILENT, Console
from simtrain.encoders.arithmetic import FLOAT32, Arithmetic
from simtrain.encoders.base import Encoder
from simtrain.errors import SimtrainError
from simtrain.runs.cached_embedding import CachedEmbedding
from simtrain.runs.evaluation import embed_rows
from simtrain.serving.known_embeddings import (
    KnownEmbeddings,
    check_contents,
    embeddings_of_bundle,
    embeddings_of_shards,
)
from simtrain.serving.manifest import is_bundle
from simtrain.serving.verification import HALF_TOLERANCE, VECTOR_TOLERANCE

_COMPARED = 32


@dataclass(frozen=True, kw_only=True)
class Reuse:
    """How many embeddings were there already.

    Attributes:
        count: Number of images whose embedding was taken over.
        total: N.
        source: Where they are from.
        reason: Why none could be; None: those of the same images were.
    """

    count: int
    total: int
    source: Path
    reason: str | None

    def __str__(self) -> str:
        why = "" if self.reason is None else f": {self.reason}"
        return f"re-used {self.count} of {self.total} embeddings of {self.source}{why}"


@dataclass(frozen=True, kw_only=True)
class EarlierEmbeddings:
    """Where embeddings may be that are there already.

    Attributes:
        bundle: The bundle that is replaced, if one is there.
        shards: Folder of `simtrain embed` that is taken instead; None: not named.
        fingerprint: Gives the name of the encoder's embedding space; called only if something is there.
        halves_allowed: Whether numbers of float16 are exact enough.
    """

    bundle: Path
    shards: Path | None
    fingerprint: Callable[[], str]
    halves_allowed: bool

    def read(self) -> KnownEmbeddings | None:
        """What is there; None: nothing.

        Raises:
            SimtrainError: if it cannot be used.
        """
        if self.shards is not None:
            return embeddings_of_shards(self.shards, fingerprint=self.fingerprint(), halves_allowed=self.halves_allowed)
        return embeddings_of_bundle(self.bundle, fingerprint=self.fingerprint()) if is_bundle(self.bundle) else None


@dataclass(frozen=True, kw_only=True)
class CatalogEmbeddings:
    """The images of a catalogue with their embeddings.

    Attributes:
        images: What they were read from.
        embeddings: (N, D) of unit length, or of length 0.
        arithmetic: Arithmetic that they were made in.
        reuse: What was there already; None: there was nothing to look in.
    """

    images: OpenedImages
    embeddings: Tensor
    arithmetic: Arithmetic
    reuse: Reuse | None


def embed_catalog(
    encoder: Encoder, catalog: Catalog, *, config: RunConfig, earlier: EarlierEmbeddings, console: Console
) -> CatalogEmbeddings:
    """Embed the images of a catalogue that have no embedding of this encoder yet.

    An embedding is taken over where the content of the file is the same, by SHA-256; some of them are computed again
    to see that they are what the encoder makes of these images. Beside those that are taken over, which are float32,
    the others are embedded in float32 too.

    Args:
        encoder: The encoder.
        catalog: The catalogue.
        config: The run's configuration: batch size, processes, device.
        earlier: Where embeddings may be.
        console: Shows how many batches are embedded.

    Raises:
        SimtrainError: for shards that cannot be used; of a bundle that cannot, `reuse` tells why.
    """
    images = _images(encoder, catalog, from_files=earlier.shards is not None)
    everything = np.arange(len(catalog.rows))
    known, reason, taken, rows = None, None, None, everything
    try:
        known = earlier.read()
        if known is not None:
            taken = _taken_over(known, catalog, encoder, images.reader, config=config)
            rows = np.flatnonzero(taken.isnan().any(dim=1).numpy())
    except SimtrainError as error:
        if earlier.shards is not None:
            raise
        reason = str(error)
    if taken is None or (earlier.shards is None and len(rows) == len(everything)):
        cached = CachedEmbedding(config=config, catalog=catalog, console=console, precision=kept_precision(config))
        embeddings, arithmetic = cached.embedded(encoder, everything), encoder.arithmetic
    else:
        embeddings, arithmetic = taken, FLOAT32
        if len(rows):
            others = embed_rows(encoder, images.reader, rows.tolist(), config=config, console=console, precision="32")
            embeddings[torch.from_numpy(rows)] = others
    if known is None and reason is None:
        return CatalogEmbeddings(images=images, embeddings=embeddings, arithmetic=arithmetic, reuse=None)
    reuse = Reuse(
        count=len(embeddings) - len(rows), total=len(embeddings), source=earlier.shards or earlier.bundle, reason=reason
    )
    return CatalogEmbeddings(images=images, embeddings=embeddings, arithmetic=arithmetic, reuse=reuse)


def _images(encoder: Encoder, catalog: Catalog, *, from_files: bool) -> OpenedImages:
    """The catalogue's images; from their files, as `simtrain embed` reads them, where these are there."""
    source = source_images(catalog)
    if from_files and all(path.is_file() for path in source.paths):
        return OpenedImages(reader=source, description="images: from the source's files, as simtrain embed reads them")
    return open_images(catalog, smallest=encoder.preprocessing.image_size)


def _taken_over(
    known: KnownEmbeddings, catalog: Catalog, encoder: Encoder, images: ImageReader, *, config: RunConfig
) -> Tensor:
    """(N, D) embeddings that are known, NaN where they are not."""
    contents = catalog.rows["sha256"].tolist()
    rows = known.rows_of(contents)
    there = np.flatnonzero(rows >= 0).tolist()
    embeddings = torch.full((len(contents), encoder.embedding_size), torch.nan)
    embeddings[there] = torch.from_numpy(known.vectors[rows[there]])
    files = [catalog.root / str(catalog.rows["path"].iat[row]) for row in there]
    check_contents(files, [contents[row] for row in there], embeddings=known.folder)
    chosen = there[:: max(1, len(there) // _COMPARED)]
    if chosen:
        again = embed_rows(encoder, images, chosen, config=config, console=SILENT, precision="32")
        differences = (again - embeddings[chosen]).abs().amax(dim=1)
        worst = int(differences.argmax())
        allowed = HALF_TOLERANCE if known.halves else VECTOR_TOLERANCE
        if not differences[worst] <= allowed:
            raise SimtrainError(
                f"{known.folder}: the embedding of '{catalog.rows['id'].iat[chosen[worst]]}' is not what the encoder "
                f"makes of its image here: they differ by {differences[worst]:.2g} (allowed: {allowed:g})"
            )
    return embeddings

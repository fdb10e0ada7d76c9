"""Embedding of many images on all devices of a machine, in blocks that a killed pass does not lose."""

# Shapes: N images, n of one block, D dimensions of the embedding.

from __future__ import annotations

import copy
import os
import pickle
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.catalog.store.reader import ImageReader
from simtrain.console import SILENT, Console
from simtrain.data.embedding import EmbeddingSettings, device_name, embed_images
from simtrain.data.embedding_cache import BlockWriter, Embedded, EmbeddingCache
from simtrain.encoders.base import Encoder
from simtrain.errors import first_line
from simtrain.launch.processes import run_on_each

IMAGES_OF_A_PROCESS = 5000
"""Fewest images for which another process is started: one takes some seconds to begin."""

IMAGES_OF_A_BLOCK = 16_384
"""Most images that a killed pass loses in each process."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingPass:
    """One encoder that embeds images, on as many devices as they are worth.

    Attributes:
        encoder: The encoder; its `arithmetic` is what the embeddings were made in.
        images: Reader of the catalogue's images; picklable where there are several devices.
        settings: Batch size, loading processes of each process, device and precision.
        cards: Numbers of the GPUs to use, one process each; on a CPU so many processes. One: this process.
        console: Shows how many batches are done.
    """

    encoder: Encoder
    images: ImageReader
    settings: EmbeddingSettings
    cards: Sequence[int]
    console: Console

    def embed(self, rows: NDArray[np.int64]) -> Tensor:
        """(N, D) embeddings of (N,) different catalogue rows, in their order; nothing is kept.

        Raises:
            SimtrainError: as `embed_images`, or where a process died.
        """
        if self._processes(len(rows)) == 1:
            self._take_first_card()
            return embed_images(self.encoder, self.images, rows.tolist(), settings=self.settings, console=self.console)
        order = np.argsort(rows)
        with tempfile.TemporaryDirectory(prefix="simtrain-embeddings-") as folder:
            cache = EmbeddingCache(Path(folder), data="0" * 12)
            sorted_vectors = self.through(cache, "0" * 24, rows[order]).vectors
            vectors = torch.empty_like(sorted_vectors)
            vectors[torch.from_numpy(order)] = sorted_vectors
        return vectors

    def through(self, cache: EmbeddingCache, fingerprint: str, rows: NDArray[np.int64]) -> Embedded:
        """The embeddings of (N,) ascending catalogue rows, of which those missing in a cache are computed and kept.

        Args:
            cache: Cache of the catalogue.
            fingerprint: Fingerprint of the encoder and its images.
            rows: The rows.

        Raises:
            SimtrainError: as `embed_images`, or where a process died.
        """
        missing = cache.missing(fingerprint, rows)
        if len(missing):
            count = self._processes(len(missing))
            blocks = self._blocks(missing, count)
            if count > 1 and (problem := _unsendable(self.encoder)) is not None:
                self.console.line(
                    f"warning: one device of {count} embeds: the encoder cannot be sent to other processes: {problem}"
                )
                count = 1
            if count == 1:
                self._take_first_card()
                for block in blocks:
                    cache.add_block(fingerprint, self.block(block, self.console))
            else:
                self._embed_in(count, blocks, cache.writer(fingerprint))
            cache.consolidate(fingerprint)
        embedded = cache.load(fingerprint, rows)
        self.encoder.arithmetic = embedded.arithmetic
        return embedded

    def block(self, rows: NDArray[np.int64], console: Console) -> Embedded:
        """The embeddings of (n,) ascending rows, made in this process."""
        began = time.perf_counter()
        vectors = embed_images(self.encoder, self.images, rows.tolist(), settings=self.settings, console=console)
        return Embedded(
            rows=rows,
            vectors=vectors,
            seconds=time.perf_counter() - began,
            images=len(rows),
            device=device_name(self.settings.device),
            arithmetic=self.encoder.arithmetic,
        )

    def _take_first_card(self) -> None:
        if self.settings.device.type == "cuda":
            torch.cuda.set_device(self.cards[0])

    def _blocks(self, rows: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
        """Blocks of whole batches, so that the batches are those of one process."""
        batch = self.settings.batch_size
        size = max(1, min(IMAGES_OF_A_BLOCK, len(rows) // count) // batch) * batch
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def _processes(self, images: int) -> int:
        return max(1, min(len(self.cards), images // IMAGES_OF_A_PROCESS))

    def _embed_in(self, count: int, blocks: Sequence[NDArray[np.int64]], writer: BlockWriter) -> None:
        self.encoder.cpu()
        workers = -(-self.settings.workers // count)
        shared = replace(self, settings=replace(self.settings, workers=workers), console=SILENT)
        run_on_each(count, _embed_share, shared, blocks, writer, console=self.console)
        self.encoder.to(self.settings.device)  # where it embeds texts next


def _unsendable(encoder: Encoder) -> str | None:
    """Why an encoder cannot be sent to another process; None: it can."""
    shapes = copy.copy(encoder)
    shapes._parameters, shapes._buffers, shapes._modules = {}, {}, {}
    try:
        for part in [shapes, *(type(module) for module in encoder.modules())]:
            pickle.dumps(part)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        return first_line(error)
    return None


def _embed_share(
    shared: EmbeddingPass, blocks: Sequence[NDArray[np.int64]], writer: BlockWriter, *, console: Console
) -> int:
    """The part of one process: every so many-th block; the number of its blocks."""
    rank, size = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if shared.settings.device.type == "cuda":
        torch.cuda.set_device(shared.cards[rank])
    own = blocks[rank::size]
    for block in own:
        made = shared.block(block, console)
        writer.write(replace(made, seconds=made.seconds / size))
    return len(own)

"""What is published: items with their embeddings, from a bundle or from shards of `simtrain embed`."""

# Shapes: N items of a block, D dimensions of the embedding.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simtrain.errors import SimtrainError
from simtrain.serving.bundle import Bundle
from simtrain.serving.embedding_shards import read_record, read_shards

Block = tuple[pd.DataFrame, NDArray[np.float32]]
"""N items with a column `id`, and their (N, D) embeddings of unit length."""


class PublishedSource(Protocol):
    """Items and embeddings, a block at a time."""

    @property
    def name(self) -> str:
        """What it is called, such as the name of its folder."""
        ...

    @property
    def fingerprint(self) -> str:
        """Name of the embedding space."""
        ...

    @property
    def dimensions(self) -> int:
        """D."""
        ...

    @property
    def bundle(self) -> Path | None:
        """Folder of the bundle whose encoder embeds queries; None: not known."""
        ...

    def columns(self) -> pd.DataFrame:
        """Items that show which columns there are and of which type."""
        ...

    def count(self) -> int:
        """Number of items."""
        ...

    def blocks(self, size: int) -> Iterator[Block]:
        """All items in their order, at most `size` at a time."""
        ...


@dataclass(frozen=True, kw_only=True)
class BundleSource:
    """The items of a bundle."""

    opened: Bundle

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.opened.folder.resolve().name

    @property
    def fingerprint(self) -> str:
        """Name of the embedding space."""
        return self.opened.fingerprint

    @property
    def dimensions(self) -> int:
        """D."""
        return self.opened.index.dimensions

    @property
    def bundle(self) -> Path | None:
        """Its folder."""
        return self.opened.folder.resolve()

    def columns(self) -> pd.DataFrame:
        """All its items."""
        return self.opened.items

    def count(self) -> int:
        """Number of items."""
        return len(self.opened.items)

    def blocks(self, size: int) -> Iterator[Block]:
        """All items in their order.

        Raises:
            SimtrainError: for an index that does not keep its vectors.
        """
        if not self.opened.index.keeps_vectors:
            raise SimtrainError(
                f"{self.opened.folder}: its index '{self.opened.index.factory}' does not keep the embeddings; "
                "export it again, or publish the shards of simtrain embed"
            )
        for start in range(0, self.count(), size):
            rows = np.arange(start, min(start + size, self.count()), dtype=np.int64)
            yield self.opened.items.iloc[rows], self.opened.index.vectors(rows)


@dataclass(frozen=True, kw_only=True)
class ShardsSource:
    """The images of a folder that `simtrain embed` wrote."""

    folder: Path

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def fingerprint(self) -> str:
        """Name of the embedding space."""
        return read_record(self.folder).space.fingerprint

    @property
    def dimensions(self) -> int:
        """D."""
        return read_record(self.folder).space.dimensions

    @property
    def bundle(self) -> Path | None:
        """None: shards do not say where the bundle lies."""
        return None

    def columns(self) -> pd.DataFrame:
        """The columns of shards."""
        return pd.DataFrame({"id": ["id"], "path": ["path"], "sha256": ["sha256"]})

    def count(self) -> int:
        """Number of images."""
        return read_record(self.folder).images

    def blocks(self, size: int) -> Iterator[Block]:
        """All images in their order."""
        for shard in read_shards(self.folder):
            items = pd.DataFrame({"id": shard.ids, "path": shard.paths, "sha256": shard.sha256})
            for start in range(0, len(items), size):
                vectors = shard.embeddings[start : start + size].astype(np.float32)
                lengths = np.linalg.norm(vectors, axis=1, keepdims=True)  # halves are not quite of unit length
                yield items.iloc[start : start + size], vectors / lengths

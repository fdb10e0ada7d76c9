"""Embeddings that are there already, by the content of each image's file: of a bundle, or of `simtrain embed`."""

# Shapes: N known images, M images that are asked for, D dimensions of the embedding.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simtrain.encoders.arithmetic import FLOAT32
from simtrain.errors import SimtrainError
from simtrain.files import sha256_if_readable
from simtrain.serving.bundle import CONTENT_COLUMN, Bundle
from simtrain.serving.bundle_change import all_vectors
from simtrain.serving.embedding_shards import read_record, read_shards

_READERS = 4


@dataclass(frozen=True, kw_only=True)
class KnownEmbeddings:
    """Embeddings of one embedding space, found by what is in the image's file.

    Attributes:
        folder: Where they are from.
        vectors: (N, D) of unit length.
        rows: SHA-256 of a file -> row of `vectors`.
        halves: Whether they were kept as float16.
    """

    folder: Path
    vectors: NDArray[np.float32]
    rows: Mapping[str, int]
    halves: bool

    def rows_of(self, sha256: Sequence[str]) -> NDArray[np.int64]:
        """(M,) rows of files by their SHA-256; -1: not known."""
        return np.array([self.rows.get(content, -1) for content in sha256], dtype=np.int64)


def embeddings_of_bundle(folder: Path, *, fingerprint: str) -> KnownEmbeddings:
    """The embeddings that a bundle's index holds as they were computed.

    Args:
        folder: The bundle.
        fingerprint: Name of the embedding space that is wanted.

    Raises:
        SimtrainError: if they cannot be used: the reason, without the folder.
    """
    bundle = Bundle.open(folder)
    if bundle.fingerprint != fingerprint:
        raise SimtrainError("the bundle before was of another encoder")
    if bundle.manifest.get("embedding", FLOAT32.to_dict()) != FLOAT32.to_dict():
        raise SimtrainError("the bundle before was not embedded in float32")
    if CONTENT_COLUMN not in bundle.items.columns:
        raise SimtrainError("the bundle before does not say which images it holds")
    if bundle.index.stores_halves or not bundle.index.keeps_vectors:
        raise SimtrainError("the bundle before does not keep them in full precision")
    if any(change.get("added") or change.get("updated") for change in bundle.manifest.get("changes", [])):
        raise SimtrainError("simtrain index has changed the bundle before, from files instead of the catalogue's store")
    contents = bundle.items[CONTENT_COLUMN].tolist()
    rows = {content: row for row, content in enumerate(contents) if isinstance(content, str)}
    return KnownEmbeddings(folder=folder, vectors=all_vectors(bundle), rows=rows, halves=False)


def embeddings_of_shards(folder: Path, *, fingerprint: str, halves_allowed: bool) -> KnownEmbeddings:
    """The embeddings that `simtrain embed` wrote.

    Args:
        folder: The shards.
        fingerprint: Name of the embedding space that is wanted.
        halves_allowed: Whether numbers of float16 are exact enough, as beside an index that keeps no others.

    Raises:
        SimtrainError: if there are none, or they are of another encoder, or not exact enough.
    """
    space = read_record(folder).space
    if space.fingerprint != fingerprint:
        raise SimtrainError(
            f"{folder}: embeddings of another encoder: their fingerprint is {space.fingerprint[:12]}…, the bundle's "
            f"{fingerprint[:12]}…; make others: simtrain embed BUNDLE SOURCE --out …"
        )
    halves = space.precision == "float16"
    if halves and not halves_allowed:
        raise SimtrainError(
            f"{folder}: holds float16 numbers, and the bundle keeps float32, so that similarities are exact to 1e-6; "
            "embed with --precision float32; halves are for bundles whose approximate index keeps halves"
        )
    parts: list[NDArray[np.float32]] = []
    rows: dict[str, int] = {}
    count = 0
    for shard in read_shards(folder):
        rows |= {content: count + row for row, content in enumerate(shard.sha256)}
        count += len(shard.sha256)
        vectors = shard.embeddings.astype(np.float32)
        parts.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if halves else vectors)
    vectors = np.concatenate(parts) if parts else np.zeros((0, space.dimensions), dtype=np.float32)
    return KnownEmbeddings(folder=folder, vectors=vectors, rows=rows, halves=halves)


def items_of_shards(folder: Path) -> pd.DataFrame:
    """The images of shards as items: `id`, `path` and `sha256`.

    Raises:
        SimtrainError: if there are none, or they cannot be read.
    """
    parts = [
        pd.DataFrame({"id": each.ids, "path": each.paths, CONTENT_COLUMN: each.sha256}) for each in read_shards(folder)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"id": [], "path": [], CONTENT_COLUMN: []})


def check_contents(files: Sequence[Path], sha256: Sequence[str], *, embeddings: Path) -> None:
    """Refuse embeddings of pictures that have changed since; what is not there is not looked at.

    Args:
        files: (M,) files of images whose embeddings are known.
        sha256: (M,) SHA-256 of each when it was embedded.
        embeddings: Where the embeddings are from, which opens the error.

    Raises:
        SimtrainError: naming the first file whose content is another one.
    """
    with ThreadPoolExecutor(_READERS) as readers:
        for file, wanted, found in zip(files, sha256, readers.map(sha256_if_readable, files), strict=True):
            if found not in ("", wanted):
                raise SimtrainError(
                    f"{embeddings}: '{file}' has changed since it was embedded; run simtrain embed again"
                )

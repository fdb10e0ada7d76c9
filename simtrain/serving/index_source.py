"""Items of a source as an index takes them: from a collection of images, or from shards with their embeddings."""

# Shapes: M items of the source, D dimensions of the embedding.

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simtrain.catalog.sources.collection import Collection
from simtrain.errors import SimtrainError
from simtrain.files import sha256_if_readable
from simtrain.serving.bundle import CONTENT_COLUMN, Bundle
from simtrain.serving.embedding_shards import has_shards, read_record
from simtrain.serving.known_embeddings import (
    KnownEmbeddings,
    check_contents,
    embeddings_of_shards,
    items_of_shards,
)

_READERS = 8


def known_embeddings(bundle: Bundle, source: Path, embeddings: Path | None) -> KnownEmbeddings | None:
    """Embeddings for the index of a bundle: those of the source, if it is shards, or of shards named beside it.

    Args:
        bundle: The bundle.
        source: The source, or a path that is none of a file.
        embeddings: Folder that is named beside it; None: none.

    Returns:
        The embeddings; None: there are none.

    Raises:
        SimtrainError: if both are shards, or they are of another encoder, or less exact than those of the index.
    """
    shards = source if has_shards(source) else embeddings
    if shards is None:
        return None
    if shards is source and embeddings is not None:
        raise SimtrainError(f"--embeddings {embeddings}: {source} comes with its own; leave one of the two out")
    halves = bundle.index.stores_halves
    return embeddings_of_shards(shards, fingerprint=bundle.fingerprint, halves_allowed=halves)


def collection_of_shards(folder: Path, bundle: Bundle) -> Collection:
    """The images of shards; where their folder is not known, paths start as those of the bundle do.

    Raises:
        SimtrainError: if there are none, or they cannot be read.
    """
    rows, root = items_of_shards(folder), read_record(folder).root
    return Collection(
        root=(root or bundle.pictures.folders.get("", folder)).resolve(),
        rows=rows[["id", "path"]],
        sha256=rows[CONTENT_COLUMN].tolist(),
        findings=[],
    )


def gallery_items(collection: Collection) -> tuple[pd.DataFrame, list[str]]:
    """Items of a collection, of a catalogue those with `gallery`, and (M,) SHA-256 of each file.

    The SHA-256 is empty for a file that cannot be read.
    """
    rows = collection.rows
    if "gallery" in rows.columns:
        rows = rows[rows["gallery"].to_numpy(dtype=bool)]
    rows = rows.assign(id=rows["id"].astype(str), path=rows["path"].astype(str)).reset_index(drop=True)
    if collection.sha256 is not None:
        known = dict(zip(collection.ids, collection.sha256, strict=True))
        return rows, [known[identifier] for identifier in rows["id"]]
    with ThreadPoolExecutor(_READERS) as readers:
        return rows, list(readers.map(sha256_if_readable, [collection.root / path for path in rows["path"]]))


def taken_over(
    known: KnownEmbeddings | None,
    collection: Collection,
    rows: pd.DataFrame,
    sha256: Sequence[str],
    wanted: Sequence[int],
) -> dict[int, NDArray[np.float32]]:
    """Embeddings that are known, by row of the source.

    Args:
        known: Embeddings by content; None: none are.
        collection: Where the pictures are.
        rows: M items.
        sha256: (M,) SHA-256 of each file.
        wanted: Rows that need an embedding.

    Returns:
        Row -> (D,) of unit length.

    Raises:
        SimtrainError: for a picture that has changed since it was embedded.
    """
    if known is None:
        return {}
    places = known.rows_of([sha256[row] for row in wanted]).tolist()
    found = {row: place for row, place in zip(wanted, places, strict=True) if place >= 0}
    files = [collection.root / str(rows["path"].iat[row]) for row in found]
    check_contents(files, [sha256[row] for row in found], embeddings=known.folder)
    return {row: known.vectors[place] for row, place in found.items()}

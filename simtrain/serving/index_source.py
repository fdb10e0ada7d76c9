"""Items of a source as an index takes them: from a collection of images, or from shards with their embeddings."""

# Shapes: M items of the source, D dimensions of the embedding.

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simtrain.catalog.sources.collection import Collection
from simtrain.catalog.table import NEAR_DUPLICATES
from simtrain.console import Console
from simtrain.cores import usable_cores
from simtrain.errors import SimtrainError
from simtrain.files import sha256_if_readable
from simtrain.serving.bundle import CONTENT_COLUMN, Bundle
from simtrain.serving.embedding_shards import LeftOut, ShardTask, has_shards, read_record
from simtrain.serving.known_embeddings import (
    KnownEmbeddings,
    check_contents,
    embeddings_of_shards,
    items_of_shards,
)
from simtrain.serving.picture_folders import PictureFolders
from simtrain.serving.query_encoder import QueryEncoder
from simtrain.serving.shard_worker import embedded

_READERS = 8
_BLOCK = 256  # images between two looks at the bar
_NOT_KEPT = ("split", "query", "gallery", "width", "height", "pixel_sha256", "duplicate_group", NEAR_DUPLICATES)


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


@dataclass(frozen=True, kw_only=True)
class FreshEmbeddings:
    """Embeddings by row of the source, and the images that have none."""

    vectors: dict[int, NDArray[np.float32]]
    left_out: list[LeftOut]
    taken: int
    """How many embeddings were there already."""


def fresh_embeddings(
    collection: Collection,
    rows: pd.DataFrame,
    wanted: Sequence[int],
    *,
    taken: dict[int, NDArray[np.float32]],
    load_encoder: Callable[[], QueryEncoder],
    console: Console,
) -> FreshEmbeddings:
    """Embed the items that have no embedding yet.

    Args:
        collection: Where the pictures are.
        rows: M items.
        wanted: Rows that need an embedding.
        taken: Embeddings that are known, by row.
        load_encoder: Gives the encoder; called only where something is to be embedded.
        console: Shows how many images are embedded.
    """
    pending = [row for row in wanted if row not in taken]
    vectors, left_out = dict(taken), list[LeftOut]()
    if pending:
        encoder = load_encoder()
        blocks = [pending[start : start + _BLOCK] for start in range(0, len(pending), _BLOCK)]
        with ThreadPoolExecutor(usable_cores()) as readers:
            for block in console.bar(blocks, len(blocks), "embedding images"):
                images = [(str(rows["id"].iat[row]), str(rows["path"].iat[row]), 0, 0) for row in block]
                shard = embedded(encoder, ShardTask.of(0, images), root=collection.root, readers=readers)
                row_of = {str(rows["id"].iat[row]): row for row in block}
                vectors |= {row_of[name]: vector for name, vector in zip(shard.ids, shard.embeddings, strict=True)}
                left_out += shard.left_out
    return FreshEmbeddings(vectors=vectors, left_out=left_out, taken=len(taken))


def placed_items(
    rows: pd.DataFrame, sha256: Sequence[str], bundle: Bundle, collection: Collection
) -> tuple[pd.DataFrame, PictureFolders]:
    """Items with paths as the bundle names pictures, without what only training needs; and its folders of pictures.

    Args:
        rows: M items.
        sha256: (M,) SHA-256 of each file.
        bundle: The bundle that they are for.
        collection: Where the pictures are.
    """
    pictures = bundle.pictures
    if "image_root" in bundle.manifest:  # of before, or asked for: what lies elsewhere is named from the root
        root = Path(bundle.manifest["image_root"])
        places = [collection.root / path for path in rows["path"]]
        paths = [place.relative_to(root).as_posix() if place.is_relative_to(root) else str(place) for place in places]
    else:
        known = dict(zip(bundle.items["id"], bundle.items["path"], strict=True))
        same = any(known.get(name) == path for name, path in zip(rows["id"], rows["path"], strict=True))
        start, pictures = pictures.start_of(collection.root, same_paths=same)
        paths = [(start / path).as_posix() for path in rows["path"]]
    kept = rows.drop(columns=list(_NOT_KEPT), errors="ignore")
    return kept.assign(path=paths, **{CONTENT_COLUMN: list(sha256)}), pictures

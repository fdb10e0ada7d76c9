"""`simtrain index`: keeps a bundle in step with its catalogue; add, update, remove and verify items."""

# Shapes: N items of the bundle, M items of the source, D dimensions of the embedding.

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simtrain.catalog.inspection.console_summary import lines_of
from simtrain.catalog.sources.collection import Collection, open_collection
from simtrain.catalog.sources.opened import expanded
from simtrain.catalog.sources.opening import Opening
from simtrain.catalog.staging import work_folder
from simtrain.catalog.table import NEAR_DUPLICATES
from simtrain.commands.prepare import downloaded_fashion_mnist
from simtrain.commands.search import image_encoder
from simtrain.config import PrepareConfig
from simtrain.console import Console
from simtrain.errors import SimtrainError, nearest
from simtrain.phrases import counted
from simtrain.serving.bundle import CONTENT_COLUMN, Bundle
from simtrain.serving.bundle_change import all_vectors, changed_by_one, write_changed
from simtrain.serving.embedding_shards import LeftOut, ShardTask, has_shards
from simtrain.serving.given_bundle import GivenBundle
from simtrain.serving.index_source import collection_of_shards, gallery_items, known_embeddings, taken_over
from simtrain.serving.item_change import Standing, standing, with_rows
from simtrain.serving.picture_folders import PictureFolders
from simtrain.serving.shard_worker import embedded
from simtrain.serving.signature import SigningKey

Mode = Literal["add", "update"]
_BLOCK = 256  # images between two looks at the bar
_NOT_KEPT = ("split", "query", "gallery", "width", "height", "pixel_sha256", "duplicate_group", NEAR_DUPLICATES)


@dataclass(frozen=True, kw_only=True)
class IndexReport:
    """What has changed; `print` shows it."""

    folder: Path
    items: int
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    left_out: list[LeftOut] = field(default_factory=list)
    taken: int = 0
    """Number of embeddings that were there already, in shards."""

    def __str__(self) -> str:
        done = {"added": self.added, "updated": self.updated, "removed": self.removed, "unchanged": self.unchanged}
        told = ", ".join(f"{number} {word}" for word, number in done.items() if number) or "nothing to do"
        lines = [f"bundle: {self.folder} ({counted(self.items, 'item')}): {told}"]
        if self.taken:
            lines.append(f"re-used {self.taken} of {self.added + self.updated} embeddings of simtrain embed")
        if self.left_out:
            first = self.left_out[0]
            lines.append(f"left out: {counted(len(self.left_out), 'image')}, such as '{first.path}': {first.reason}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class ItemsSource:
    """Items for a bundle, as they are named.

    Attributes:
        named: A catalogue of `prepare`, what `prepare` takes, or shards of `embed`, which come with their embeddings.
        config: Settings of `prepare` that say how it is read.
        embeddings: Shards of `embed` whose embeddings are taken for the same images; None: none.
    """

    named: str
    config: PrepareConfig
    embeddings: Path | None


def change(
    given: GivenBundle, source: ItemsSource, *, mode: Mode, sign: SigningKey | None = None, console: Console
) -> IndexReport:
    """Bring the items of a source into a bundle; only what is new or has another image is embedded.

    Args:
        given: The bundle.
        source: Items.
        mode: `add` refuses items whose id the bundle has with another image; `update` replaces them, and the columns of
            all items of the source. What the source does not name stays.
        sign: Key that the bundle is signed with, before and after; None: it is not.
        console: Shows how many images are embedded.

    Raises:
        SimtrainError: for anything that the user can mend; the bundle is then as it was.
    """
    folder = given.folder
    unfinished = folder.resolve().parent / f".{folder.resolve().name}.source"
    with changed_by_one(given, sign=sign) as bundle, work_folder(unfinished, console=console) as work:
        opening = Opening(work=work, output=folder, fetch_fashion_mnist=downloaded_fashion_mnist, console=console)
        known = known_embeddings(bundle, expanded(source.named), source.embeddings)
        if has_shards(expanded(source.named)):
            collection = collection_of_shards(expanded(source.named), bundle)
        else:
            collection = open_collection(source.named, config=source.config, opening=opening)
        for line in lines_of(collection.findings, {"labels": 0}):
            console.line(line)
        rows, sha256 = gallery_items(collection)
        found = standing(bundle.items, ids=rows["id"].tolist(), sha256=sha256)
        if mode == "add" and found.changed.any():
            first = rows["id"].iat[int(np.flatnonzero(found.changed)[0])]
            raise SimtrainError(
                f"{folder}: has {counted(int(found.changed.sum()), 'item')} of the source with another image, such as "
                f"'{first}'; to replace them: simtrain index update {folder} {source.named}"
            )
        vectors = all_vectors(bundle)
        wanted = np.flatnonzero(found.new if mode == "add" else found.new | found.changed | found.unknown)
        taken = taken_over(known, collection, rows, sha256, wanted.tolist())
        fresh = _embedded(bundle, collection, rows, wanted.tolist(), taken=taken, console=console)
        placed, pictures = _placed(rows, sha256, bundle, collection)
        items = _Given(rows=placed, found=found, wanted=wanted.tolist(), mode=mode)
        return _put(bundle, items, vectors, fresh, pictures=pictures, sign=sign)


def remove(folder: Path, ids: Sequence[str], *, sign: SigningKey | None = None) -> IndexReport:
    """Remove items from a bundle.

    Args:
        folder: Folder of the bundle.
        ids: Ids of the items; all of them are there, and not all items of the bundle.
        sign: Key that the bundle is signed with, before and after; None: it is not.

    Raises:
        SimtrainError: for an id that the bundle does not have; the bundle is then as it was.
    """
    with changed_by_one(GivenBundle(folder=folder), sign=sign) as bundle:
        there = sorted(bundle.items["id"])
        for identifier in sorted(set(ids) - set(there)):
            raise SimtrainError(f"{folder}: has no item '{identifier}'{nearest(identifier, there[:10_000])}")
        kept = ~bundle.items["id"].isin(list(ids)).to_numpy()
        if not kept.any():
            raise SimtrainError(f"{folder}: nothing would be left; remove the folder instead")
        removed = int((~kept).sum())
        if removed:
            items = bundle.items[kept].reset_index(drop=True)
            vectors, note = all_vectors(bundle)[kept], _note(removed=removed)
            write_changed(bundle, items, vectors, change=note, pictures=bundle.pictures, sign=sign)
        return IndexReport(folder=folder, items=int(kept.sum()), removed=removed)


@dataclass(frozen=True, kw_only=True)
class _Given:
    """Items of a source as the bundle takes them, and how they stand to its own."""

    rows: pd.DataFrame
    found: Standing
    wanted: list[int]
    mode: Mode


@dataclass(frozen=True, kw_only=True)
class _Fresh:
    """Embeddings by row of the source, and the images that have none."""

    vectors: dict[int, NDArray[np.float32]]
    left_out: list[LeftOut]
    taken: int
    """How many embeddings were there already."""


def _embedded(
    bundle: Bundle,
    collection: Collection,
    rows: pd.DataFrame,
    wanted: list[int],
    *,
    taken: dict[int, NDArray[np.float32]],
    console: Console,
) -> _Fresh:
    pending = [row for row in wanted if row not in taken]
    if not pending:
        return _Fresh(vectors=taken, left_out=[], taken=len(taken))
    encoder = image_encoder(bundle)
    vectors = dict(taken)
    left_out: list[LeftOut] = []
    blocks = [pending[start : start + _BLOCK] for start in range(0, len(pending), _BLOCK)]
    with ThreadPoolExecutor(_cores()) as readers:
        for block in console.bar(blocks, len(blocks), "embedding images"):
            images = [(str(rows["id"].iat[row]), str(rows["path"].iat[row]), 0, 0) for row in block]
            shard = embedded(encoder, ShardTask.of(0, images), root=collection.root, readers=readers)
            row_of = {str(rows["id"].iat[row]): row for row in block}
            vectors |= {row_of[name]: vector for name, vector in zip(shard.ids, shard.embeddings, strict=True)}
            left_out += shard.left_out
    return _Fresh(vectors=vectors, left_out=left_out, taken=len(taken))


def _placed(
    rows: pd.DataFrame, sha256: Sequence[str], bundle: Bundle, collection: Collection
) -> tuple[pd.DataFrame, PictureFolders]:
    """Items with paths as the bundle names pictures, without what only training needs; and its folders of pictures."""
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


def _put(
    bundle: Bundle,
    given: _Given,
    vectors: NDArray[np.float32],
    fresh: _Fresh,
    *,
    pictures: PictureFolders,
    sign: SigningKey | None,
) -> IndexReport:
    lost = set(given.wanted) - set(fresh.vectors)
    taken = [
        row for row in range(len(given.rows)) if row not in lost and (given.mode == "update" or given.found.new[row])
    ]
    added = sum(bool(given.found.new[row]) for row in taken)
    updated = sum(row in fresh.vectors for row in taken) - added
    items = with_rows(bundle.items, given.rows.iloc[taken]) if taken else bundle.items
    if added or updated or not items.equals(bundle.items):
        by_id = dict(zip(bundle.items["id"], vectors, strict=True))
        by_id |= {given.rows["id"].iat[row]: vector for row, vector in fresh.vectors.items()}
        embeddings = np.stack([by_id[identifier] for identifier in items["id"]]).astype(np.float32)
        note = _note(added=added, updated=updated)
        write_changed(bundle, items, embeddings, change=note, pictures=pictures, sign=sign)
    numbers = {"added": added, "updated": updated, "unchanged": len(given.rows) - len(lost) - added - updated}
    return IndexReport(folder=bundle.folder, items=len(items), **numbers, left_out=fresh.left_out, taken=fresh.taken)


def _note(**numbers: int) -> dict[str, int | str]:
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), **numbers}


def _cores() -> int:
    return len(os.sched_getaffinity(0))

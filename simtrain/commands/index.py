"""`simtrain index`: keeps a bundle in step with its catalogue; add, update, remove and verify items."""

# Shapes: N items of the bundle, M items of the source, D dimensions of the embedding.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simtrain.catalog.inspection.console_summary import lines_of
from simtrain.catalog.sources.collection import open_collection
from simtrain.catalog.sources.opened import expanded
from simtrain.catalog.sources.opening import Opening
from simtrain.catalog.staging import work_folder
from simtrain.commands.search import image_encoder, open_bundle
from simtrain.config import PrepareConfig
from simtrain.console import Console
from simtrain.data.fashion_mnist_download import fetch_fashion_mnist
from simtrain.errors import SimtrainError, nearest
from simtrain.files import sha256_if_readable
from simtrain.phrases import counted
from simtrain.serving.bundle import CONTENT_COLUMN, Bundle
from simtrain.serving.bundle_change import all_vectors, changed_by_one, write_changed
from simtrain.serving.embedding_shards import LeftOut, has_shards
from simtrain.serving.given_bundle import GivenBundle
from simtrain.serving.index_source import (
    FreshEmbeddings,
    collection_of_shards,
    fresh_embeddings,
    gallery_items,
    known_embeddings,
    placed_items,
    taken_over,
)
from simtrain.serving.item_change import Standing, standing, with_rows
from simtrain.serving.picture_folders import PictureFolders, is_there
from simtrain.serving.signature import SigningKey

Mode = Literal["add", "update"]
_CHECKED = 64
_SAME = 0.999
_NEAR = 10


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
class VerifyReport:
    """What `verify` has looked at; `print` shows it."""

    folder: Path
    items: int
    checked: int
    missing: int
    changed: list[str]
    signed_by: Path | None
    lowest: float | None = None
    """Lowest cosine between an item and its own picture; None: no picture was looked at."""

    def _compared(self) -> str:
        return (
            f"{counted(self.checked, 'image')} those of the index" if self.checked else "no image was there to compare"
        )

    def __str__(self) -> str:
        lines = [
            f"bundle: {self.folder} ({counted(self.items, 'item')}): every file is as it was written, the encoder "
            f"gives its golden embeddings, and {self._compared()}"
        ]
        if self.lowest is not None and self.lowest < _SAME:
            lines.append(
                f"lowest similarity of a picture to its own item: {self.lowest:.4f}, as where items were embedded from "
                "a catalogue's image store; all find themselves"
            )
        if self.signed_by is not None:
            lines.append(f"signature: of {self.signed_by}")
        if self.missing:
            lines.append(
                f"not looked at: {counted(self.missing, 'image file')} of the sample, not found; where they lie "
                f"elsewhere: simtrain index verify {self.folder} --images FOLDER"
            )
        if self.changed:
            lines.append(
                f"changed since: {counted(len(self.changed), 'image file')} of the sample, such as "
                f"'{self.changed[0]}'; simtrain index update {self.folder} SOURCE"
            )
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
        opening = Opening(work=work, output=folder, fetch_fashion_mnist=fetch_fashion_mnist, console=console)
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
        load = partial(image_encoder, bundle)
        fresh = fresh_embeddings(collection, rows, wanted.tolist(), taken=taken, load_encoder=load, console=console)
        placed, pictures = placed_items(rows, sha256, bundle, collection)
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


def verify(given: GivenBundle, *, console: Console) -> VerifyReport:
    """Open a bundle, checking every file and its encoder, and embed some of its images again.

    Raises:
        SimtrainError: for the first thing that is wrong.
    """
    opened = open_bundle(given, queries="images")
    bundle, folder = opened.bundle, given.folder
    rows = np.unique(np.linspace(0, len(bundle.items) - 1, min(_CHECKED, len(bundle.items))).astype(np.int64))
    paths = {row: bundle.pictures.path_of(str(bundle.items["path"].iat[row])) for row in rows.tolist()}
    files = {row: path for row, path in paths.items() if path is not None and is_there(path)}
    known = bundle.items[CONTENT_COLUMN].tolist() if CONTENT_COLUMN in bundle.items.columns else None
    changed = [
        row
        for row, path in files.items()
        if known is not None and isinstance(known[row], str) and sha256_if_readable(path) != known[row]
    ]
    looked_at, lowest = [row for row in files if row not in set(changed)], 1.0
    for row in console.bar(looked_at, len(looked_at), "verifying images"):
        embedding = opened.encode([files[row]])
        kept = bundle.index.vectors(np.array([row], dtype=np.int64)) if bundle.index.keeps_vectors else embedding
        similarity = float((kept[0] * embedding[0]).sum())
        lowest = min(lowest, similarity)
        if similarity < _SAME and row not in bundle.index.search(embedding, k=_NEAR)[0][0]:
            raise SimtrainError(
                f"{folder}: item '{bundle.items['id'].iat[row]}': its image has another embedding than the index "
                f"(cosine {similarity:.3f}); simtrain index update {folder} SOURCE"
            )
    names = [str(bundle.items["id"].iat[row]) for row in changed]
    return VerifyReport(
        folder=folder,
        items=len(bundle.items),
        checked=len(looked_at),
        missing=len(rows) - len(files),
        changed=names,
        signed_by=None if given.signed_by is None else given.signed_by.file,
        lowest=lowest if looked_at else None,
    )


@dataclass(frozen=True, kw_only=True)
class _Given:
    """Items of a source as the bundle takes them, and how they stand to its own."""

    rows: pd.DataFrame
    found: Standing
    wanted: list[int]
    mode: Mode


def _put(
    bundle: Bundle,
    given: _Given,
    vectors: NDArray[np.float32],
    fresh: FreshEmbeddings,
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

"""Publishing: what is new or changed is written, what is gone removed; another encoder's items take over at the end."""

# Shapes: N items of a block, D dimensions of the embedding.

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simtrain.console import Console
from simtrain.serving.milvus.collection import (
    Described,
    MilvusIndex,
    behind,
    create,
    describe,
    refuse_other_bundle,
    refuse_stranger,
    switch,
    tell_bundle,
)
from simtrain.serving.milvus.connection import MilvusAddress, connected, with_patience
from simtrain.serving.milvus.fields import HASH_FIELD, ID_FIELD, VECTOR_FIELD, fields_of, one_of, values_of
from simtrain.serving.milvus.source import Block, PublishedSource

_ROWS = 1000  # of a request: 4 MB at 1,024 dimensions
READ_ROWS = 10_000
"""Items that are read at once."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What `publish` has done.

    Attributes:
        address: Address of the Milvus, as the user wrote it.
        alias: Name that searches use.
        collection: Collection behind it.
        index: Its index.
        items: Number of items in it.
        written: Items that were new or changed.
        removed: Items that were there and are gone.
        replaced: Whether another collection stood behind the alias before.
        cut_texts: Number of texts that were cut at the longest that Milvus takes.
    """

    address: str
    alias: str
    collection: str
    index: MilvusIndex
    items: int
    written: int
    removed: int
    replaced: bool
    cut_texts: int


def publish_items(
    source: PublishedSource,
    address: MilvusAddress,
    *,
    alias: str,
    index: str,
    console: Console,
    takes_over: bool = True,
) -> Published:
    """Bring a collection in step with a source; where it was ended, the next call goes on.

    Items are told apart by `id`; of the same encoder and columns only what has changed is written, in place. Another
    encoder, index or set of columns makes a new collection, which takes the alias once it is whole.

    Args:
        source: Items and embeddings.
        address: Where the Milvus is.
        alias: Name for searches.
        index: One of `INDEX_TYPES`.
        console: Shows how many items are done.
        takes_over: Whether the alias may stand for another bundle's items until now, which are then removed.

    Raises:
        SimtrainError: for what Milvus refuses; what was published before can still be searched.
    """
    with connected(address, must_exist=False) as client:
        if not takes_over:
            refuse_other_bundle(client, alias, source.bundle, where=address.text)
        standing = standing_collection(client, source, address, alias=alias, index=index)
        name, described, before = standing.name, standing.described, standing.before
        client.load_collection(name)
        there = _hashes(client, name)
        done = _write(client, name, source, described, there=there, console=console)
        gone = sorted(set(there) - done.ids)
        for start in range(0, len(gone), _ROWS):
            part = gone[start : start + _ROWS]
            with_patience(lambda part=part: client.delete(name, filter=one_of(part)))  # type: ignore[misc]
        client.flush(name)
        tell_bundle(client, name, described)
        switch(client, alias, name)
    return Published(
        address=address.text,
        alias=alias,
        collection=name,
        index=described.index,
        items=len(done.ids),
        written=done.written,
        removed=len(gone),
        replaced=before is not None and before != name,
        cut_texts=done.cut_texts,
    )


@dataclass(frozen=True, kw_only=True)
class StandingCollection:
    """The collection for the items of a source.

    Attributes:
        name: Its name; it is there, empty where it was not there before.
        described: What it says of itself.
        before: The collection that the alias stands for until now; None: there is none.
    """

    name: str
    described: Described
    before: str | None


def standing_collection(
    client: Any, source: PublishedSource, address: MilvusAddress, *, alias: str, index: str
) -> StandingCollection:
    """The collection for the items of a source, made if it is not there.

    Args:
        client: Of pymilvus.
        source: Items and embeddings.
        address: Where the Milvus is.
        alias: Name for searches.
        index: One of `INDEX_TYPES`.

    Raises:
        SimtrainError: if the alias is somebody else's.
    """
    described = Described(
        fingerprint=source.fingerprint,
        dimensions=source.dimensions,
        bundle=None if source.bundle is None else str(source.bundle),
        index=MilvusIndex.of(index, count=source.count()),
        fields=fields_of(source.columns()),
    )
    refuse_stranger(client, alias, where=address.text)
    before = behind(client, alias)
    described = _kept_index(client, before, described, asked=index)
    name = described.name(alias)
    if name not in client.list_collections():
        _remove_half_made(address, name)
        create(client, name, described)
    return StandingCollection(name=name, described=described, before=before)


def row_hash(row: Mapping[str, Any], embedding: NDArray[np.float32]) -> str:
    """What an item and its (D,) embedding are told from changed ones by."""
    content = json.dumps(row, sort_keys=True, default=str).encode() + embedding.tobytes()
    return hashlib.sha256(content).hexdigest()


def blocks_shown(source: PublishedSource, size: int, what: str, console: Console) -> Iterable[Block]:
    """The blocks of a source behind a bar, at most `size` items each."""
    return console.bar(source.blocks(size), -(-source.count() // size), what)


def _remove_half_made(address: MilvusAddress, name: str) -> None:
    """Remove what a killed process left of a collection: an embedded Milvus makes its folder first, then its schema."""
    folder = None if address.file is None else address.file / "collections" / name
    if folder is not None and folder.is_dir() and not (folder / "schema.json").exists():
        shutil.rmtree(folder)


def _kept_index(client: Any, before: str | None, described: Described, *, asked: str) -> Described:
    """With `auto` a collection of the same encoder and columns keeps its index, however many items come and go."""
    there = describe(client, before) if before is not None else None
    if asked != "auto" or there is None:
        return described
    like_there = Described(
        fingerprint=described.fingerprint,
        dimensions=described.dimensions,
        bundle=described.bundle,
        index=there.index,
        fields=described.fields,
    )
    grown_out = there.index.kind == "FLAT" and described.index.kind != "FLAT"
    return described if grown_out or like_there.fields != there.fields else like_there


@dataclass(frozen=True, kw_only=True)
class _Done:
    ids: set[str]
    written: int
    cut_texts: int


def _write(
    client: Any,
    name: str,
    source: PublishedSource,
    described: Described,
    *,
    there: Mapping[str, str],
    console: Console,
) -> _Done:
    ids: set[str] = set()
    written = cut_texts = 0
    what = f"publishing, in thousands of items ({_ROWS} each)"
    for items, embeddings in blocks_shown(source, _ROWS, what, console):
        rows, cut = values_of(items, described.fields)
        cut_texts += cut
        ids.update(row[ID_FIELD] for row in rows)
        changed = list(_changed(rows, embeddings, there=there))
        written += len(changed)
        if changed:
            with_patience(lambda changed=changed: client.upsert(name, changed))  # type: ignore[misc]
    return _Done(ids=ids, written=written, cut_texts=cut_texts)


def _changed(
    rows: Sequence[dict[str, Any]], embeddings: NDArray[np.float32], *, there: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    for row, embedding in zip(rows, embeddings, strict=True):
        digest = row_hash(row, embedding)
        if there.get(row[ID_FIELD]) != digest:
            yield {**row, HASH_FIELD: digest, VECTOR_FIELD: embedding.tolist()}


def _hashes(client: Any, name: str) -> dict[str, str]:
    """Id -> hash of what a collection holds."""
    found: dict[str, str] = {}
    rows = client.query_iterator(name, batch_size=READ_ROWS, output_fields=[ID_FIELD, HASH_FIELD])
    while batch := rows.next():
        found |= {row[ID_FIELD]: row[HASH_FIELD] for row in batch}
    rows.close()
    return found

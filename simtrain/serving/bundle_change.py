"""A bundle with other items: the encoder's files stay, index and items are written anew, all of it in one step."""

# Shapes: N items, D dimensions of the embedding.

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simtrain.errors import BundleError, system_reason
from simtrain.files import staging_folder
from simtrain.locks import FileLock, LockHeldError
from simtrain.serving.bundle import INDEX_FILE, ITEMS_FILE, VECTORS_FILE, Bundle
from simtrain.serving.bundle_place import check_target, clear_place, put_bundle
from simtrain.serving.bundle_writer import IndexedItems, IndexSettings, write_index_and_items
from simtrain.serving.given_bundle import GivenBundle
from simtrain.serving.index_factory import AUTO, chosen_factory
from simtrain.serving.manifest import MANIFEST_FILE, hashes_of, write_manifest
from simtrain.serving.picture_folders import PictureFolders
from simtrain.serving.signature import SigningKey

_RECALL = 0.99  # of an index that was exact until now
_OF_ITEMS = (INDEX_FILE, ITEMS_FILE, VECTORS_FILE, MANIFEST_FILE)


@contextmanager
def changed_by_one(given: GivenBundle, *, sign: SigningKey | None) -> Iterator[Bundle]:
    """The opened bundle, for as long as nobody else may change it.

    Searches go on meanwhile, in what is there.

    Args:
        given: The bundle.
        sign: Key that its change will be signed with, and that it must be signed with already; None: it is not signed.

    Raises:
        BundleError: if it cannot be opened or written to, or another process is changing it.
    """
    folder = given.folder
    check_target(folder, signed=sign is not None)
    target = folder.resolve()
    lock = FileLock(path=target.with_name(f".{target.name}.change.lock"))
    try:
        lock.acquire(without=lambda _: None)
    except LockHeldError as held:
        raise BundleError(f"{folder}: is being changed by {held}; wait until that has ended, or end it") from None
    except OSError as error:
        raise BundleError(f"{folder}: cannot be written: {system_reason(error)}") from None
    try:
        clear_place(target)
        yield (given if sign is None else replace(given, signed_by=sign.public)).open()
    finally:
        lock.release()


def all_vectors(bundle: Bundle) -> NDArray[np.float32]:
    """(N, D) embeddings of the items, in their order.

    Raises:
        BundleError: for an index that does not keep them.
    """
    if not bundle.index.keeps_vectors:
        raise BundleError(
            f"{bundle.folder}: its index '{bundle.index.factory}' does not keep the embeddings, so that items cannot "
            "be changed; export the run again"
        )
    return bundle.index.vectors(np.arange(bundle.index.count, dtype=np.int64))


def index_settings(bundle: Bundle, *, count: int) -> IndexSettings:
    """How the index is built over another number of items: as before, but `auto` looks at the number again."""
    export = (bundle.manifest.get("run") or {}).get("config", {}).get("export") or {}
    factory = bundle.index.factory
    if export.get("index") == AUTO:
        memory_mib = export.get("index_memory_mib")
        factory = chosen_factory(count=count, dimensions=bundle.index.dimensions, memory_mib=memory_mib)
    return IndexSettings(
        factory=factory,
        wanted_recall=float(bundle.manifest["index"].get("wanted_recall") or export.get("index_recall") or _RECALL),
        stored_as="float16" if bundle.index.stores_halves else export.get("index_vectors", "float32"),
    )


def write_changed(
    bundle: Bundle,
    items: pd.DataFrame,
    embeddings: NDArray[np.float32],
    *,
    change: dict[str, Any],
    pictures: PictureFolders,
    sign: SigningKey | None,
) -> None:
    """Put a bundle of the same encoder with these items in the place of a bundle.

    A process killed meanwhile leaves the bundle as it was.

    Args:
        bundle: The open bundle.
        items: N items, 1 or more, with `id` (unique) and `path`.
        embeddings: (N, D) embeddings of unit length, in the order of the items.
        change: What has changed, for the manifest.
        pictures: Folders of the items' pictures; noted beside a bundle whose manifest does not name them.
        sign: Key that its manifest is signed with; None: it is not.

    Raises:
        BundleError: if it cannot be written, or somebody else has replaced the bundle meanwhile.
    """
    target = bundle.folder.resolve()
    settings = index_settings(bundle, count=len(items))
    kept = {name: sha256 for name, sha256 in bundle.manifest["files"].items() if name not in _OF_ITEMS}
    try:
        with staging_folder(target) as work:
            for name in kept:
                (work / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(target / name, work / name)
            if hashes_of(work) != kept:
                raise BundleError(f"{bundle.folder}: was replaced by another bundle meanwhile; do it again")
            given = IndexedItems(items=items, embeddings=embeddings)
            index = write_index_and_items(work, given, settings=settings, fingerprint=bundle.fingerprint)
            told = {key: value for key, value in bundle.manifest.items() if key not in ("checksum", "files", "index")}
            changes = [*told.pop("changes", []), change]
            write_manifest(work, {**told, "index": index, "changes": changes, "files": hashes_of(work)})
            if sign is not None:
                sign.sign(work / MANIFEST_FILE)
            Bundle.open(work)
            put_bundle(work, target, pictures=PictureFolders() if "image_root" in told else pictures)
    except OSError as error:
        raise BundleError(f"{bundle.folder}: cannot be written: {system_reason(error)}") from None

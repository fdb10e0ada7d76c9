"""Search in a published collection; similarities are exact cosines, whatever its index."""

# Shapes: D dimensions of the embedding, C candidates.

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simtrain.errors import BundleError, SimtrainError
from simtrain.serving.milvus.collection import Described, chosen_alias, describe
from simtrain.serving.milvus.connection import MilvusAddress, connected, milvus_errors, with_patience
from simtrain.serving.milvus.fields import ID_FIELD, VECTOR_FIELD
from simtrain.serving.searcher import FoundItem

_SPARE = 16
_MOST = 16_384  # Milvus answers with no more


def folder_published(address: MilvusAddress, collection: str | None) -> Path:
    """Folder of the bundle that a collection was published from, whose encoder embeds queries.

    Args:
        address: Where the Milvus is.
        collection: Alias to search in; None: the only one.

    Raises:
        SimtrainError: if the collection is not there, or the bundle is not known or gone.
    """
    with connected(address, must_exist=True) as client:
        alias = chosen_alias(client, collection, where=address.text)
        described = describe(client, alias)
    assert described is not None
    folder = None if described.bundle is None else Path(described.bundle)
    if folder is None or not folder.is_dir():
        lost = "not known" if folder is None else f"no longer in {folder}"
        raise SimtrainError(
            f"{address.text}: the bundle that '{alias}' was published from is {lost}; name it: simtrain search BUNDLE "
            f"--from {address.text}"
        )
    return folder


def search_collection(
    address: MilvusAddress,
    embedding: NDArray[np.float32],
    *,
    collection: str | None,
    fingerprint: str,
    k: int,
    condition: str | None,
) -> list[FoundItem]:
    """The k items of a collection that are nearest to a query, nearest first.

    Args:
        address: Where the Milvus is.
        embedding: (D,) of unit length.
        collection: Alias to search in; None: the only one.
        fingerprint: Name of the space that the query was embedded in.
        k: Number of items, 1 to 16,384.
        condition: A filter in Milvus's words, such as `color == "red"`; None: none.

    Raises:
        BundleError: if the collection holds embeddings of another encoder.
        SimtrainError: for what Milvus refuses, such as a filter that it cannot read.
    """
    if not 1 <= k <= _MOST:
        raise BundleError(f"-k: got {k}; Milvus answers with 1 to {_MOST}")
    with connected(address, must_exist=True) as client:
        alias = chosen_alias(client, collection, where=address.text)
        described = describe(client, alias)
        assert described is not None
        if described.fingerprint != fingerprint:
            raise BundleError(
                f"{address.text}: collection '{alias}' holds embeddings of another encoder: its fingerprint is "
                f"{described.fingerprint[:12]}…, the bundle's {fingerprint[:12]}…; publish the bundle: simtrain publish"
            )
        client.load_collection(alias)
        names = [field.name for field in described.fields]
        where = f"--filter {condition!r}" if condition else address.text
        with milvus_errors(where):
            hits = with_patience(
                lambda: client.search(
                    alias,
                    data=[embedding.tolist()],
                    limit=min(k + _SPARE, _MOST),
                    filter=condition or "",
                    output_fields=[ID_FIELD, VECTOR_FIELD, *names],
                    search_params={"metric_type": "COSINE", "params": described.index.search_parameters(k + _SPARE)},
                )
            )[0]
    return _in_order(hits, embedding, described)[:k]


def _in_order(hits: Sequence[Any], query: NDArray[np.float32], described: Described) -> list[FoundItem]:
    """Hits by their exact cosines; equal ones by id."""
    column = {field.name: field.column for field in described.fields} | {ID_FIELD: ID_FIELD}
    found = []
    for hit in hits:
        entity = dict(hit["entity"])
        vector = np.asarray(entity.pop(VECTOR_FIELD), dtype=np.float64)
        similarity = float(np.float32(vector @ query.astype(np.float64)))
        item = {ID_FIELD: hit[ID_FIELD]} | {column[name]: value for name, value in entity.items() if name in column}
        found.append(FoundItem(item=item, similarity=similarity))
    return sorted(found, key=lambda one: (-one.similarity, one.item[ID_FIELD]))

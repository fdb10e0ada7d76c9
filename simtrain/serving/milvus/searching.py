"""Search in a published collection; similarities are exact cosines, whatever its index."""

# Shapes: D dimensions of the embedding, C candidates.

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simtrain.errors import BundleError, SimtrainError
from simtrain.serving.milvus.collection import Described, chosen_collection
from simtrain.serving.milvus.connection import (
    MilvusAddress,
    MilvusAwayError,
    connected,
    milvus_errors,
    with_patience,
)
from simtrain.serving.milvus.fields import ID_FIELD, VECTOR_FIELD, one_of
from simtrain.serving.searcher import FoundItem

_SPARE = 16
_MOST = 16_384  # Milvus answers with no more
_GONE = re.compile(r"collection '[^']*' does not exist|collection not found|can't find collection")


@dataclass(frozen=True, kw_only=True)
class PublishedCollection:
    """A collection of `simtrain publish`, connected with. Get one with `opened`; several threads may ask it.

    Attributes:
        client: Of pymilvus.
        address: Where the Milvus is.
        alias: Name that it was published under.
        name: The collection that the alias stood for when this was opened.
        described: What it says of itself.
    """

    client: Any
    address: MilvusAddress
    alias: str
    name: str
    described: Described

    @staticmethod
    def of(client: Any, address: MilvusAddress, collection: str | None) -> PublishedCollection:
        """A collection of a Milvus that is connected with.

        Args:
            client: Of pymilvus.
            address: Where the Milvus is.
            collection: Alias to search in; None: the only one.

        Raises:
            SimtrainError: if the collection is not there.
        """
        alias, name, described = chosen_collection(client, collection, where=address.text)
        return PublishedCollection(client=client, address=address, alias=alias, name=name, described=described)

    @staticmethod
    @contextmanager
    def opened(address: MilvusAddress, collection: str | None) -> Iterator[PublishedCollection]:
        """Connect with a collection for as long as the block lasts; see `of`.

        Raises:
            SimtrainError: if the collection is not there, and for what a call in the block is refused.
        """
        with connected(address, must_exist=True) as client:
            yield PublishedCollection.of(client, address, collection)

    def bundle_folder(self, *, verb: str) -> Path:
        """Folder of the bundle that it was published from, whose encoder embeds queries.

        Args:
            verb: `search` or `serve`, for the advice in errors.

        Raises:
            SimtrainError: if the bundle is not known, or gone.
        """
        folder = None if self.described.bundle is None else Path(self.described.bundle)
        if folder is None or not folder.is_dir():
            lost = "not known" if folder is None else f"no longer in {folder}"
            raise SimtrainError(
                f"{self.address.text}: the bundle that '{self.alias}' was published from is {lost}; name it: simtrain "
                f"{verb} BUNDLE --from {quote(self.address.text)} --collection {self.alias}"
            )
        return folder

    def load(self, fingerprint: str) -> None:
        """Have Milvus load it, for queries of its own encoder alone.

        Args:
            fingerprint: Name of the space that queries are embedded in.

        Raises:
            BundleError: if the collection holds embeddings of another encoder.
        """
        if self.described.fingerprint != fingerprint:
            raise BundleError(
                f"{self.address.text}: collection '{self.alias}' holds embeddings of another encoder: its fingerprint "
                f"is {self.described.fingerprint[:12]}…, the bundle's {fingerprint[:12]}…; publish the bundle: "
                "simtrain publish"
            )
        with milvus_errors(self.address.text):
            self.client.load_collection(self.name)

    def nearest(self, embedding: NDArray[np.float32], *, k: int, condition: str | None) -> list[FoundItem]:
        """The k items that are nearest to a query, nearest first; all that pass if there are fewer.

        Args:
            embedding: (D,) of unit length.
            k: Number of items, 1 to 16,384.
            condition: A filter in Milvus's words, such as `color == "red"`; None: none.

        Raises:
            SimtrainError: for what Milvus refuses, such as a filter that it cannot read.
        """
        if not 1 <= k <= _MOST:
            raise BundleError(f"-k: got {k}; Milvus answers with 1 to {_MOST}")
        index = self.described.index
        with self._answers(f"--filter {condition!r}" if condition else self.address.text):
            hits = with_patience(
                lambda: self.client.search(
                    self.name,
                    data=[embedding.tolist()],
                    limit=min(k + _SPARE, _MOST),
                    filter=condition or "",
                    output_fields=self._fields,
                    search_params={"metric_type": "COSINE", "params": index.search_parameters(k + _SPARE)},
                )
            )[0]
        found = [self._item(dict(hit["entity"]) | {ID_FIELD: hit[ID_FIELD]}) for hit in hits]
        return _in_order(found, embedding)[:k]

    def item(self, item_id: str) -> tuple[dict[str, Any], NDArray[np.float32]] | None:
        """Columns of an item, and its (D,) embedding; None: there is none of this id.

        Raises:
            SimtrainError: for what Milvus refuses.
        """
        with self._answers(self.address.text):
            rows = with_patience(
                lambda: self.client.query(self.name, filter=one_of([item_id]), output_fields=self._fields)
            )
        return self._item(dict(rows[0])) if rows else None

    def count(self) -> int:
        """Number of items.

        Raises:
            SimtrainError: for what Milvus refuses.
        """
        with self._answers(self.address.text):
            rows = with_patience(lambda: self.client.query(self.name, filter="", output_fields=["count(*)"]))
        return int(rows[0]["count(*)"])

    def some(self, most: int) -> list[dict[str, Any]]:
        """Columns of some items, at most so many, by field name.

        Raises:
            SimtrainError: for what Milvus refuses.
        """
        names = [field.name for field in self.described.fields]
        with self._answers(self.address.text):
            rows = with_patience(
                lambda: self.client.query(self.name, filter="", limit=most, output_fields=[ID_FIELD, *names])
            )
        return [dict(row) for row in rows]

    @contextmanager
    def _answers(self, where: str) -> Iterator[None]:
        from pymilvus import MilvusException

        with milvus_errors(where):
            try:
                yield
            except MilvusException as error:
                if _GONE.search(str(error)) is None:
                    raise
                raise MilvusAwayError(f"{self.address.text}: '{self.alias}' was replaced; try again") from None

    @property
    def _fields(self) -> list[str]:
        return [ID_FIELD, VECTOR_FIELD, *(field.name for field in self.described.fields)]

    def _item(self, entity: dict[str, Any]) -> tuple[dict[str, Any], NDArray[np.float32]]:
        vector = np.asarray(entity.pop(VECTOR_FIELD), dtype=np.float32)
        column = {ID_FIELD: ID_FIELD} | {field.name: field.column for field in self.described.fields}
        return {column[name]: value for name, value in entity.items() if name in column}, vector


def search_collection(
    address: MilvusAddress,
    embedding: NDArray[np.float32],
    *,
    collection: str | None,
    fingerprint: str,
    k: int,
    condition: str | None,
) -> list[FoundItem]:
    """The k items of a collection that are nearest to one query, nearest first.

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
    with PublishedCollection.opened(address, collection) as published:
        published.load(fingerprint)
        return published.nearest(embedding, k=k, condition=condition)


def folder_published(address: MilvusAddress, collection: str | None) -> Path:
    """Folder of the bundle that a collection was published from, whose encoder embeds queries.

    Args:
        address: Where the Milvus is.
        collection: Alias to search in; None: the only one.

    Raises:
        SimtrainError: if the collection is not there, or the bundle is not known or gone.
    """
    with PublishedCollection.opened(address, collection) as published:
        return published.bundle_folder(verb="search")


def _in_order(
    found: Sequence[tuple[dict[str, Any], NDArray[np.float32]]], query: NDArray[np.float32]
) -> list[FoundItem]:
    """Hits by their exact cosines; equal ones by id."""
    exact = query.astype(np.float64)
    items = [
        FoundItem(item=item, similarity=float(np.float32(vector.astype(np.float64) @ exact))) for item, vector in found
    ]
    return sorted(items, key=lambda one: (-one.similarity, one.item[ID_FIELD]))

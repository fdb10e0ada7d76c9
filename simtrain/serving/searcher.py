"""Similarity search in a bundle by image or by text."""

# Shapes: H × W pixels as they came, k neighbours.

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simtrain.errors import BundleError, SimtrainError
from simtrain.serving.bundle import CONTENT_COLUMN, Bundle, PromisedPrecision
from simtrain.serving.filtered_search import nearest_passing
from simtrain.serving.query_encoder import QueryEncoder, embed_decoded_images

_OWN_FIELDS = ("id", "path", "product", "label", "caption", CONTENT_COLUMN)
_BATCH_SIZE = 32
_ROUNDING = 1e-6
"""Of a similarity: thresholds were measured with the same embeddings in another order of sums."""


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """One item of a search's results."""

    rank: int
    """Place in the results; 1 is the nearest."""

    row: int | None
    """Row of the bundle's items; None: it was found elsewhere than in the bundle."""

    id: str
    similarity: float
    """Cosine, -1..1 up to rounding; higher is nearer."""

    precision: float | None
    """Highest precision, 0 to 1, of the bundle's thresholds that this similarity reaches, measured on held-out image
    queries. None: it reaches no threshold, the query is a text (their similarities differ), or the bundle has no
    thresholds."""

    path: Path
    """File of the image, relative; see `Bundle.pictures`."""

    product: str | None
    label: str | None
    caption: str | None
    other: dict[str, Any]
    """The item's other columns, as plain values that JSON can hold."""


@dataclass(frozen=True, kw_only=True)
class FoundItem:
    """An item that was found: its columns, and its cosine similarity to the query."""

    item: Mapping[str, Any]
    similarity: float


Elsewhere = Callable[[NDArray[np.float32], int], Sequence[FoundItem]]
"""(D,) embedding of a query and a number -> so many items that are nearest to it, nearest first."""


class Searcher:
    """A bundle's encoder and index, ready to search.

    Args:
        bundle: An open bundle.
        encoder: Its encoder, which was checked to give the bundle's golden embeddings.
        elsewhere: Searches another place than the bundle's index, of the same embedding space; None: the index.
        passing: (N,) which items of the index may be found; None: all.
    """

    def __init__(
        self,
        *,
        bundle: Bundle,
        encoder: QueryEncoder,
        elsewhere: Elsewhere | None = None,
        passing: NDArray[np.bool_] | None = None,
    ) -> None:
        self._bundle = bundle
        self._elsewhere, self._passing = elsewhere, passing
        self._promises = bundle.promises
        self._encoder = encoder
        self._columns = {str(name): bundle.items[name].array for name in bundle.items.columns}

    @property
    def encoder(self) -> QueryEncoder:
        """Encoder of the queries."""
        return self._encoder

    def by_image(self, image: NDArray[np.uint8], *, k: int) -> list[Neighbour]:
        """The k items nearest to a picture, nearest first; all of them if there are fewer.

        Args:
            image: (H, W, 3) uint8 RGB.
            k: Number of neighbours; >= 1.

        Raises:
            ValueError: k < 1, or not an RGB picture.
        """
        return self.by_images([image], k=k)[0]

    def by_images(self, images: Sequence[NDArray[np.uint8]], *, k: int) -> list[list[Neighbour]]:
        """`by_image` for several pictures, embedded in batches."""
        answers: list[list[Neighbour]] = []
        for start in range(0, len(images), _BATCH_SIZE):
            embeddings = embed_decoded_images(self._encoder, images[start : start + _BATCH_SIZE])
            if not np.linalg.norm(embeddings, axis=1).all():
                raise SimtrainError(
                    "search: the encoder gives the query an embedding of length 0 (a flat picture?): nothing is similar"
                )
            answers += self._nearest(embeddings, k=k, of_image=True)
        return answers

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """(H, W, 3) uint8 RGB pictures -> (N, D) of unit length, in batches."""
        parts = [
            embed_decoded_images(self._encoder, images[start : start + _BATCH_SIZE])
            for start in range(0, len(images), _BATCH_SIZE)
        ]
        size = self._encoder.embedding_size
        return np.concatenate(parts) if parts else np.zeros((0, size), dtype=np.float32)

    def by_text(self, text: str, *, k: int) -> list[Neighbour]:
        """The k items nearest to a text, nearest first; all of them if there are fewer.

        Args:
            text: Any text; tokens beyond the encoder's limit are ignored, see `tokens_read`.
            k: Number of neighbours; >= 1.

        Raises:
            BundleError: if the encoder embeds no texts, or none here.
            ValueError: k < 1.
        """
        return self._nearest(self._text_encoder().embed_texts([text]), k=k, of_image=False)[0]

    def tokens_read(self, text: str) -> int | None:
        """After how many tokens the encoder stops reading this text; None: it reads all of it.

        Raises:
            BundleError: if the encoder embeds no texts, or none here.
        """
        return self._text_encoder().tokens_read(text)

    def _text_encoder(self) -> QueryEncoder:
        if self._encoder.no_texts is not None:
            raise BundleError(f"{self._bundle.folder}: {self._encoder.no_texts}")
        return self._encoder

    def _nearest(self, embeddings: NDArray[np.float32], *, k: int, of_image: bool) -> list[list[Neighbour]]:
        if self._elsewhere is not None:
            return [self.found(self._elsewhere(embedding, k), of_image=of_image) for embedding in embeddings]
        index, passing = self._bundle.index, self._passing
        if passing is None:
            found = index.search(embeddings, k=k)
        else:
            found = [nearest_passing(index, embedding, k=k, passing=passing) for embedding in embeddings]
        return [self.neighbours(rows, similarities, of_image=of_image) for rows, similarities in found]

    def found(self, items: Sequence[FoundItem], *, of_image: bool) -> list[Neighbour]:
        """Items that were found elsewhere than in the bundle's index.

        Args:
            items: They, nearest first.
            of_image: Whether the query was an image, for which the bundle's thresholds hold.
        """
        promises = self._promises if of_image else []
        return [
            _neighbour(one.item, rank=rank, row=None, similarity=one.similarity, promises=promises)
            for rank, one in enumerate(items, start=1)
        ]

    def neighbours(
        self, rows: NDArray[np.int64], similarities: NDArray[np.float32], *, of_image: bool
    ) -> list[Neighbour]:
        """Items that were found, with their columns.

        Args:
            rows: Rows of the bundle's items, nearest first.
            similarities: Their cosine similarities.
            of_image: Whether the query was an image, for which the bundle's thresholds hold.
        """
        promises = self._promises if of_image else []
        values = [column.take(rows).tolist() for column in self._columns.values()]  # a frame's rows take thrice as long
        items = [dict(zip(self._columns, item, strict=True)) for item in zip(*values, strict=True)]
        return [
            _neighbour(item, rank=rank, row=int(row), similarity=float(similarity), promises=promises)
            for rank, (item, row, similarity) in enumerate(zip(items, rows, similarities, strict=True), start=1)
        ]


def _neighbour(
    item: Mapping[str, Any],
    *,
    rank: int,
    row: int | None,
    similarity: float,
    promises: Sequence[PromisedPrecision],
) -> Neighbour:
    kept = [promised.precision for promised in promises if similarity >= promised.similarity - _ROUNDING]
    values = {name: _plain(value) for name, value in item.items()}
    text = {name: None if values.get(name) is None else str(values[name]) for name in ("product", "label", "caption")}
    return Neighbour(
        rank=rank,
        row=row,
        id=str(values["id"]),
        similarity=similarity,
        precision=max(kept, default=None),
        path=Path(str(values["path"])),
        other={name: value for name, value in values.items() if name not in _OWN_FIELDS},
        **text,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, np.ndarray):
        return [_plain(inner) for inner in value.tolist()]
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if pd.isna(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, str | int | float) else str(value)

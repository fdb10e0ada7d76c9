"""One opened bundle in service: encoder behind micro-batches, ids, filters."""

# Shapes: N items, S = image_size, D dimensions of the embedding, B queries of one batch.

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import faiss
import numpy as np
from numpy.typing import NDArray

from simtrain.serving.app.filters import ItemFilters
from simtrain.serving.app.metrics import ServiceMetrics
from simtrain.serving.app.micro_batches import MicroBatches
from simtrain.serving.app.settings import Limits
from simtrain.serving.index import ItemIndex
from simtrain.serving.opened_bundle import OpenedBundle

Query = NDArray[np.uint8] | str
"""(S, S, 3) pixels, or a text."""

_SEARCHING_THREADS = 4

_COMPARED_WITH_EACH = 20_000
"""So many items that pass a filter are compared with the query one by one."""


class ServedBundle:
    """A bundle that answers many requests at a time.

    Args:
        opened: The bundle with its encoder.
        limits: Bounds of batches.
        metrics: Counts batches.
    """

    def __init__(self, *, opened: OpenedBundle, limits: Limits, metrics: ServiceMetrics) -> None:
        self.opened = opened
        self.bundle = opened.bundle
        self.searcher = opened.searcher
        self.filters = ItemFilters(items=opened.items)
        self._metrics = metrics
        self._rows = {str(name): row for row, name in enumerate(opened.items["id"])}
        self._searching = ThreadPoolExecutor(
            max_workers=_SEARCHING_THREADS, thread_name_prefix="searching", initializer=_search_alone
        )
        self._batches: MicroBatches[Query, NDArray[np.float32]] = MicroBatches(
            compute=self._embedded, largest=limits.batch, waiting=limits.waiting
        )

    @property
    def waiting(self) -> int:
        """About how many queries wait for the encoder."""
        return self._batches.waiting

    @property
    def no_texts(self) -> str | None:
        """Why it embeds no texts; None: it does."""
        return self.searcher.encoder.no_texts

    def row_of(self, item_id: str) -> int | None:
        """Row of an item; None: there is none of this id."""
        return self._rows.get(item_id)

    def embed(self, query: Query) -> "Future[NDArray[np.float32]]":
        """(D,) of unit length, or of length 0 where the encoder makes nothing of the query.

        Raises:
            RequestError: with status 503, if too many wait.
        """
        return self._batches.submit(query)

    def nearest(
        self, query: NDArray[np.float32], *, k: int, passing: NDArray[np.bool_] | None
    ) -> "Future[tuple[NDArray[np.int64], NDArray[np.float32]]]":
        """`nearest_passing` of this bundle's index, in a thread."""
        return self._searching.submit(nearest_passing, self.bundle.index, query, k=k, passing=passing)

    def close(self) -> None:
        """Answer what waits, and end."""
        self._batches.close()
        self._searching.shutdown()

    def _embedded(self, queries: list[Query]) -> Sequence[NDArray[np.float32]]:
        encoder = self.searcher.encoder
        pictures = [place for place, query in enumerate(queries) if not isinstance(query, str)]
        texts = [place for place, query in enumerate(queries) if isinstance(query, str)]
        embeddings = np.zeros((len(queries), encoder.embedding_size), dtype=np.float32)
        with self._metrics.encoding(len(queries)):
            if pictures:
                embeddings[pictures] = encoder.embed_pixels(np.stack([queries[place] for place in pictures]))
            if texts:
                embeddings[texts] = encoder.embed_texts([str(queries[place]) for place in texts])
        return list(embeddings)


def _search_alone() -> None:
    """Of a thread that searches: requests are many, and a second thread for one query costs ten times what it gives."""
    faiss.omp_set_num_threads(1)


def nearest_passing(
    index: ItemIndex, query: NDArray[np.float32], *, k: int, passing: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k nearest items among those that pass a filter, nearest first; fewer where an approximate index finds fewer.

    Args:
        index: Index of N items.
        query: (D,) of unit length.
        k: >= 1.
        passing: (N,) which items may be found; None: all.

    Returns:
        Their rows and cosine similarities.
    """
    if passing is None:
        return index.search(query[None], k=k)[0]
    rows = np.flatnonzero(passing)
    if not len(rows):
        return rows, np.empty(0, dtype=np.float32)
    if index.keeps_vectors and len(rows) <= _COMPARED_WITH_EACH:
        similarities = (index.vectors(rows).astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
        order = np.lexsort((rows, -similarities))[:k]
        return rows[order], similarities[order]
    wanted = math.ceil(1.5 * k * index.count / len(rows))
    while True:
        found, similarities = index.search(query[None], k=min(wanted, index.count))[0]
        kept = passing[found]
        if kept.sum() >= min(k, len(rows)) or wanted >= index.count:
            return found[kept][:k], similarities[kept][:k]
        wanted *= 4

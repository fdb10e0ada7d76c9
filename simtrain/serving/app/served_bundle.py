"""One opened bundle in service: encoder behind micro-batches, ids, filters."""

# Shapes: N items, S = image_size, D dimensions of the embedding, B queries of one batch.

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import faiss
import numpy as np
from numpy.typing import NDArray

from simtrain.serving.app.filters import ItemFilters
from simtrain.serving.app.metrics import ServiceMetrics
from simtrain.serving.app.micro_batches import MicroBatches
from simtrain.serving.app.settings import Limits
from simtrain.serving.filtered_search import nearest_passing
from simtrain.serving.opened_bundle import OpenedBundle

Query = NDArray[np.uint8] | str
"""(S, S, 3) pixels, or a text."""

_SEARCHING_THREADS = 4


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

"""One opened bundle in service: its encoder behind micro-batches, and the items that are searched, in threads."""

# Shapes: S = image_size, D dimensions of the embedding, B queries of one batch.

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import faiss
import numpy as np
from numpy.typing import NDArray

from simtrain.serving.app.metrics import ServiceMetrics
from simtrain.serving.app.micro_batches import MicroBatches
from simtrain.serving.app.served_items import ServedItems
from simtrain.serving.app.settings import BATCHES_AT_A_TIME, Limits
from simtrain.serving.onnx_query_encoder import OnnxQueryEncoder
from simtrain.serving.opened_bundle import OpenedBundle

Answer = TypeVar("Answer")
Query = NDArray[np.uint8] | str
"""(S, S, 3) pixels, or a text."""

_SEARCHING_THREADS = 4


class ServedBundle:
    """A bundle's encoder and the items of its space, which answer many requests at a time.

    Args:
        opened: The bundle with its encoder.
        items: What is searched.
        limits: Bounds of batches.
        metrics: Counts batches.
    """

    def __init__(self, *, opened: OpenedBundle, items: ServedItems, limits: Limits, metrics: ServiceMetrics) -> None:
        self.opened = opened
        self.bundle = opened.bundle
        self.searcher = opened.searcher
        self.items = items
        self._metrics = metrics
        self._searching = ThreadPoolExecutor(
            max_workers=_SEARCHING_THREADS, thread_name_prefix="searching", initializer=_search_alone
        )
        self._batches: MicroBatches[Query, NDArray[np.float32]] = MicroBatches(
            compute=self._embedded,
            largest=limits.batch,
            waiting=limits.waiting,
            workers=BATCHES_AT_A_TIME if isinstance(self.searcher.encoder, OnnxQueryEncoder) else 1,
        )

    @property
    def waiting(self) -> int:
        """About how many queries wait for the encoder."""
        return self._batches.waiting

    @property
    def no_texts(self) -> str | None:
        """Why it embeds no texts; None: it does."""
        return self.searcher.encoder.no_texts

    def embed(self, query: Query) -> "Future[NDArray[np.float32]]":
        """(D,) of unit length, or of length 0 where the encoder makes nothing of the query.

        Raises:
            RequestError: with status 503, if too many wait.
        """
        return self._batches.submit(query)

    async def asked(self, call: Callable[[], Answer]) -> Answer:
        """The answer of a call to `items`, made in a thread."""
        return await asyncio.wrap_future(self._searching.submit(call))

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

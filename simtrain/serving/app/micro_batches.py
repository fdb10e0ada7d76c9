"""Micro-batching: what several requests wait for is computed together."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from simtrain.serving.app.request_error import RequestError

Item = TypeVar("Item")
Result = TypeVar("Result")

_BUSY = 503


class MicroBatches(Generic[Item, Result]):
    """Threads that take what waits, up to a bound, and compute it in one call; they never wait for more to come.

    Args:
        compute: Items -> their results, in the same order; called by several threads, if there are several.
        largest: Most items of a call; >= 1.
        waiting: Most items that wait; >= 1.
        workers: Number of threads; >= 1. With two, one prepares a batch while the other computes.
    """

    def __init__(
        self, *, compute: Callable[[list[Item]], Sequence[Result]], largest: int, waiting: int, workers: int = 1
    ) -> None:
        self._compute = compute
        self._largest = largest
        self._queue: queue.Queue[tuple[Item, Future[Result]] | None] = queue.Queue(maxsize=waiting)
        self._threads = [threading.Thread(target=self._run, name="micro-batches", daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """About how many items wait."""
        return self._queue.qsize()

    def submit(self, item: Item) -> "Future[Result]":
        """Queue an item.

        Returns:
            Its result; one that is cancelled before its turn is left out.

        Raises:
            RequestError: with status 503, if too many wait.
        """
        future: Future[Result] = Future()
        try:
            self._queue.put_nowait((item, future))
        except queue.Full:
            raise RequestError("too many requests are waiting; try again in a moment", status=_BUSY) from None
        return future

    def close(self) -> None:
        """Compute what waits, then end the threads; nothing is submitted after this."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            ended = False
            while len(batch) < self._largest and not ended:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                ended = following is None
                if following is not None:
                    batch.append(following)
            self._answer([(item, future) for item, future in batch if future.set_running_or_notify_cancel()])
            if ended:
                return

    def _answer(self, batch: "list[tuple[Item, Future[Result]]]") -> None:
        if not batch:
            return
        try:
            results = self._compute([item for item, _ in batch])
        except BaseException as error:  # whatever it is, the requests that wait are told
            for _, future in batch:
                future.set_exception(error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)

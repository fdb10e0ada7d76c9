"""What waits is computed together, within bounds."""

import threading
from concurrent.futures import wait

import pytest

from simtrain.serving.app.micro_batches import MicroBatches
from simtrain.serving.app.request_error import RequestError


class Held:
    """Doubles numbers, but not before it may; remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.began, self.may = threading.Event(), threading.Event()

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.began.set()
        assert self.may.wait(10)
        if 13 in items:
            raise ArithmeticError("thirteen")
        return [2 * item for item in items]


def test_what_waits_is_computed_in_one_call_in_its_order() -> None:
    held = Held()
    batches = MicroBatches(compute=held, largest=3, waiting=10)
    first = batches.submit(0)
    assert held.began.wait(10)
    others = [batches.submit(number) for number in (1, 2, 3, 4)]
    assert batches.waiting == 4
    held.may.set()
    assert [future.result(10) for future in (first, *others)] == [0, 2, 4, 6, 8]
    batches.close()
    assert held.batches == [[0], [1, 2, 3], [4]]


def test_more_than_may_wait_is_refused() -> None:
    held = Held()
    batches = MicroBatches(compute=held, largest=3, waiting=2)
    batches.submit(0)
    assert held.began.wait(10)
    kept = [batches.submit(1), batches.submit(2)]
    with pytest.raises(RequestError, match="too many requests are waiting") as caught:
        batches.submit(3)
    assert caught.value.status == 503
    held.may.set()
    assert [future.result(10) for future in kept] == [2, 4]
    batches.close()


def test_an_error_reaches_all_of_its_batch_and_none_of_the_next() -> None:
    held = Held()
    batches = MicroBatches(compute=held, largest=2, waiting=10)
    batches.submit(0)
    assert held.began.wait(10)
    futures = [batches.submit(number) for number in (12, 13, 14)]
    held.may.set()
    for future in futures[:2]:
        with pytest.raises(ArithmeticError, match="thirteen"):
            future.result(10)
    assert futures[2].result(10) == 28
    batches.close()


def test_what_is_cancelled_is_not_computed_and_closing_answers_the_rest() -> None:
    held = Held()
    batches = MicroBatches(compute=held, largest=2, waiting=10)
    batches.submit(0)
    assert held.began.wait(10)
    futures = [batches.submit(number) for number in (1, 2)]
    assert futures[0].cancel()
    held.may.set()
    batches.close()
    assert not wait(futures, timeout=10).not_done
    assert held.batches == [[0], [2]]


def test_two_threads_compute_at_a_time_and_closing_answers_what_waits() -> None:
    both = threading.Barrier(2, timeout=10)

    def compute(items: list[int]) -> list[int]:
        both.wait()  # which one thread alone would never pass
        return [2 * item for item in items]

    batches = MicroBatches(compute=compute, largest=1, waiting=10, workers=2)
    futures = [batches.submit(number) for number in range(6)]
    batches.close()
    assert [future.result(0) for future in futures] == [0, 2, 4, 6, 8, 10]

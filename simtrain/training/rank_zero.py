"""Work of the first process alone, for which the others wait as long as it lives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import torch
import torch.distributed as dist

from simtrain.errors import SimtrainError
from simtrain.failures import mendable
from simtrain.training.ranks import broadcast_from_rank_zero, rank, rank_count, rank_timeout

Value = TypeVar("Value")
_SIGNS_IN_A_TIMEOUT = 4
_meeting: tuple[dist.ProcessGroup, dist.ProcessGroup] | None = None  # of all processes, and for signs of life


def on_rank_zero(act: Callable[[], Value]) -> Value:
    """Call `act` on rank 0 alone and broadcast what it returns.

    Rank 0 may take longer than the time after which a process that does not answer is given up: meanwhile it sends
    signs of life. Where it has ended or stopped, the others are told by torch.distributed after that time.

    Raises:
        SimtrainError: the one that `act` raises, on every process; also for a full disk and the like.
    """
    if rank_count() == 1:
        return act()
    result: tuple[Value | None, SimtrainError | None] = (None, None)
    with _signs_of_life():
        if rank() == 0:
            try:
                result = (act(), None)
            except Exception as error:
                found = mendable(error)
                if found is None:
                    raise
                result = (None, found)
    value, failure = broadcast_from_rank_zero(result)
    if failure is not None:
        failure.told_elsewhere = rank() > 0
        raise failure
    return cast(Value, value)


@contextmanager
def _signs_of_life() -> Iterator[None]:
    """Rank 0 says again and again that it is at work, and at the end that it is done; the others listen until then."""
    group = _group()
    if rank() > 0:
        yield
        done = torch.zeros(1)
        while not done:
            dist.broadcast(done, src=0, group=group)
        return
    ended = threading.Event()
    speaker = threading.Thread(target=_speak, args=(group, ended), daemon=True)
    speaker.start()
    try:
        yield
    finally:
        ended.set()
        speaker.join()
    dist.broadcast(torch.ones(1), src=0, group=group)


def _speak(group: dist.ProcessGroup, ended: threading.Event) -> None:
    while not ended.wait(rank_timeout().total_seconds() / _SIGNS_IN_A_TIMEOUT):
        try:
            dist.broadcast(torch.zeros(1), src=0, group=group)
        except RuntimeError:  # a listener is gone: what rank 0 sends next tells it in the thread that can end the run
            return


def _group() -> dist.ProcessGroup:
    """A gloo group of all processes: signs of life must not wait for a GPU's stream."""
    global _meeting
    everyone = dist.group.WORLD
    assert everyone is not None
    if _meeting is None or _meeting[0] is not everyone:
        group = dist.new_group(backend="gloo", timeout=rank_timeout())
        _meeting = (everyone, cast(dist.ProcessGroup, group))
    return _meeting[1]

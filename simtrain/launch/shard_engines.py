"""Engines that run independent pieces of work: processes of this machine, and actors of a Ray cluster."""

from __future__ import annotations

import importlib.util
import logging
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any, TypeVar

from simtrain.catalog.inspection.reading import live_and_die_with_the_parent
from simtrain.cores import usable_cores
from simtrain.errors import SimtrainError, first_line

Task = TypeVar("Task")
Worker = Callable[[Task, str], None]
"""Called with a piece of work and torch's name of the device to compute on, such as `cuda:0` or `cpu`."""

CPU = "cpu"
_DIED = "a process that embeds images died, perhaps for want of memory; what is finished stays: try --processes 1"
_device = CPU  # of a working process, for as long as it lives


def cuda_devices() -> list[str]:
    """Torch's names of the GPUs that this machine has; torch is imported only where there is a driver of one."""
    if importlib.util.find_spec("torch") is None or not Path("/dev/nvidiactl").exists():
        return []
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def in_processes(worker: Worker[Task], tasks: Sequence[Task], processes: int | None) -> Iterator[Task]:
    """Have every task worked on, in processes of this machine; yields each task when it is done.

    Args:
        worker: Importable by name, and picklable.
        tasks: Pieces of work.
        processes: Number of processes, 1 or more; None: one for each GPU, or else for each core.

    Raises:
        SimtrainError: of the worker, or where a process died.
    """
    devices = cuda_devices() or [CPU]
    wanted = processes or (len(devices) if devices != [CPU] else usable_cores())
    count = min(wanted, len(tasks))
    if count <= 1:
        for task in tasks:
            worker(task, devices[0])
            yield task
        return
    context = get_context("spawn")  # a forked process cannot use the GPU of its parent
    numbers = context.SimpleQueue()
    for number in range(count):
        numbers.put(devices[number % len(devices)])
    executor = ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(numbers,))
    try:
        running = {executor.submit(_work, worker, task): task for task in tasks}
        for future in as_completed(running):
            future.result()
            yield running[future]
    except BrokenProcessPool:
        raise SimtrainError(_DIED) from None
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def on_ray(worker: Worker[Task], tasks: Sequence[Task]) -> Iterator[int]:
    """Have every task worked on by actors of a Ray cluster; yields the number of each task when it is done.

    The cluster is the one that `RAY_ADDRESS` names, or else one that is started on this machine. Where it has GPUs,
    each actor has one. The work of a node that is lost is done again by others. All nodes see the same folders.

    Args:
        worker: Importable by name on every node, and picklable.
        tasks: Pieces of work, whose order does not matter.

    Raises:
        SimtrainError: of the worker, or where Ray is not installed or not to be reached.
    """
    if not tasks:
        return
    if importlib.util.find_spec("ray") is None:
        raise SimtrainError("--engine ray: needs the extra: pip install 'simtrain[ray]'")
    with _own_sigterm_handler():
        yield from _on_cluster(worker, tasks)


def _on_cluster(worker: Worker[Task], tasks: Sequence[Task]) -> Iterator[int]:
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it warns of restarted actors that get no arguments here
    import ray
    import ray.data
    from ray.exceptions import RayError

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
    except (RayError, ConnectionError, ValueError, RuntimeError) as error:
        raise SimtrainError(f"--engine ray: no cluster: {first_line(error)}") from None
    ray.data.DataContext.get_current().enable_progress_bars = False
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    on_gpus = resources.get("GPU", 0) >= 1
    actors = max(1, min(len(tasks), int(resources["GPU" if on_gpus else "CPU"])))
    device = "cuda:0" if on_gpus else CPU  # an actor sees the GPU that it was given, and no other
    rows = ray.data.from_items(
        [{"number": number, "work": pickle.dumps((worker, task, device))} for number, task in enumerate(tasks)]
    )
    done = rows.repartition(len(tasks)).map(
        _RayWorker,  # type: ignore[arg-type]  # Ray's types know no class whose objects are called
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors),
        num_cpus=1,
        num_gpus=1 if on_gpus else 0,
    )
    try:
        for row in done.iter_rows():
            yield row["number"]
    except RayError as error:
        raise SimtrainError(f"--engine ray: {first_line(getattr(error, 'cause', None) or error)}") from None


@contextmanager
def _own_sigterm_handler() -> Iterator[None]:
    """Puts back what the caller does on SIGTERM: `ray.init` replaces it, for as long as the process lives."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        main = threading.current_thread() is threading.main_thread()  # elsewhere Ray leaves it, and Python forbids it
        if main and before is not None:
            signal.signal(signal.SIGTERM, before)


class _RayWorker:
    """An actor: a process that stays, with the encoder that the worker has opened in it."""

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        worker, task, device = pickle.loads(row["work"])  # that `on_ray` wrote
        worker(task, device)
        return {"number": row["number"]}


def _begin(devices: SimpleQueue[str]) -> None:
    global _device
    live_and_die_with_the_parent()
    _device = devices.get()


def _work(worker: Worker[Task], task: Task) -> None:
    worker(task, _device)

"""Launcher of several processes on this machine, one per device."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

import torch
from torch.multiprocessing.spawn import ProcessContext, ProcessException, ProcessExitedException, start_processes

from simtrain.console import SILENT, Console
from simtrain.data.embedding import inference_device
from simtrain.errors import SimtrainError
from simtrain.failures import mendable
from simtrain.launch.forwarded_console import ConsoleReceiver, ForwardedConsole
from simtrain.own_code import code_allowed, is_code_allowed, own_failure
from simtrain.training.devices import card_number
from simtrain.training.ranks import LostRankError, Ranks, free_port, join, leave, rank_environment
from simtrain.training.signals import asking_signals

_PERHAPS = {"SIGKILL": ", possibly out of memory", "SIGABRT": ", as NCCL does where another process does not answer"}
_START_METHOD = "spawn"  # a forked process cannot use the GPU of its parent
_GRACE = 3.0  # seconds in which the others may end by themselves when one has ended badly, and again before SIGKILL
_LOOK = 0.2  # seconds between two looks at whether a process has ended


def run_on_each(count: int, workflow: Callable[..., Any], *arguments: Any, console: Console) -> Any:
    """Run a workflow in several processes and return what rank 0 returns, once all have returned.

    SIGTERM, SIGUSR1, SIGHUP and Ctrl-C are passed on to the processes; a second Ctrl-C ends them at once. If one of
    them dies or fails, the others are ended.

    Args:
        count: Number of processes.
        workflow: Called in each as `workflow(*arguments, console=…)`; has to be importable by name, and its arguments
            picklable.
        arguments: Arguments of the workflow.
        console: Shows, in this process, what rank 0 shows on the console that it is given; the others are silent.

    Raises:
        SimtrainError: that a process raised.
        LostRankError: if a process died.
    """
    context = multiprocessing.get_context(_START_METHOD)
    pipes = [context.Pipe(duplex=False) for _ in range(count)]
    processes: ProcessContext = start_processes(  # type: ignore[no-untyped-call]
        _work,
        args=([sender for _, sender in pipes], free_port(), workflow, arguments, is_code_allowed()),
        nprocs=count,
        join=False,
        start_method=_START_METHOD,
    )
    for _, sender in pipes:
        sender.close()
    passed_on: list[int] = []
    before = {number: signal.signal(number, _forward(processes, number, passed_on)) for number in asking_signals()}
    mail = _Mail([receiver for receiver, _ in pipes], console)
    try:
        while not processes.join(timeout=0, grace_period=_GRACE):
            mail.read(timeout=_LOOK)
        mail.read(timeout=0)
    except ProcessException as error:
        mail.read(timeout=0)
        if mail.error() is None and signal.SIGINT in passed_on:
            raise KeyboardInterrupt from None  # they were interrupted before they began
        raise mail.error() or _lost(error, count) from error
    finally:
        mail.console.close()
        for number, handler in before.items():
            signal.signal(number, handler)
        for process in processes.processes:
            process.kill()  # does nothing to one that has ended
    if mail.results.get(0) is None:
        raise KeyboardInterrupt  # they were interrupted before they began
    return mail.results[0][0]


@contextmanager
def process_group(
    ranks: Ranks, *, accelerator: str, timeout: int, cards: Sequence[int] | None = None
) -> Iterator[torch.device]:
    """Connect this process with the others, on its own device; a single process connects with none.

    Args:
        ranks: This process among the run's.
        accelerator: `auto`, `cpu` or `gpu`.
        timeout: Seconds after which a process that does not answer is given up.
        cards: Numbers of the GPUs of the processes on this machine; None: those of the processes' own numbers.
    """
    if accelerator != "cpu" and torch.cuda.is_available():
        torch.cuda.set_device(card_number(ranks, cards))
    device = inference_device(accelerator)
    join(ranks, device=device, timeout=timeout)
    try:
        yield device
    except BaseException:
        if device.type == "cpu":
            leave()  # NCCL would wait for what the other processes have not sent; this process ends
        raise
    leave()


class _Mail:
    """Messages of the processes: calls of listeners, results and errors."""

    def __init__(self, receivers: list[Connection], console: Console) -> None:
        self._open = dict(zip(receivers, range(len(receivers)), strict=True))
        self.console = ConsoleReceiver(console)
        self.results: dict[int, tuple[Any]] = {}
        self._errors: list[SimtrainError] = []

    def read(self, *, timeout: float) -> None:
        """Take what has come, or what comes within `timeout` seconds."""
        while self._open and (ready := wait(list(self._open), timeout)):
            for receiver in ready:
                self._take(receiver)  # type: ignore[arg-type]  # connections is what it was given
            timeout = 0

    def error(self) -> SimtrainError | None:
        """The error to tell: the first, if possible one that is not about another process's end."""
        return min(self._errors, key=lambda error: isinstance(error, LostRankError), default=None)

    def _take(self, receiver: Connection) -> None:
        try:
            kind, value = receiver.recv()
        except (EOFError, OSError):
            del self._open[receiver]
            return
        if kind == "result":
            self.results[self._open[receiver]] = (value,)
        elif kind == "error":
            self._errors.append(value)
        else:
            self.console.take(kind, value)


def _work(
    rank: int,
    senders: list[Connection],
    port: int,
    workflow: Callable[..., Any],
    arguments: tuple[Any, ...],
    allowed: bool,
) -> None:
    """One of the processes, in which code is allowed as in the one that launched it."""
    sender = senders[rank]
    for other in senders:
        if other is not sender:
            other.close()
    os.environ.update(rank_environment(rank, size=len(senders), port=port))
    console = ForwardedConsole(sender.send) if rank == 0 else SILENT
    try:
        with code_allowed(allowed):
            sender.send(("result", workflow(*arguments, console=console)))
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    except Exception as error:
        found = own_failure(error) or mendable(error)
        if found is None:
            raise  # a bug: its traceback reaches the process that launched this one
        sender.send(("error", type(found)(str(found))))
        raise SystemExit(2) from None


def _forward(processes: ProcessContext, number: int, passed_on: list[int]) -> Callable[[int, FrameType | None], None]:
    def forward(_number: int, _frame: FrameType | None) -> None:
        passed_on.append(number)
        for process in processes.processes:
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, number)
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    return forward


def _lost(error: ProcessException, count: int) -> Exception:
    place = f"process {error.error_index} of {count}"
    if not isinstance(error, ProcessExitedException):
        return error  # a bug of ours: its traceback is in the message
    if error.signal_name is not None:
        perhaps = _PERHAPS.get(error.signal_name, "")
        return LostRankError(f"{place} was killed ({error.signal_name}{perhaps}); the others were stopped")
    return LostRankError(
        f"{place} ended with status {error.exit_code}; the others were stopped (a script that calls this needs "
        'its code below `if __name__ == "__main__":`)'
    )

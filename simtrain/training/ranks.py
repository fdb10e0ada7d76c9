"""Processes of a distributed run: ranks, gathers, reductions, broadcasts. With one process every function is a no-op.

Losses are computed on every process over the embeddings of all. Each process holds gradients of its own rows only, and
those are complete, because it has computed the whole loss: nothing is sent in the backward pass.
"""

# Shapes: W processes, n rows of this one, N rows of all.

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from typing_extensions import override

from simtrain.errors import SimtrainError
from simtrain.training.launch_environment import (
    advice_to_run_alone,
    in_slurm,
    launch_cause,
    slurm_meeting_place,
    whole_number,
)

Value = TypeVar("Value")
_timeout = timedelta(minutes=30)  # torch.distributed's own, until `join` is told another
_ROWS_AT_ONCE = 65536  # of embeddings that are added up, so that a GPU need not hold all of them


class LostRankError(SimtrainError):
    """A process of the run has ended or does not answer."""


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process among those of a run.

    Attributes:
        rank: Number of this process over all machines, from 0.
        size: Number of processes of the run (world size).
        local_rank: Number of this process on this machine, from 0.
        local_size: Number of the run's processes on this machine.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int

    @property
    def nodes(self) -> int:
        """Number of machines."""
        return self.size // self.local_size


SINGLE_PROCESS = Ranks(rank=0, size=1, local_rank=0, local_size=1)


def launched_ranks() -> Ranks | None:
    """This process among those that torchrun, SLURM or `simtrain` launched; None for a process on its own.

    Raises:
        SimtrainError: if they say something that does not add up.
    """
    if in_slurm() and whole_number(os.environ, "SLURM_NTASKS", "1") > 1 and "RANK" not in os.environ:
        return _slurm_ranks(os.environ)
    if "LOCAL_RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return None
    size, local_rank = whole_number(os.environ, "WORLD_SIZE"), whole_number(os.environ, "LOCAL_RANK")
    rank = whole_number(os.environ, "RANK", str(local_rank))
    local_size = whole_number(os.environ, "LOCAL_WORLD_SIZE", str(size))
    if not (0 <= rank < size and 0 <= local_rank < local_size <= size and size % local_size == 0):
        raise SimtrainError(
            f"RANK={rank}, WORLD_SIZE={size}, LOCAL_RANK={local_rank} and LOCAL_WORLD_SIZE={local_size} do not go "
            f"together; {advice_to_run_alone(os.environ)}"
        )
    return Ranks(rank=rank, size=size, local_rank=local_rank, local_size=local_size)


def rank_environment(rank: int, *, size: int, port: int) -> dict[str, str]:
    """The environment of a process that this machine launches itself."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "NODE_RANK": "0",
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def join(ranks: Ranks, *, device: torch.device, timeout: int) -> None:
    """Connect with the other processes (torch.distributed's process group).

    Args:
        ranks: This process among the run's.
        device: Device of this process, torch's current one; GPUs communicate by nccl, CPUs by gloo.
        timeout: Seconds after which a process that does not answer is given up.

    Raises:
        LostRankError: if not all processes connect in time.
    """
    if ranks.size == 1:
        return
    os.environ["LOCAL_WORLD_SIZE"] = str(ranks.local_size)  # SLURM has another name for it
    if dist.is_initialized():
        return
    if in_slurm() and "MASTER_ADDR" not in os.environ:
        os.environ |= slurm_meeting_place(os.environ)
    global _timeout
    _timeout = timedelta(seconds=timeout)
    gpu = device.type == "cuda"
    try:
        dist.init_process_group(
            "nccl" if gpu else "gloo",
            rank=ranks.rank,
            world_size=ranks.size,
            timeout=_timeout,
            device_id=torch.device("cuda", torch.cuda.current_device()) if gpu else None,
        )
    except (RuntimeError, ValueError) as error:
        raise LostRankError(
            f"process {ranks.rank} of {ranks.size} could not connect to the others: {str(error).splitlines()[0]}; "
            f"it is one of {ranks.size} because of {launch_cause(os.environ)}; {advice_to_run_alone(os.environ)}"
        ) from error


def leave() -> None:
    """Disconnect from the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank_timeout() -> timedelta:
    """Time after which a process that does not answer is given up."""
    return _timeout


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def rank_count() -> int:
    """Number of processes of the run (world size)."""
    return dist.get_world_size() if dist.is_initialized() else 1


def local_count() -> int:
    """Number of the run's processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", rank_count())) if dist.is_initialized() else 1


def gather_with_gradient(rows: Tensor) -> Tensor:
    """(n, …) of this process, as many on each -> (W·n, …) of all, in the order of the processes.

    The gradient of a loss that every process computes alike reaches this process's rows whole; it is multiplied by W
    because data-parallel training divides the sum over processes by W.
    """
    return rows if rank_count() == 1 else cast(Tensor, _Gather.apply(rows))


def gather(rows: Tensor) -> Tensor:
    """(n, …) of this process, as many on each -> (W·n, …) of all, without gradient."""
    if rank_count() == 1:
        return rows
    everyone = [torch.empty_like(rows) for _ in range(rank_count())]
    dist.all_gather(everyone, rows.contiguous())
    return torch.cat(everyone)


def sum_over_ranks(values: Tensor) -> Tensor:
    """(N, …) on the CPU, the sum over the processes; exact where all but one hold zeros."""
    if rank_count() == 1:
        return values
    device = _talking_device()
    for start in range(0, len(values), _ROWS_AT_ONCE):
        part = values[start : start + _ROWS_AT_ONCE].to(device)
        dist.all_reduce(part)
        values[start : start + _ROWS_AT_ONCE] = part.cpu()
    return values


def any_rank(answer: bool) -> bool:
    """Whether `answer` is true on any process."""
    return max_over_ranks(float(answer)) > 0


def max_over_ranks(value: float) -> float:
    """The largest `value` of all processes."""
    if rank_count() == 1:
        return value
    number = torch.tensor(value, dtype=torch.float64, device=_talking_device())
    dist.all_reduce(number, op=dist.ReduceOp.MAX)
    return float(number)


def broadcast_from_rank_zero(value: Value) -> Value:
    """Broadcast the value of rank 0 to every process; the others' values are ignored."""
    if rank_count() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, device=_talking_device())
    return box[0]


def gather_objects(value: Value) -> list[Value]:
    """The values of all processes, in the order of their ranks."""
    if rank_count() == 1:
        return [value]
    values: list[Any] = [None] * rank_count()
    dist.all_gather_object(values, value)
    return values


class _Gather(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.rows = len(rows)
        return gather(rows)

    @staticmethod
    @override
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        first = rank() * ctx.rows
        return gradients[0][first : first + ctx.rows] * rank_count()


def _talking_device() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")


def launch_message(ranks: Ranks, *, timeout: int) -> str:
    """What makes this process one of several, and what to do if it is alone, as a line."""
    cause, advice = launch_cause(os.environ), advice_to_run_alone(os.environ)
    return f"process {ranks.rank} of {ranks.size} ({cause}); the others have {timeout} s to join; {advice}"


def _slurm_ranks(environment: Mapping[str, str]) -> Ranks:
    size, nodes = whole_number(environment, "SLURM_NTASKS"), whole_number(environment, "SLURM_NNODES", "1")
    if size % nodes:
        raise SimtrainError(f"SLURM: {size} tasks on {nodes} nodes; give each node as many: --ntasks-per-node")
    if "SLURM_PROCID" not in environment or "SLURM_LOCALID" not in environment:
        raise SimtrainError(
            f"SLURM: this is a job of {size} tasks, and this process is none of them; start it with srun"
        )
    return Ranks(
        rank=whole_number(environment, "SLURM_PROCID"),
        size=size,
        local_rank=whole_number(environment, "SLURM_LOCALID"),
        local_size=size // nodes,
    )

"""The processes that torchrun or srun started, compared with one, and how fast they add up what they send."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
import torch.distributed as dist

from simtrain.launch.ddp_equivalence import ProcessEquivalence, equivalences, measure
from simtrain.launch.processes import process_group
from simtrain.training.rank_zero import on_rank_zero
from simtrain.training.ranks import Ranks, gather_objects

Found = TypeVar("Found")
_SUMMED = 2**24  # float32 numbers: 64 MiB, as the gradients of a ViT-S
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class LaunchedComparison(Generic[Found]):
    """What the processes found together, the same on each.

    Attributes:
        machines: Name of each machine -> what its first process found alone, in the order of the processes.
        comparisons: Differences from one process, one for each objective.
        sum_seconds: Seconds in which the gradients of 16 million weights are added up over all processes.
    """

    machines: dict[str, Found]
    comparisons: list[ProcessEquivalence]
    sum_seconds: float


def compare_launched(
    ranks: Ranks, found: Callable[[], Found], *, accelerator: str, timeout: int
) -> LaunchedComparison[Found]:
    """Compare the launched processes with one; every one of them calls it alike.

    Args:
        ranks: This process among them.
        found: What the first process of each machine finds alone, before they meet.
        accelerator: `auto`, `cpu` or `gpu`.
        timeout: Seconds after which a process that does not answer is given up.

    Raises:
        SimtrainError: if the processes cannot be made to work together.
    """
    samples = 8 * ranks.size
    own = (platform.node(), found()) if ranks.local_rank == 0 else None
    alone = measure(samples, accelerator) if ranks.rank == 0 else {}
    with process_group(ranks, accelerator=accelerator, timeout=timeout) as device:
        together = measure(samples, accelerator)
        comparisons = on_rank_zero(lambda: equivalences(alone, together))
        return LaunchedComparison(
            machines=_by_name([one for one in gather_objects(own) if one is not None]),
            comparisons=comparisons,
            sum_seconds=max(gather_objects(_sum_seconds(device))),
        )


def _by_name(found: list[tuple[str, Found]]) -> dict[str, Found]:
    """Machines of one name, as containers may be, are numbered."""
    names = [name for name, _ in found]
    return {
        name if names.count(name) == 1 else f"{name} ({number})": value
        for number, (name, value) in enumerate(found, start=1)
    }


def _sum_seconds(device: torch.device) -> float:
    numbers, best = torch.ones(_SUMMED, device=device), float("inf")
    for _ in range(1 + _TRIES):  # the first one also connects
        dist.barrier()
        began = time.perf_counter()
        dist.all_reduce(numbers)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - began)
    return best

"""Devices, precision and data-parallel strategy of a run."""

import inspect
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy, StrategyRegistry
from typing_extensions import override

from simtrain.errors import ConfigError, nearest
from simtrain.training.ranks import Ranks

_TENSOR_CORES = (7, 0)  # compute capability from which a GPU multiplies halves many times as fast as float32


def device_count(devices: int | str | Sequence[int], *, accelerator: str) -> int:
    """Number of a run's processes on this machine.

    Args:
        devices: The number; numbers of GPUs; or `auto`: every GPU, or one process without any.
        accelerator: `auto`, `cpu` or `gpu`.

    Raises:
        ConfigError: for more GPUs than there are, or others.
    """
    gpus = gpu_count(accelerator)
    if devices == "auto":
        return max(1, gpus)
    if not isinstance(devices, int | str):
        unknown = [number for number in devices if number >= gpus]
        if unknown:
            there = f"GPUs 0 to {gpus - 1}" if gpus else "no GPU here, and a list names GPUs"
            raise ConfigError(f"got {list(devices)}; there {'is' if gpus == 0 else 'are'} {there}", argument="devices")
        return len(devices)
    count = int(devices)
    if gpus and count > gpus:
        raise ConfigError(f"got {count}, but there are {gpus} GPUs; allowed: 1 to {gpus}, auto", argument="devices")
    return count


def gpu_count(accelerator: str) -> int:
    """Number of GPUs that a kind of accelerator may use here."""
    return 0 if accelerator == "cpu" or not torch.cuda.is_available() else torch.cuda.device_count()


def embedding_cards(devices: int | str | Sequence[int], *, accelerator: str) -> Sequence[int]:
    """Numbers of the devices that embed images together: of those named the ones that are here, or else the first.

    Args:
        devices: As `device_count` takes them; a run may name devices of the machine that it was trained on.
        accelerator: `auto`, `cpu` or `gpu`.
    """
    gpus = gpu_count(accelerator)
    if devices == "auto":
        return range(max(1, gpus))
    if isinstance(devices, int | str):
        return range(min(int(devices), gpus) if gpus else int(devices))
    return [number for number in devices if number < gpus] or [0]


def shared_evenly(batch_size: int, *, most: int) -> int:
    """The largest number of devices, 1 to `most`, among which a batch divides."""
    return max(count for count in range(1, most + 1) if batch_size % count == 0)


def card_number(ranks: Ranks, cards: Sequence[int] | None) -> int:
    """Number of the GPU of a process.

    Args:
        ranks: This process among the run's.
        cards: GPUs of the processes of this machine; None: that of the process's own number, or the only one that it
            sees, as SLURM's `--gpus-per-task=1` has it.

    Raises:
        ConfigError: where several processes would have to share GPUs.
    """
    visible = torch.cuda.device_count()
    if cards is not None and len(cards) == ranks.local_size:
        return cards[ranks.local_rank]
    if visible == 1:
        return 0
    if ranks.local_size > visible:
        problem = f"{ranks.local_size} processes on this machine, but {visible} GPUs; start as many processes as GPUs"
        raise ConfigError(problem, argument="devices")
    return ranks.local_rank


def chosen_precision(precision: str, *, device: torch.device) -> str:
    """The arithmetic that a setting of precision means on a device.

    Raises:
        ConfigError: for `16-mixed` without a GPU, which has no such arithmetic.
    """
    if precision == "auto":
        if device.type != "cuda":
            return "32-true"
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed"
        return "16-mixed" if torch.cuda.get_device_capability(device) >= _TENSOR_CORES else "32-true"
    if precision == "16-mixed" and device.type == "cpu":
        problem = "16-mixed needs a GPU; allowed without: auto, 32-true, bf16-mixed"
        raise ConfigError(problem, argument="precision")
    return precision


def data_parallel_names() -> list[str]:
    """Strategies of Lightning by which several processes train one model, each on its part of the batch."""
    launching = ("spawn", "fork", "notebook")
    return sorted(
        name
        for name in StrategyRegistry.available_strategies()
        if name.startswith("ddp") and not any(word in name for word in launching)
    )


def check_strategy(name: str) -> None:
    """Refuse a strategy that is none of Lightning's for data parallel.

    Raises:
        ConfigError: with those there are.
    """
    known = data_parallel_names()
    if name not in known:
        hint = nearest(name, known) or f"; allowed: {', '.join(known)}"
        raise ConfigError(f"'{name}' is not a data-parallel strategy that simtrain knows{hint}", argument="strategy")


def trainer_placement(ranks: Ranks, *, device: torch.device, strategy: str, timeout: int) -> dict[str, Any]:
    """The arguments of Lightning's trainer for the devices of a run.

    Args:
        ranks: This process among the run's, which are connected already.
        device: Device of this process.
        strategy: A name of `data_parallel_names`.
        timeout: Seconds after which a process that does not answer is given up.
    """
    accelerator = "gpu" if device.type == "cuda" else "cpu"
    if ranks.size == 1:
        own = [torch.cuda.current_device()] if device.type == "cuda" else 1
        return {"accelerator": accelerator, "devices": own, "plugins": [_KnownRanks(ranks)]}
    placed = _strategy(strategy, timeout=timeout)
    numbers: int | list[int] = ranks.local_size
    if device.type == "cuda":  # Lightning would take the GPU of the process's number
        numbers = [torch.cuda.current_device()]
        placed.parallel_devices = [torch.device("cuda", numbers[0])] * ranks.local_size
    return {
        "accelerator": accelerator,
        "devices": numbers,
        "num_nodes": ranks.nodes,
        "strategy": placed,
        "plugins": [_KnownRanks(ranks)],
    }


class _KnownRanks(LightningEnvironment):
    """Says what `Ranks` say, whoever launched the processes."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self._ranks = ranks
        self._global_rank, self._world_size = ranks.rank, ranks.size

    @property
    @override
    def creates_processes_externally(self) -> bool:
        return True

    @override
    def local_rank(self) -> int:
        return self._ranks.local_rank

    @override
    def node_rank(self) -> int:
        return self._ranks.rank // self._ranks.local_size


def _strategy(name: str, *, timeout: int) -> DDPStrategy:
    entry = StrategyRegistry[name]
    settings = dict(entry["init_params"])
    kind = entry["strategy"]
    if not inspect.isclass(kind) or not issubclass(kind, DDPStrategy):
        raise ConfigError(f"'{name}' is no data-parallel strategy", argument="strategy")
    return kind(timeout=timedelta(seconds=timeout), **settings)

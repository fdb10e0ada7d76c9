"""Devices, precision and data-parallel strategy of a run."""

import inspect
from datetime import timedelta
from typing import Any, cast

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy, Strategy, StrategyRegistry
from typing_extensions import override

from simtrain.errors import ConfigError, nearest
from simtrain.training.ranks import Ranks

_TENSOR_CORES = (7, 0)  # compute capability from which a GPU multiplies halves many times as fast as float32


def device_count(devices: int | str, *, accelerator: str) -> int:
    """Number of a run's processes on this machine.

    Args:
        devices: The number, or `auto`: every GPU, or one process without any.
        accelerator: `auto`, `cpu` or `gpu`.

    Raises:
        ConfigError: for more GPUs than there are.
    """
    gpus = 0 if accelerator == "cpu" or not torch.cuda.is_available() else torch.cuda.device_count()
    if devices == "auto":
        return max(1, gpus)
    count = int(devices)
    if gpus and count > gpus:
        raise ConfigError(f"got {count}, but there are {gpus} GPUs; allowed: 1 to {gpus}, auto", argument="devices")
    return count


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
    return {
        "accelerator": accelerator,
        "devices": ranks.local_size,
        "num_nodes": ranks.nodes,
        "strategy": _strategy(strategy, timeout=timeout),
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


def _strategy(name: str, *, timeout: int) -> Strategy:
    entry = StrategyRegistry[name]
    settings = dict(entry["init_params"])
    kind = entry["strategy"]
    if not inspect.isclass(kind) or not issubclass(kind, DDPStrategy):
        raise ConfigError(f"'{name}' is no data-parallel strategy", argument="strategy")
    made = kind(timeout=timedelta(seconds=timeout), **settings)
    return cast(pl.strategies.Strategy, made)

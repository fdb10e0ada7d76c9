"""Data-parallel strategies of Lightning, and where its trainer runs."""

import inspect
from datetime import timedelta
from typing import Any

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy, StrategyRegistry
from typing_extensions import override

from simtrain.errors import ConfigError, nearest
from simtrain.training.ranks import Ranks


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

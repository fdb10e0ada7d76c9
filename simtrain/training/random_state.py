"""Random numbers shared by all processes, and the random state of each process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def common_random_numbers(seed: int, step: int) -> Iterator[None]:
    """Within it, random numbers are a function of seed and step alone; after it, they go on as they would have.

    A miner that samples then picks the same on every process, and the same again after an interruption.
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    of_numpy = np.random.get_state()  # pytorch-metric-learning draws from it
    with torch.random.fork_rng(devices=devices):
        drawn = int(np.random.SeedSequence((seed, step)).generate_state(1, dtype=np.uint32)[0])
        torch.manual_seed(drawn)
        np.random.seed(drawn)
        try:
            yield
        finally:
            np.random.set_state(of_numpy)


def random_state() -> dict[str, Any]:
    """State of this process's random generators, torch's on the CPU and on its GPU, as plain tensors."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["gpu"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Go on with the random numbers where `random_state` was taken."""
    torch.set_rng_state(state["cpu"])
    if "gpu" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["gpu"])

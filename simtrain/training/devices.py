"""Devices and precision of a run."""

from collections.abc import Sequence

import torch

from simtrain.errors import ConfigError
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
    """The arithmetic that a setting of precision means on a device; `auto` is float32 on a CPU, where nothing is tried.

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

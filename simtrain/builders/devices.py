"""Device, number of processes, precision and strategy that a run's configuration asks for."""

import torch

from simtrain.config import RunConfig
from simtrain.data.embedding import inference_device
from simtrain.errors import error_path
from simtrain.training.devices import check_strategy, chosen_precision, device_count


def run_device(config: RunConfig) -> torch.device:
    """The device that `trainer.accelerator` means here.

    Raises:
        ConfigError: for `gpu` where torch sees none.
    """
    with error_path("trainer"):
        return inference_device(config.trainer.accelerator)


def run_precision(config: RunConfig) -> str:
    """The arithmetic that `trainer.precision` means on that device, in Lightning's words.

    Raises:
        ConfigError: for `16-mixed` without a GPU, which has no such arithmetic.
    """
    with error_path("trainer"):
        return chosen_precision(config.trainer.precision, device=inference_device(config.trainer.accelerator))


def run_process_count(config: RunConfig) -> int:
    """Processes on this machine: one for each device that the run is configured for.

    Raises:
        ConfigError: for more GPUs than there are, or a strategy by which several devices cannot train one model.
    """
    with error_path("trainer"):
        check_strategy(config.trainer.strategy)
        return device_count(config.trainer.devices, accelerator=config.trainer.accelerator)

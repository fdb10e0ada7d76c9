"""Number of processes that a run's configuration asks for."""

from simtrain.config import RunConfig
from simtrain.errors import error_path
from simtrain.training.devices import device_count, shared_evenly
from simtrain.training.strategies import check_strategy


def run_process_count(config: RunConfig) -> int:
    """Processes on this machine: one for each device that the run is configured for.

    With `auto` as many GPUs as the batch divides among.

    Raises:
        ConfigError: for more GPUs than there are, or a strategy by which several devices cannot train one model.
    """
    with error_path("trainer"):
        check_strategy(config.trainer.strategy)
        count = device_count(config.trainer.devices, accelerator=config.trainer.accelerator)
    return shared_evenly(config.data.batch_size, most=count) if config.trainer.devices == "auto" else count

"""`simtrain.doctor`: what this machine can do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simtrain.commands.doctor import Diagnosis
    from simtrain.config import RunConfig


def doctor(
    *,
    devices: int | None = None,
    accelerator: str = "auto",
    folder: str | Path = "checkpoints",
    timeout: int = 120,
    config: RunConfig | str | Path | None = None,
) -> Diagnosis:
    """What this machine can do, and whether N processes give the loss, gradients and metrics of one.

    Args:
        devices: Processes to compare with one; None: one for each GPU.
        accelerator: `auto`, `cpu` or `gpu`.
        folder: Folder that runs will be written to.
        timeout: Seconds to wait for a process that does not answer.
        config: A run's settings or YAML file: how fast its pictures are made and its network trains, and which would
            wait for the other; None: nothing is timed.

    Returns:
        What was found; `.healthy` says whether all is well, and `print` shows it.

    Raises:
        SimtrainError: if there are fewer GPUs than asked for, or the processes cannot be made to work together.
    """
    from simtrain.commands.doctor import doctor
    from simtrain.config import load_run_config

    run = load_run_config(Path(config).expanduser(), []) if isinstance(config, str | Path) else config
    return doctor(devices=devices, accelerator=accelerator, folder=Path(folder), timeout=timeout, config=run)

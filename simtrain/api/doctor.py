"""`simtrain.doctor`: what this machine can do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simtrain.commands.doctor import Diagnosis


def doctor(
    *,
    devices: int | None = None,
    accelerator: str = "auto",
    folder: str | Path = "checkpoints",
    timeout: int = 120,
) -> Diagnosis:
    """What this machine can do, and whether N processes give the loss, gradients and metrics of one.

    Args:
        devices: Processes to compare with one; None: one for each GPU.
        accelerator: `auto`, `cpu` or `gpu`.
        folder: Folder that runs will be written to.
        timeout: Seconds to wait for a process that does not answer.

    Returns:
        What was found; `.healthy` says whether all is well, and `print` shows it.

    Raises:
        SimtrainError: if there are fewer GPUs than asked for, or the processes cannot be made to work together.
    """
    from simtrain.commands.doctor import doctor

    return doctor(devices=devices, accelerator=accelerator, folder=Path(folder), timeout=timeout)

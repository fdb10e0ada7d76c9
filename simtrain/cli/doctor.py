"""`simtrain doctor`: arguments and output."""

from enum import StrEnum
from typing import Annotated

import typer

from simtrain.cli.arguments import DEFAULT_CHECKPOINTS
from simtrain.cli.console import TERMINAL
from simtrain.errors import error_path


class AcceleratorChoice(StrEnum):
    """Kinds of devices to check."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


def doctor(
    devices: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Number of processes to compare with one; default: one per GPU.")
    ] = None,
    accelerator: Annotated[AcceleratorChoice, typer.Option(help="Device of the processes.")] = AcceleratorChoice.AUTO,
    timeout: Annotated[int, typer.Option(min=5, help="Seconds to wait for a process that does not answer.")] = 120,
) -> None:
    """Report what this machine can do, and check that N processes give the loss, gradients and metrics of one."""
    from simtrain.commands.doctor import doctor as run_doctor

    with error_path("", names={"accelerator": "--accelerator", "devices": "--devices"}):
        found = run_doctor(devices=devices, accelerator=accelerator.value, folder=DEFAULT_CHECKPOINTS, timeout=timeout)
    TERMINAL.line(str(found))
    if not found.healthy:
        raise typer.Exit(2)

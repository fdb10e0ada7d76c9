"""`simtrain doctor`: arguments and output."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from simtrain.cli.arguments import DEFAULT_CHECKPOINTS, SetOption, expanded
from simtrain.cli.output import show
from simtrain.errors import ConfigError, error_path


class AcceleratorChoice(StrEnum):
    """Kinds of devices to check."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


def doctor(
    config: Annotated[
        Path | None,
        typer.Argument(
            callback=expanded,
            metavar="[CONFIG]",
            help="A run's YAML file: how fast its pictures are made and its network trains here, and which would wait.",
        ),
    ] = None,
    devices: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Number of processes to compare with one; default: one per GPU.")
    ] = None,
    accelerator: Annotated[AcceleratorChoice, typer.Option(help="Device of the processes.")] = AcceleratorChoice.AUTO,
    timeout: Annotated[int, typer.Option(min=5, help="Seconds to wait for a process that does not answer.")] = 120,
    overrides: SetOption = None,
) -> None:
    """Report what this machine can do, and check that N processes give the loss, gradients and metrics of one.

    Started by torchrun or srun, it compares their processes, over machines too.
    """
    from simtrain.config import load_run_config

    if config is None and overrides:
        raise ConfigError("--set: changes the settings of a run; name its file: simtrain doctor CONFIG.yaml")
    run = None if config is None else load_run_config(config, overrides or [])
    from simtrain.commands.doctor import doctor as run_doctor
    from simtrain.training.launch_environment import is_first_process

    with error_path("", names={"accelerator": "--accelerator", "devices": "--devices"}):
        found = run_doctor(
            devices=devices, accelerator=accelerator.value, folder=DEFAULT_CHECKPOINTS, timeout=timeout, config=run
        )
    if is_first_process():  # torchrun and SLURM start the command several times
        show(found)
    if not found.healthy:
        raise typer.Exit(2)

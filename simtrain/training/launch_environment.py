"""Environment that torchrun or SLURM gives to each of several processes: numbers, meeting place, and what to unset."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from simtrain.errors import SimtrainError

ALONE = "to run alone: unset RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE"  # where they are left over in a shell


def is_first_process(environment: Mapping[str, str] | None = None) -> bool:
    """Whether this process is the first of those that a launcher started, or the only one.

    Args:
        environment: Variables of the process; None: this one's.
    """
    found = os.environ if environment is None else environment
    return found.get("RANK", found.get("SLURM_PROCID", "0")) == "0"


@contextmanager
def told_once_a_machine() -> Iterator[None]:
    """What every process of a machine finds in the same files and arguments is told by the first of them alone."""
    try:
        yield
    except SimtrainError as error:
        launched = "WORLD_SIZE" in os.environ or in_slurm()
        error.told_elsewhere = launched and os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")) != "0"
        raise


def whole_number(environment: Mapping[str, str], name: str, default: str | None = None) -> int:
    """The number that a variable holds.

    Raises:
        SimtrainError: if it is something else.
    """
    text = environment[name] if default is None else environment.get(name, default)
    try:
        return int(text)
    except ValueError:
        raise SimtrainError(
            f"{name}={text}: the environment of a launcher takes whole numbers; {advice_to_run_alone(environment)}"
        ) from None


def launch_cause(environment: Mapping[str, str]) -> str:
    """The variables that make this process one of several, as a shell shows them."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK") if "WORLD_SIZE" in environment else ("SLURM_PROCID", "SLURM_NTASKS")
    return ", ".join(f"{name}={environment[name]}" for name in names if name in environment)


def advice_to_run_alone(environment: Mapping[str, str]) -> str:
    """What to type where this process was meant to be alone, and the variables are left over in the shell."""
    return ALONE if "WORLD_SIZE" in environment else "start all with srun, or to run alone: unset SLURM_NTASKS"


def in_slurm() -> bool:
    """Whether SLURM's srun has started this process, and no interactive shell of its."""
    if "SLURM_NTASKS" not in os.environ:
        return False
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment  # takes seconds to import

    return SLURMEnvironment.detect()


def slurm_meeting_place(environment: Mapping[str, str]) -> dict[str, str]:
    """Where the processes of a SLURM job meet: its first machine, at a port that its number gives (as Lightning's)."""
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

    nodes = environment.get("SLURM_NODELIST", environment.get("SLURM_JOB_NODELIST", "127.0.0.1"))
    digits = "".join(filter(str.isdigit, environment.get("SLURM_JOB_ID", "")))
    port = int(digits[-4:]) + 15000 if digits else 12910
    return {
        "MASTER_ADDR": SLURMEnvironment.resolve_root_node_address(nodes),
        "MASTER_PORT": environment.get("MASTER_PORT", str(port)),
    }

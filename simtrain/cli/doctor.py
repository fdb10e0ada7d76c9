"""`simtrain doctor`: arguments and output."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simtrain.cli.arguments import DEFAULT_CHECKPOINTS
from simtrain.cli.console import print_table, say

if TYPE_CHECKING:
    from simtrain.commands.doctor import Diagnosis


class AcceleratorChoice(StrEnum):
    """What a check runs on."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


def doctor(
    devices: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Processes to compare with one; none named: one per GPU.")
    ] = None,
    accelerator: Annotated[AcceleratorChoice, typer.Option(help="What they run on.")] = AcceleratorChoice.AUTO,
    timeout: Annotated[int, typer.Option(min=5, help="Seconds to wait for a process that does not answer.")] = 120,
) -> None:
    """What this machine can do; whether N processes give the loss, gradients and metrics of one."""
    from simtrain.commands.doctor import bounds
    from simtrain.commands.doctor import doctor as run_doctor

    found = run_doctor(devices=devices, accelerator=accelerator.value, folder=DEFAULT_CHECKPOINTS, timeout=timeout)
    print_diagnosis(found, bounds=bounds())
    if not found.healthy:
        raise typer.Exit(2)


def print_diagnosis(found: "Diagnosis", *, bounds: str) -> None:
    """The machine, one line each, and the comparison of several processes with one."""
    marks = {"good": "", "note": "note: ", "bad": "error: "}
    for finding in found.findings:
        say(f"{finding.name}: {marks[finding.state]}{finding.told}")
    if found.processes == 1:
        say("one process here; compare several with one: simtrain doctor --devices 2")
        return
    columns: list[tuple[str, Any]] = [
        ("objective", "left"),
        ("loss", "right"),
        ("gradient", "right"),
        ("metrics", "left"),
        ("verdict", "left"),
    ]
    rows = [
        [
            case.name,
            f"{case.loss:.1e}",
            f"{case.gradient:.1e}",
            "same" if case.metrics else "differ",
            "equal" if case.equal else "DIFFERENT",
        ]
        for case in found.comparisons
    ]
    say(f"{found.processes} processes against one ({bounds}):")
    print_table(columns, rows)

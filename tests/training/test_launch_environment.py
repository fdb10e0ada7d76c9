"""Environments of launchers: numbers, meeting place, advice."""

import pytest

from simtrain.errors import SimtrainError
from simtrain.training.launch_environment import (
    advice_to_run_alone,
    is_first_process,
    launch_cause,
    slurm_meeting_place,
    whole_number,
)


@pytest.mark.parametrize(
    ("environment", "address", "port"),
    [
        ({"SLURM_JOB_ID": "70012", "SLURM_NODELIST": "gpu[3-5],x"}, "gpu3", "15012"),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "one"}, "one", "15007"),
        ({"SLURM_JOB_ID": "7", "SLURM_NODELIST": "one", "MASTER_PORT": "9"}, "one", "9"),
        ({}, "127.0.0.1", "12910"),
    ],
)
def test_place_where_the_processes_of_a_slurm_job_meet(environment: dict[str, str], address: str, port: str) -> None:
    assert slurm_meeting_place(environment) == {"MASTER_ADDR": address, "MASTER_PORT": port}


@pytest.mark.parametrize(
    ("environment", "first"),
    [({}, True), ({"RANK": "0"}, True), ({"RANK": "3"}, False), ({"SLURM_PROCID": "1"}, False)],
)
def test_the_first_process_prints(environment: dict[str, str], first: bool) -> None:
    assert is_first_process(environment) == first


def test_numbers() -> None:
    assert whole_number({"A": "3"}, "A") == 3
    assert whole_number({}, "A", "4") == 4
    with pytest.raises(SimtrainError, match=r"^A=x: the environment of a launcher takes whole numbers; to run alone: "):
        whole_number({"A": "x", "WORLD_SIZE": "2"}, "A")


@pytest.mark.parametrize(
    ("environment", "cause", "advice"),
    [
        (
            {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"},
            "RANK=0, WORLD_SIZE=2, LOCAL_RANK=0",
            "to run alone: unset RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE",
        ),
        (
            {"SLURM_PROCID": "1", "SLURM_NTASKS": "4"},
            "SLURM_PROCID=1, SLURM_NTASKS=4",
            "start all with srun, or to run alone: unset SLURM_NTASKS",
        ),
    ],
)
def test_cause_and_advice(environment: dict[str, str], cause: str, advice: str) -> None:
    assert launch_cause(environment) == cause
    assert advice_to_run_alone(environment) == advice

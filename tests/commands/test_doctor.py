"""What the doctor says about this machine, and about several processes on it."""

import platform
import re
import shutil
from pathlib import Path

import pytest
from preloaded_processes import Command
from typer.testing import CliRunner

from simtrain.cli import app
from simtrain.commands import doctor as doctors
from simtrain.commands.doctor import Diagnosis, MachineCheck, doctor
from simtrain.launch.ddp_equivalence import CASES, ProcessEquivalence
from simtrain.training.ranks import free_port, rank_environment


@pytest.mark.slow
@pytest.mark.usefixtures("preloaded_processes")
def test_two_processes_give_what_one_gives() -> None:
    result = CliRunner().invoke(app, ["doctor", "--devices", "2", "--accelerator", "cpu"])
    assert result.exit_code == 0
    assert "2 processes against one (loss within 1e-06, gradient within 1e-05 of its length, metrics the same):" in (
        result.stdout
    )
    assert result.stdout.count(" equal") == len(CASES)


def launched(*arguments: str, local_size: int) -> list[Command]:
    """Two processes as torchrun starts them, on one machine or on two."""
    port, on_machine = free_port(), {"LOCAL_WORLD_SIZE": str(local_size)}
    environments = [rank_environment(number, size=2, port=port) | on_machine for number in range(2)]
    if local_size == 1:
        environments = [{**one, "LOCAL_RANK": "0"} for one in environments]
    return [Command("doctor", "--accelerator", "cpu", *arguments, environment=one) for one in environments]


@pytest.mark.slow
@pytest.mark.parametrize("local_size", [1, 2])
def test_launched_processes_are_compared_and_their_machines_named(local_size: int) -> None:
    tasks = launched(local_size=local_size)
    (told, aside), (silent, other) = (task.communicate() for task in tasks)
    assert [task.status for task in tasks] == [0, 0], (aside, other)
    assert silent == ""
    machines = {1: "2 machines", 2: "1 machine"}[local_size]
    assert re.search(rf"^network: 2 processes on {machines} add up 64 MB of gradients in \d+ ms$", told, re.MULTILINE)
    assert told.count(" equal") == len(CASES)
    names = re.findall(r"^(?:(.*): )?disk: ", told, re.MULTILINE)
    assert names == ([""] if local_size == 2 else [f"{platform.node()} (1)", f"{platform.node()} (2)"])


def test_a_number_beside_launched_processes_is_refused_once() -> None:
    tasks = launched("--devices", "3", local_size=2)
    told = "".join(aside for _, aside in (task.communicate() for task in tasks))
    assert told == ("error: --devices: got 3, but 2 processes were launched, which are compared; leave it out\n")
    assert [task.status for task in tasks] == [2, 2]


def test_one_process_is_compared_with_nothing() -> None:
    result = CliRunner().invoke(app, ["doctor", "--devices", "1", "--accelerator", "cpu"])
    assert result.exit_code == 0
    assert result.stdout.endswith("one process here; compare several with one: simtrain doctor --devices 2\n")
    assert "torch " in result.stdout


def test_an_unequal_objective_is_exit_status_2(monkeypatch: pytest.MonkeyPatch) -> None:
    different = ProcessEquivalence(name="SimCLR", loss=0.5, gradient=0.0, metrics=True)
    monkeypatch.setattr(doctors, "compare_processes", lambda count, **_: [different])
    result = CliRunner().invoke(app, ["doctor", "--devices", "2", "--accelerator", "cpu"])
    assert result.exit_code == 2
    assert "DIFFERENT" in result.stdout


def test_little_shared_memory_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=64 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(doctors, "worker_count", lambda configured, sharing: 2)
    found = {one.name: one for one in doctor(devices=1, accelerator="cpu", folder=tmp_path, timeout=60).checks}
    expected = (
        "0.1 GB free in /dev/shm, and 2 loading processes keep up to 0.2 GB there: give the container more "
        "(--shm-size=1g), or set data.workers=1"
    )
    assert (found["shared memory"].result, found["shared memory"].state) == (expected, "note")
    assert found["disk"].state == "note"


def test_a_bad_finding_is_not_healthy() -> None:
    bad = MachineCheck(name="disk", result="full", state="bad")
    assert not Diagnosis(checks=[bad], processes=1, comparisons=[]).healthy


def test_credentials_are_looked_for_where_the_clients_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    monkeypatch.delenv("KAGGLE_API_TOKEN", raising=False)
    monkeypatch.delenv("KAGGLE_USERNAME", raising=False)
    told = {one.name: one.result for one in doctor(devices=1, accelerator="cpu", folder=tmp_path, timeout=60).checks}
    assert told["Kaggle"] == "no credentials: sources kaggle: and digikala cannot be downloaded"
    (tmp_path / "kaggle.json").write_text("{}")
    told = {one.name: one.result for one in doctor(devices=1, accelerator="cpu", folder=tmp_path, timeout=60).checks}
    assert told["Kaggle"] == "credentials found"

"""What the doctor says about this machine, and about several processes on it."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simtrain.cli import app
from simtrain.commands import doctor as doctors
from simtrain.commands.doctor import Diagnosis, MachineCheck, doctor
from simtrain.launch.ddp_equivalence import CASES, ProcessEquivalence


@pytest.mark.slow
@pytest.mark.usefixtures("preloaded_processes")
def test_two_processes_give_what_one_gives() -> None:
    result = CliRunner().invoke(app, ["doctor", "--devices", "2", "--accelerator", "cpu"])
    assert result.exit_code == 0
    assert "2 processes against one (loss within 1e-06, gradient within 1e-05 of its length, metrics the same):" in (
        result.stdout
    )
    assert result.stdout.count(" equal") == len(CASES)


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

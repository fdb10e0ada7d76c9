"""`simtrain doctor` on the command line."""

from pathlib import Path

import pytest
import torch
from small_commands import Command, last_line

from simtrain.commands import doctor as commands
from simtrain.config import RunConfig
from simtrain.runs.training_speed import TrainingSpeed


def test_doctor_names_its_option(simtrain: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    status, _, told = simtrain("doctor", "--accelerator", "gpu")
    assert status == 2
    assert last_line(told) == "error: --accelerator: got 'gpu', but torch sees none here; allowed: auto, cpu"


def test_doctor_times_a_run_by_its_file(simtrain: Command, run_yaml: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def speed(config: RunConfig, *, seconds: float) -> TrainingSpeed:
        asked.append((config.seed, seconds))
        return TrainingSpeed(loaded=9, trained=5, workers=1, devices=1, images="from the store", network="tiny")

    monkeypatch.setattr(commands, "measure_training_speed", speed)
    status, told, _ = simtrain("doctor", str(run_yaml), "--set", "seed=7", "--accelerator", "cpu")
    assert (status, asked) == (0, [(7, 5.0)])
    line = "speed: 1 loading process makes 9 views a second (from the store), the network trains 5 (tiny): "
    assert f"{line}it is the network that takes the time\n" in told


def test_doctor_wants_a_file_for_settings(simtrain: Command):
    status, _, told = simtrain("doctor", "--set", "seed=7")
    assert status == 2
    expected = "error: --set: changes the settings of a run; name its file: simtrain doctor CONFIG.yaml"
    assert last_line(told) == expected


@pytest.mark.parametrize("devices", [3, 8])
def test_doctor_names_its_option_for_too_many_gpus(simtrain: Command, monkeypatch: pytest.MonkeyPatch, devices: int):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    status, _, told = simtrain("doctor", "--devices", str(devices))
    assert status == 2
    assert last_line(told) == f"error: --devices: got {devices}, but there are 2 GPUs; allowed: 1 to 2, auto"

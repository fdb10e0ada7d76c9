"""`simtrain doctor` on the command line."""

import pytest
import torch
from small_commands import Command, last_line


def test_doctor_names_its_option(simtrain: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    status, _, told = simtrain("doctor", "--accelerator", "gpu")
    assert status == 2
    assert last_line(told) == "error: --accelerator: got 'gpu', but torch sees none here; allowed: auto, cpu"


@pytest.mark.parametrize("devices", [3, 8])
def test_doctor_names_its_option_for_too_many_gpus(simtrain: Command, monkeypatch: pytest.MonkeyPatch, devices: int):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    status, _, told = simtrain("doctor", "--devices", str(devices))
    assert status == 2
    assert last_line(told) == f"error: --devices: got {devices}, but there are 2 GPUs; allowed: 1 to 2, auto"

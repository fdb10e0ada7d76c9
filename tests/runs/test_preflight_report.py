"""What `fit` says before training of settings without effect."""

import pytest
from recording_console import RecordingConsole
from small_configs import TRIPLET, config_of

from simtrain.runs.preflight_report import report_launch
from simtrain.training.ranks import SINGLE_PROCESS, Ranks

SECOND = Ranks(rank=1, size=2, local_rank=1, local_size=2)


@pytest.mark.parametrize(
    ("devices", "ranks", "told"),
    [
        (2, SINGLE_PROCESS, ["warning: trainer.devices: 2 has no effect: launched as 1 process"]),
        (1, SINGLE_PROCESS, []),
        ("auto", SINGLE_PROCESS, []),
        (4, None, []),
        (4, SECOND, []),
    ],
)
def test_devices_under_a_launcher_are_told(devices: int | str, ranks: Ranks | None, told: list[str]) -> None:
    console = RecordingConsole()
    config = config_of(TRIPLET, trainer={"devices": devices, "accelerator": "cpu"}, batch_size=16)
    report_launch(config, ranks, console=console)
    assert console.lines == told


def test_devices_of_a_frozen_network_are_told() -> None:
    console = RecordingConsole()
    config = config_of(TRIPLET, trainer={"devices": "auto", "accelerator": "cpu"})
    settings = config.trainer.model_copy(update={"devices": 2, "freeze_encoder": True})
    report_launch(config.model_copy(update={"trainer": settings}), None, console=console)
    assert console.lines == ["warning: trainer.devices: 2 has no effect: trainer.freeze_encoder trains in one process"]

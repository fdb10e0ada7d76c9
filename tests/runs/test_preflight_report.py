"""What `fit` says before training of settings without effect."""

import pytest
from recording_console import RecordingConsole
from small_configs import TRIPLET, config_of

from simtrain.runs.preflight_report import report_idle_cards, report_launch
from simtrain.training.ranks import SINGLE_PROCESS, Ranks

FIRST_OF_TWO = Ranks(rank=0, size=2, local_rank=0, local_size=2)
ALONE = "start all with srun, or to run alone: unset SLURM_NTASKS"
SECOND = Ranks(rank=1, size=2, local_rank=1, local_size=2)


@pytest.mark.parametrize(
    ("devices", "ranks", "told"),
    [
        (2, SINGLE_PROCESS, ["warning: trainer.devices: 2 has no effect: launched as 1 process"]),
        (1, SINGLE_PROCESS, []),
        ("auto", SINGLE_PROCESS, []),
        (4, None, []),
        (4, SECOND, []),
        ([0, 2], SINGLE_PROCESS, ["warning: trainer.devices: [0, 2] has no effect: launched as 1 process"]),
        ([0, 2], FIRST_OF_TWO, [f"process 0 of 2 (); the others have 600 s to join; {ALONE}"]),
    ],
)
def test_devices_under_a_launcher_are_told(
    devices: int | str | list[int], ranks: Ranks | None, told: list[str]
) -> None:
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


@pytest.mark.parametrize(
    ("gpus", "size", "told"),
    [
        (0, 96, []),
        (1, 16, []),
        (3, 96, []),
        (
            8,
            96,
            [
                "warning: 12 images a GPU and step keep 8 GPUs waiting for each other: data.batch_size=256 or more, or "
                "trainer.devices=3"
            ],
        ),
        (
            5,
            256,
            [
                "trainer.devices: 4 of 5 GPUs, because data.batch_size 256 does not divide among more; all with "
                "data.batch_size=260"
            ],
        ),
        (
            7,
            96,
            [
                "trainer.devices: 6 of 7 GPUs, because data.batch_size 96 does not divide among more; all with "
                "data.batch_size=98",
                "warning: 16 images a GPU and step keep 6 GPUs waiting for each other: data.batch_size=192 or more, or "
                "trainer.devices=3",
            ],
        ),
    ],
)
def test_idle_gpus_are_told(gpus: int, size: int, told: list[str]) -> None:
    console = RecordingConsole()
    report_idle_cards(config_of(TRIPLET, batch_size=size), gpus=gpus, console=console)
    assert console.lines == told

"""Devices, precision and strategies, with and without GPUs that are only claimed."""

import pytest
import torch

from simtrain.errors import ConfigError
from simtrain.training.devices import card_number, chosen_precision, device_count, shared_evenly
from simtrain.training.ranks import SINGLE_PROCESS, Ranks
from simtrain.training.strategies import check_strategy, data_parallel_names, trainer_placement


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("two_gpus")
def test_auto_is_every_gpu_and_more_are_refused() -> None:
    assert device_count("auto", accelerator="auto") == 2
    assert device_count("auto", accelerator="cpu") == 1
    assert device_count(1, accelerator="gpu") == 1
    assert device_count(3, accelerator="cpu") == 3
    with pytest.raises(ConfigError, match=r"got 3, but there are 2 GPUs; allowed: 1 to 2, auto$"):
        device_count(3, accelerator="gpu")


@pytest.mark.usefixtures("two_gpus")
def test_a_list_names_the_gpus() -> None:
    assert device_count([1], accelerator="auto") == 1
    assert device_count([1, 0], accelerator="auto") == 2
    with pytest.raises(ConfigError, match=r"^devices: got \[0, 2\]; there are GPUs 0 to 1$"):
        device_count([0, 2], accelerator="auto")
    with pytest.raises(ConfigError, match=r"^devices: got \[0\]; there is no GPU here, and a list names GPUs$"):
        device_count([0], accelerator="cpu")


def rank_of(local_rank: int, local_size: int) -> Ranks:
    return Ranks(rank=local_rank, size=local_size, local_rank=local_rank, local_size=local_size)


@pytest.mark.parametrize(
    ("visible", "ranks", "cards", "number"),
    [
        (8, rank_of(3, 8), None, 3),
        (8, rank_of(1, 2), [0, 2], 2),
        (8, SINGLE_PROCESS, [5], 5),
        (8, rank_of(3, 8), [0, 2], 3),  # torchrun started others than the list says
        (1, rank_of(3, 8), None, 0),  # SLURM's --gpus-per-task=1
    ],
)
def test_the_gpu_of_a_process(
    monkeypatch: pytest.MonkeyPatch, visible: int, ranks: Ranks, cards: list[int] | None, number: int
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: visible)
    assert card_number(ranks, cards) == number


@pytest.mark.usefixtures("two_gpus")
def test_processes_do_not_share_a_gpu() -> None:
    expected = "devices: 4 processes on this machine, but 2 GPUs; start as many processes as GPUs"
    with pytest.raises(ConfigError, match=expected):
        card_number(rank_of(1, 4), None)


@pytest.mark.parametrize(
    ("size", "most", "count"), [(96, 8, 8), (96, 5, 4), (96, 7, 6), (97, 8, 1), (100, 8, 5), (4, 8, 4)]
)
def test_devices_that_a_batch_divides_among(size: int, most: int, count: int) -> None:
    assert shared_evenly(size, most=most) == count


@pytest.mark.usefixtures("two_gpus")
def test_each_process_tells_lightning_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    placed = trainer_placement(rank_of(0, 2), device=torch.device("cuda"), strategy="ddp", timeout=7)
    assert (placed["accelerator"], placed["devices"]) == ("gpu", [1])
    assert placed["strategy"].parallel_devices == [torch.device("cuda", 1)] * 2


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_there_is_one_process_unless_told() -> None:
    assert device_count("auto", accelerator="auto") == 1
    assert device_count(4, accelerator="auto") == 4


def test_precision_on_a_cpu() -> None:
    cpu = torch.device("cpu")
    assert [chosen_precision(name, device=cpu) for name in ("auto", "32-true", "bf16-mixed")] == [
        "32-true",
        "32-true",
        "bf16-mixed",
    ]
    with pytest.raises(ConfigError, match=r"16-mixed needs a GPU; allowed without: auto, 32-true, bf16-mixed$"):
        chosen_precision("16-mixed", device=cpu)


@pytest.mark.parametrize(
    ("supported", "capability", "expected"),
    [
        (True, (8, 0), "bf16-mixed"),
        (False, (7, 5), "16-mixed"),  # T4, RTX 20xx
        (False, (7, 0), "16-mixed"),  # V100
        (False, (6, 1), "32-true"),  # GTX 10xx computes halves no faster
    ],
)
def test_auto_on_a_gpu_is_what_it_can(
    monkeypatch: pytest.MonkeyPatch, supported: bool, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    assert chosen_precision("auto", device=torch.device("cuda")) == expected
    assert chosen_precision("16-mixed", device=torch.device("cuda")) == "16-mixed"


def test_strategies_are_those_that_launch_nothing() -> None:
    names = data_parallel_names()
    assert "ddp" in names
    assert not [name for name in names if "spawn" in name or "fork" in name or "notebook" in name]
    for name in names:
        check_strategy(name)
    with pytest.raises(
        ConfigError, match="'dpp' is not a data-parallel strategy that simtrain knows; did you mean 'ddp'"
    ):
        check_strategy("dpp")


def test_one_process_has_one_device_and_no_strategy() -> None:
    placed = trainer_placement(SINGLE_PROCESS, device=torch.device("cpu"), strategy="ddp", timeout=5)
    assert (placed["accelerator"], placed["devices"], "strategy" in placed) == ("cpu", 1, False)


def test_several_processes_keep_the_ranks_that_they_were_given() -> None:
    ranks = Ranks(rank=5, size=8, local_rank=1, local_size=4)
    placed = trainer_placement(ranks, device=torch.device("cpu"), strategy="ddp", timeout=7)
    (environment,) = placed["plugins"]
    assert (placed["devices"], placed["num_nodes"]) == (4, 2)
    assert (environment.global_rank(), environment.world_size()) == (5, 8)
    assert (environment.local_rank(), environment.node_rank()) == (1, 1)
    assert environment.creates_processes_externally
    assert placed["strategy"]._timeout.total_seconds() == 7

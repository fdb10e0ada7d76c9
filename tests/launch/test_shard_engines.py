"""Engines: every piece of work once, on processes and on a Ray cluster that loses a node."""

import os
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from simtrain.errors import SimtrainError
from simtrain.launch.shard_engines import in_processes, on_ray

TASKS = list(range(12))


def write(folder: Path, task: int, device: str) -> None:
    (folder / f"{task}-{os.getpid()}").write_text(device)


def write_slowly(folder: Path, task: int, device: str) -> None:
    time.sleep(0.5)
    (folder / f"{task}").write_text(device)


def refuse(task: int, device: str) -> None:
    raise SimtrainError(f"task {task} on {device}")


def die(task: int, device: str) -> None:
    os._exit(9)


def test_every_task_is_done_once_by_several_processes(tmp_path: Path) -> None:
    done = list(in_processes(partial(write, tmp_path), TASKS, 2))
    names = [path.name.split("-") for path in tmp_path.iterdir()]
    assert sorted(done) == TASKS
    assert Counter(int(task) for task, _ in names) == Counter(TASKS)
    assert str(os.getpid()) not in {process for _, process in names}


def test_one_process_works_by_itself(tmp_path: Path) -> None:
    assert list(in_processes(partial(write, tmp_path), TASKS, 1)) == TASKS
    assert {path.name.split("-")[1] for path in tmp_path.iterdir()} == {str(os.getpid())}


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_the_work_is_told(processes: int) -> None:
    with pytest.raises(SimtrainError, match=r"^task [01] on "):
        list(in_processes(refuse, TASKS, processes))


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(SimtrainError, match="a process that embeds images died"):
        list(in_processes(die, TASKS, 2))


@pytest.mark.slow
def test_a_cluster_that_loses_a_node_does_every_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        lost = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        handler, done = signal.getsignal(signal.SIGTERM), []
        for number in on_ray(partial(write_slowly, tmp_path), TASKS):
            done.append(number)
            if len(done) == 2:
                cluster.remove_node(lost, allow_graceful=False)
        assert Counter(done) == Counter(TASKS)
        assert sorted(int(path.name) for path in tmp_path.iterdir()) == TASKS
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        ray.shutdown()
        cluster.shutdown()
        signal.signal(signal.SIGTERM, before)  # a cluster's nodes replace it too

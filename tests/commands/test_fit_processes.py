"""One run in several processes: the same run, also when one of them is lost."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from preloaded_processes import Command
from recording_console import RecordingConsole

from simtrain.commands.fit import fit
from simtrain.config import RunConfig, dump_yaml
from simtrain.console import SILENT, Console
from simtrain.encoders.whitening import load_whitening
from simtrain.errors import ConfigError, SimtrainError
from simtrain.runs.run import open_run
from simtrain.runs.whitening import run_encoder
from simtrain.training.epoch_table import read_metrics
from simtrain.training.ranks import LostRankError, free_port, rank_environment
from simtrain.training.saved_weights import read_module_state

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("preloaded_processes")]

MakeConfig = Callable[..., RunConfig]
TWO = {"epochs": 3, "accelerator": "cpu", "devices": 2, "rank_timeout": 30}


def run(config: RunConfig, *, resume: bool = False, console: Console = SILENT) -> Any:
    return fit(config, resume=resume, console=console)


def weights(folder: Path, name: str = "last.ckpt") -> torch.Tensor:
    state = read_module_state(folder / name)
    return torch.cat([state[key].flatten().double() for key in sorted(state)])


def children() -> list[int]:
    """Processes that this one has launched, in their order."""
    return sorted(process.pid or 0 for process in multiprocessing.active_children())


def test_two_processes_train_what_one_trains(make_config: MakeConfig) -> None:
    one = run(make_config(run="one"))
    two = run(make_config(run="two", trainer=TWO))
    first, second = (read_metrics(result.folder / "metrics.csv") for result in (one, two))
    assert first[0] == second[0]  # zero-shot: to the last bit
    difference = weights(two.folder) - weights(one.folder)
    moved = weights(one.folder) - weights(one.folder, "best.ckpt") if one.best_epoch == 0 else weights(one.folder)
    assert difference.norm() < 1e-4 * moved.norm()
    assert [row["step"] for row in first] == [row["step"] for row in second]
    for mine, theirs in zip(first[1:], second[1:], strict=True):
        assert float(mine["train_loss"]) == pytest.approx(float(theirs["train_loss"]), rel=1e-4)


def test_two_processes_learn_the_whitening_of_all_training_images(make_config: MakeConfig) -> None:
    encoder = {"kind": "timm", "model": "test_efficientnet", "weights": "none", "image_size": 32, "whitening": {}}
    folder = run(make_config(encoder=encoder, trainer={**TWO, "epochs": 1})).folder
    stored, _ = load_whitening(folder / "whitening.safetensors")
    (folder / "whitening.safetensors").unlink()
    alone = run_encoder(open_run(str(folder), checkpoints=folder.parent), alpha=None, console=SILENT).whitening
    assert alone is not None
    torch.testing.assert_close(stored.mean, alone.mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        stored.projection @ stored.projection.T, alone.projection @ alone.projection.T, rtol=1e-3, atol=1e-3
    )


def test_two_processes_are_interrupted_and_resumed_bit_for_bit(make_config: MakeConfig) -> None:
    trainer = {**TWO, "ema_decay": 0.9}
    whole = run(make_config(run="whole", trainer=trainer)).folder

    def stop(line: str) -> None:
        if line.startswith("epoch 1/"):
            signal.raise_signal(signal.SIGTERM)

    config = make_config(run="parts", trainer=trainer)
    assert run(config, console=RecordingConsole(on_line=stop)).ended_by == signal.SIGTERM
    assert run(config, resume=True).ended_by is None
    for name in ("last.ckpt", "best.ckpt"):
        assert torch.equal(weights(whole, name), weights(whole.with_name("parts"), name))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_process_ends_the_run_with_an_error(make_config: MakeConfig, number: signal.Signals) -> None:
    config = make_config(trainer={**TWO, "epochs": 500, "rank_timeout": 5})

    def lose(line: str) -> None:
        if line.startswith("epoch 2/"):
            os.kill(children()[1], number)

    with pytest.raises(LostRankError, match=r"process \d of 2"):
        run(config, console=RecordingConsole(on_line=lose))
    assert children() == []
    assert (Path(config.checkpoints) / "small" / "last.ckpt").exists()


def test_what_a_user_can_mend_is_told_once(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigError, match=r"^data.batch_size: 18 does not divide among 4 devices; take 16 or 20$"):
        run(make_config(data={"batch_size": 18, "workers": 0}, trainer={**TWO, "devices": 4}))


def test_torchrun_launches_it_too(make_config: MakeConfig) -> None:
    config = make_config(trainer={**TWO, "devices": "auto", "epochs": 1})
    path = Path(config.checkpoints).parent / "run.yaml"
    path.write_text(dump_yaml(config))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, "-m", "simtrain", "fit", str(path)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("zero-shot on val") == 1
    record = json.loads((Path(config.checkpoints) / "small" / "run.json").read_text())
    assert (record["status"], record["processes"]) == ("finished", 2)


def test_an_error_that_the_first_process_finds_is_printed_once(make_config: MakeConfig, tmp_path: Path) -> None:
    """Two processes as torchrun starts them, for a run whose folder is there."""
    config = make_config(trainer={**TWO, "devices": "auto"})
    (Path(config.checkpoints) / "small").mkdir(parents=True)
    path = tmp_path / "run.yaml"
    path.write_text(dump_yaml(config))
    port = free_port()
    tasks = [Command("fit", str(path), environment=rank_environment(number, size=2, port=port)) for number in range(2)]
    ends = [task.communicate() for task in tasks]
    assert [task.status for task in tasks] == [2, 2]
    (told,) = [line for _, aside in ends for line in aside.splitlines()]
    assert told.endswith("small: this run exists; continue it with --resume small, or name another with --set run=NAME")


@pytest.mark.parametrize("machines", [1, 2])
def test_a_mistake_in_the_configuration_is_printed_once_on_each_machine(tmp_path: Path, machines: int) -> None:
    (tmp_path / "run.yaml").write_text("catalog: shop\nencoder: {kind: resnet}\n")
    tasks = []
    for number in range(2):
        place = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"} if machines == 2 else {}
        environment = {**rank_environment(number, size=2, port=free_port()), **place}
        tasks.append(Command("fit", str(tmp_path / "run.yaml"), environment=environment))
    told = [aside for _, aside in (task.communicate() for task in tasks)]
    assert [task.status for task in tasks] == [2, 2]
    assert "objective: missing; it has no default" in told[0]
    assert told[1] == (told[0] if machines == 2 else "")


def test_slurm_tasks_form_a_run_and_are_put_back_in_its_queue(make_config: MakeConfig, tmp_path: Path) -> None:
    """Two tasks as srun starts them, with a scheduler that notes what it is asked."""
    config = make_config(trainer={**TWO, "devices": "auto", "epochs": 500})
    path = tmp_path / "run.yaml"
    path.write_text(dump_yaml(config))
    (tmp_path / "scontrol").write_text(f"#!/bin/sh\necho $@ >> {tmp_path}/asked\n")
    (tmp_path / "scontrol").chmod(0o755)
    job = {"JOB_ID": "77", "JOB_NAME": "train", "NTASKS": "2", "NNODES": "1", "NTASKS_PER_NODE": "2"}
    job = {f"SLURM_{name}": value for name, value in job.items()}
    shared = {**job, "SLURM_NODELIST": "localhost", "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def tasks(**more: str) -> list[Command]:
        return [
            Command(
                "fit",
                str(path),
                environment={**shared, "SLURM_PROCID": str(n), "SLURM_LOCALID": str(n), "SLURM_NODEID": "0", **more},
            )
            for n in range(2)
        ]

    first, second = tasks()
    next(line for line in first.stdout if line.startswith("epoch 2/"))
    for task in (first, second):
        task.signal(signal.SIGUSR1)
    told, _ = first.communicate()
    second.communicate()
    assert first.status == 128 + signal.SIGUSR1
    assert "job 77 is back in SLURM's queue" in told
    assert (tmp_path / "asked").read_text() == "requeue 77\n"

    first, second = tasks(SLURM_RESTART_COUNT="1")
    epoch = next(line for line in first.stdout if line.startswith("epoch "))
    for task in (first, second):
        task.kill()
        task.communicate()
    assert int(re.split(r"[ /]", epoch)[1]) >= 3


def test_a_failed_meeting_is_told(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two processes that torchrun should have launched."""
    for name, value in {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_PORT", "29477")
    began = time.monotonic()
    with pytest.raises(SimtrainError, match=r"^process 0 of 2 could not connect to the others: "):
        run(make_config(trainer={**TWO, "rank_timeout": 5}))
    assert time.monotonic() - began < 60

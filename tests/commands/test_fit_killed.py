"""A run that is killed without notice at ten random steps, and goes on as if nothing had been."""

import random
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch
from preloaded_processes import CONTEXT
from recording_console import RecordingConsole

from simtrain.commands.fit import fit
from simtrain.config import RunConfig
from simtrain.training.saved_weights import read_module_state

pytestmark = pytest.mark.slow

EPOCHS, STEPS = 3, 4


def train_and_tell(config: RunConfig, resume: bool, steps: Connection) -> None:
    """A process of its own: trains, and sends the number of each step that is done."""
    done = iter(range(1, 10_000))
    fit(config, resume=resume, console=RecordingConsole(on_step=lambda step: steps.send(next(done))))


def states(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{name} {key}": value
        for name in ("last.ckpt", "best.ckpt")
        for key, value in read_module_state(folder / name).items()
    }


def test_killed_at_ten_random_steps_and_resumed_is_uninterrupted_bit_for_bit(
    make_config: Callable[..., RunConfig],
) -> None:
    def config(name: str) -> RunConfig:
        return make_config(
            run=name,
            objective={"kind": "triplet", "memory": {"size": 40}},
            data={"batch_size": 16, "micro_batch_size": 8, "workers": 0},
            trainer={"epochs": EPOCHS, "accelerator": "cpu", "ema_decay": 0.9, "save_every_steps": 2},
        )

    def run(name: str, *, resume: bool, kill_after: int | None) -> None:
        receiver, sender = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=train_and_tell, args=(config(name), resume, sender))
        process.start()
        sender.close()
        try:
            while receiver.recv() != kill_after:
                pass
            process.kill()
        except EOFError:
            pass
        process.join()
        assert process.exitcode == (0 if kill_after is None else -9)

    run("whole", resume=False, kill_after=None)
    folder = Path(config("whole").checkpoints)
    expected = states(folder / "whole")
    draw = random.Random(4)
    for attempt in range(10):
        name = f"killed{attempt}"
        run(name, resume=False, kill_after=draw.randint(1, EPOCHS * STEPS - 1))
        run(name, resume=True, kill_after=None)
        found = states(folder / name)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected), name

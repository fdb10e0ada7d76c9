"""Interruption of a run by signals, between two steps and on every process after the same step."""

import os
import signal
import subprocess
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from typing_extensions import override

from simtrain.training.launch_environment import whole_number
from simtrain.training.ranks import any_rank, gather_objects, rank_count
from simtrain.training.signals import asking_signals


class Interruption(pl.Callback):
    """Heeds SIGTERM, SIGINT (Ctrl-C), SIGUSR1 (a scheduler's notice) and SIGHUP once a step is whole.

    A second Ctrl-C does not wait for that, unless another process watches over this one. Lightning's own handler is put
    aside: it would speak to the other processes from within the signal.

    Args:
        watched: Whether a process that launched this one passes the signals on.

    Attributes:
        ended_by: The signal that ended the run; None as long as none has.
    """

    def __init__(self, *, watched: bool) -> None:
        self._watched = watched
        self.ended_by: signal.Signals | None = None
        self._asked: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def listen(self) -> None:
        """Take over the signals; before that and after `forget` they do what they did."""
        for number in asking_signals():
            before = signal.signal(number, self._note)
            self._before.setdefault(number, before)

    def forget(self) -> None:
        """Give the signals back."""
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before = {}

    @property
    def asked(self) -> bool:
        """Whether this process has been asked to end."""
        return self._asked is not None

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.listen()

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.listen()

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # After the last batch of an epoch processes would leave validation at different places; they agree after it.
        if rank_count() == 1 or not trainer.is_last_batch or not trainer.enable_validation:
            self._heed(trainer)

    @override
    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if rank_count() == 1:  # several processes have different numbers of batches here, and agree afterwards
            self._heed(trainer)

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._heed(trainer)

    def _heed(self, trainer: pl.Trainer) -> None:
        if any_rank(self._asked is not None):
            self.ended_by = next(asked for asked in gather_objects(self._asked) if asked is not None)
            trainer._signal_connector.received_sigterm = True  # Lightning then ends where its own state is whole

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and not self._watched:
            signal.signal(signal.SIGINT, self._before.get(signal.SIGINT, signal.default_int_handler))
        self._asked = signal.Signals(number)


def requeue_in_slurm(ended_by: signal.Signals) -> str | None:
    """Put a job that SLURM is about to end back in its queue; what happened, or None where there is nothing to do.

    SLURM gives notice by the signal that the job asks for with `--signal=SIGUSR1@SECONDS`.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or ended_by != getattr(signal, "SIGUSR1", None):
        return None
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    name = f"{array}_{task}" if array and task else job
    try:
        done = subprocess.run(["scontrol", "requeue", name], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"job {name} could not be put back in SLURM's queue: {error}"
    if done.returncode:
        return f"job {name} could not be put back in SLURM's queue: {done.stderr.strip()}"
    return f"job {name} is back in SLURM's queue"


def requeued_in_slurm() -> bool:
    """Whether SLURM has started this job before.

    Raises:
        SimtrainError: if its count is no number.
    """
    return bool(os.environ.get("SLURM_RESTART_COUNT")) and whole_number(os.environ, "SLURM_RESTART_COUNT") > 0

"""Checkpoints of the best and the last state of a run, written atomically."""

import shlex
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities.exceptions import SIGTERMException
from typing_extensions import override

from simtrain.errors import CheckpointError, first_line, system_reason
from simtrain.failures import own_line
from simtrain.files import whole_file
from simtrain.training.collapse_guard import CollapsedError
from simtrain.training.epoch_choice import EpochChoice
from simtrain.training.file_names import BEST, LAST
from simtrain.training.non_finite_guard import NonFiniteError
from simtrain.training.random_state import random_state, set_random_state
from simtrain.training.ranks import broadcast_from_rank_zero, gather_objects, rank
from simtrain.training.tracking.watched_module import last_monitored

_WRITER = "enforce fail at inline_container"  # of torch's files, where fewer bytes than given were written
_RESTORING = "checkpoint_connector.py"  # Lightning's, whose functions `restore...` hand a checkpoint to all parts
_DAMAGE = (LookupError, TypeError, ValueError, AttributeError, AssertionError)


class WholeFileIO(TorchCheckpointIO):
    """Writes beside the target, then renames, so that a reader or a kill never meets half a checkpoint."""

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        target = Path(path)
        try:
            with whole_file(target) as temporary:
                torch.save(checkpoint, temporary)
        except OSError as error:
            raise CheckpointError(f"{target}: cannot be written: {system_reason(error)}") from error
        except RuntimeError as error:  # torch's writer tells of a full disk as one of its own
            full = "the disk is full, or a limit of the size of files is reached"
            reason = full if _WRITER in str(error) else first_line(error)
            raise CheckpointError(f"{target}: cannot be written: {reason}") from error

    @override
    def load_checkpoint(self, path: Any, *arguments: Any, **settings: Any) -> dict[str, Any]:
        try:
            return super().load_checkpoint(path, *arguments, **settings)
        except Exception as error:  # torch raises whatever the bytes make its unpickler trip over
            raise CheckpointError(f"{path}: not a checkpoint of simtrain fit ({type(error).__name__})") from None


@contextmanager
def restoring_told(checkpoint: Path) -> Iterator[None]:
    """What goes wrong while a run takes up a checkpoint is damage of that file, and told as such.

    Raises:
        CheckpointError: that names it, with what to do instead.
    """
    try:
        yield
    except (*_DAMAGE, RuntimeError) as error:
        unfit = isinstance(error, RuntimeError) and "loading state_dict" not in str(error)
        if unfit or not _while_restoring(error):
            raise
        reason = f"{type(error).__name__}: {own_line(error, to=160)}"
        raise CheckpointError(
            f"{checkpoint}: damaged: {reason}; begin a new run, for example from its best weights: simtrain fit "
            f"CONFIG.yaml --set init_from={shlex.quote(str(checkpoint.parent))} --set run=NAME"
        ) from error


def _while_restoring(error: Exception) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return any(
        Path(frame.filename).name == _RESTORING and frame.name.lstrip("_").startswith(("restore", "resume_start"))
        for frame in frames
    )


class ValidateLastSteps(pl.Callback):
    """Validates an epoch that `max_steps` cut short: Lightning would leave its figures at those of the epoch before.

    It goes before the callbacks that read the figures.
    """

    def __init__(self) -> None:
        self._validated = False

    @override
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validated = False

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validated = True

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._validated:
            trainer.validating = True
            trainer.fit_loop.epoch_loop.val_loop.run()
            trainer.training = True


class BestAndLast(pl.Callback):
    """Saves the last state and the best one.

    `last.ckpt` is written after every epoch, on interruption and every so many steps; `best.ckpt` when the epoch is
    chosen. Before the first step both hold the untouched encoder.

    Args:
        folder: The run's folder.
        monitor: Name of the validation metric to maximise; None without validation: the last state is the best.
        choice: Chooses the epoch.
        every_steps: Steps between two saves within an epoch; None: only at its end.
    """

    def __init__(self, *, folder: Path, monitor: str | None, choice: EpochChoice, every_steps: int | None) -> None:
        self._folder = folder
        self._monitor = monitor
        self._choice = choice
        self._every_steps = every_steps
        self._random_states: list[dict[str, Any]] = []

    @override
    def state_dict(self) -> dict[str, Any]:
        # Dropout goes on with them. Every process comes here when one saves, because Lightning makes them all.
        states = gather_objects(random_state())
        return {**self._choice.state(), "random_states": states}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._choice.go_on(state_dict)
        self._random_states = state_dict["random_states"]

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if rank() < len(self._random_states):  # a run that goes on with more processes has none for the new ones
            set_random_state(self._random_states[rank()])
        for name in (LAST, BEST):
            if broadcast_from_rank_zero(not (self._folder / name).exists()):
                trainer.save_checkpoint(self._folder / name)

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._every_steps is None or trainer.global_step % self._every_steps or trainer.is_last_batch:
            return  # after the last batch of an epoch its end saves, once validation is behind it
        # Lightning counts the batch as completed after this hook only, and would count it again after a resume.
        progress = trainer.fit_loop.epoch_loop.batch_progress
        progress.increment_completed()
        trainer.save_checkpoint(self._folder / LAST)
        progress.current.completed -= 1
        progress.total.completed -= 1

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._is_chosen(trainer, pl_module):
            trainer.save_checkpoint(self._folder / BEST)
        trainer.save_checkpoint(self._folder / LAST)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        # Lightning raises this one between steps; any other exception may find a step half done. It cannot go on with a
        # half done validation: then the last epoch's end remains what a resume begins from.
        whole = isinstance(exception, SIGTERMException | CollapsedError | NonFiniteError)
        if whole and not trainer.validating:
            trainer.save_checkpoint(self._folder / LAST)

    def _is_chosen(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> bool:
        epoch = trainer.current_epoch + 1
        if self._monitor is None:
            self._choice.takes_the_last(epoch)
            return True
        value = float(trainer.callback_metrics[self._monitor])
        return self._choice.takes(epoch, value, last_monitored(pl_module))

"""The best and the last state of a run, each file whole at any moment."""

import os
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities.exceptions import SIGTERMException
from typing_extensions import override

from simtrain.errors import CheckpointError

BEST = "best.ckpt"
LAST = "last.ckpt"


class WholeFileIO(TorchCheckpointIO):
    """Writes beside the target, then renames, so that a reader or a kill never meets half a checkpoint."""

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        target = Path(path)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            torch.save(checkpoint, temporary)
            temporary.replace(target)
        except (OSError, RuntimeError) as error:  # torch's writer tells of a full disk as a RuntimeError
            raise CheckpointError(f"{target}: cannot be written: {str(error).splitlines()[0]}") from error
        finally:
            temporary.unlink(missing_ok=True)

    @override
    def load_checkpoint(self, path: Any, *arguments: Any, **settings: Any) -> dict[str, Any]:
        try:
            return super().load_checkpoint(path, *arguments, **settings)
        except Exception as error:  # torch raises whatever the bytes make its unpickler trip over
            raise CheckpointError(f"{path}: not a checkpoint of simtrain fit ({type(error).__name__})") from None


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
    """Saves `last.ckpt` after every epoch and on interruption, and `best.ckpt` when the monitored figure is higher.

    The untouched encoder is the first candidate: a run that never beats it leaves it as the best.

    Args:
        folder: The run's.
        monitor: Name of the validation figure; None where there is nothing to validate, and the last is the best.
        first_value: The monitored figure before the first step; None with no monitor.
    """

    def __init__(self, *, folder: Path, monitor: str | None, first_value: float | None) -> None:
        self._folder = folder
        self._monitor = monitor
        self.best_value = first_value
        self.best_epoch = 0
        self._random_state: torch.Tensor | None = None

    @override
    def state_dict(self) -> dict[str, Any]:
        random_state = torch.get_rng_state()  # dropout and sampling miners go on with it
        return {"best_value": self.best_value, "best_epoch": self.best_epoch, "random_state": random_state}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_value, self.best_epoch = state_dict["best_value"], state_dict["best_epoch"]
        self._random_state = state_dict["random_state"]

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._random_state is not None:
            torch.set_rng_state(self._random_state)
        for name in (LAST, BEST):
            if not (self._folder / name).exists():
                trainer.save_checkpoint(self._folder / name)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        value = float(trainer.callback_metrics[self._monitor]) if self._monitor is not None else None
        if value is None or self.best_value is None or value > self.best_value:
            self.best_value, self.best_epoch = value, epoch
            trainer.save_checkpoint(self._folder / BEST)
        trainer.save_checkpoint(self._folder / LAST)

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        # Lightning raises this one between steps; any other exception may find a step half done. It cannot go on with a
        # half done validation: then the last epoch's end remains what a resume begins from.
        if isinstance(exception, SIGTERMException) and not trainer.validating:
            trainer.save_checkpoint(self._folder / LAST)


def read_module_state(path: Path) -> dict[str, torch.Tensor]:
    """The module's tensors in a run's checkpoint, on the CPU; nothing in the file is executed.

    Raises:
        CheckpointError: if it is not there, or is not a checkpoint of simtrain.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        state = content["state_dict"]
    except Exception as error:  # torch raises whatever the bytes make its unpickler trip over
        raise CheckpointError(f"{path}: not a checkpoint of simtrain fit ({type(error).__name__})") from None
    return dict(state)

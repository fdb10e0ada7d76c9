"""Lightning trainer of `simtrain fit`, with its callbacks and trackers."""

import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping

from simtrain.builders.devices import run_device
from simtrain.builders.objective import SETTING_NAMES
from simtrain.config import RunConfig
from simtrain.console import Console
from simtrain.errors import ConfigError, error_path
from simtrain.evaluation.balance import BALANCED, balanced_parts
from simtrain.runs.raised_epochs import was_raised
from simtrain.runs.session import RunSession
from simtrain.training.checkpoints import BestAndLast, ValidateLastSteps, WholeFileIO, restoring_told
from simtrain.training.collapse_guard import CollapseGuard
from simtrain.training.epoch_choice import EpochChoice
from simtrain.training.epoch_table import EpochLog
from simtrain.training.epoch_watch import EpochWatch, Watch
from simtrain.training.file_names import LAST
from simtrain.training.garbage import settled_objects
from simtrain.training.interruption import Interruption
from simtrain.training.non_finite_guard import NonFiniteGuard
from simtrain.training.optim import FollowSchedule
from simtrain.training.ranks import LostRankError, rank, rank_count
from simtrain.training.strategies import trainer_placement
from simtrain.training.tracking.run_tracking import CatalogueImages, RunTracking
from simtrain.training.tracking.step_log import StepLog
from simtrain.training.tracking.tensorboard import TensorBoardTracker
from simtrain.training.tracking.tracker import Tracker
from simtrain.training.tracking.wandb import WandbSettings, WandbTracker

_GUARD_STEPS = 10
_SHOWN_SIDE = 128  # pixels that a picture in a table needs


@dataclass(frozen=True, kw_only=True)
class RunCallbacks:
    """Lightning callbacks of a run.

    Attributes:
        choice: Chooses the epoch.
        checkpoints: Callback that saves the best and the last state.
        interruption: Callback that stops the run on a signal.
        in_order: All callbacks, in the order in which Lightning calls them.
    """

    choice: EpochChoice
    checkpoints: BestAndLast
    interruption: Interruption
    in_order: list[pl.Callback]


def build_callbacks(
    session: RunSession, *, zero_shot: dict[str, float], item_id: Callable[[int], str], launched: bool
) -> RunCallbacks:
    """The callbacks that a configuration asks for.

    Args:
        session: Session of the run, with its record before the first step.
        zero_shot: Validation metrics of the initial encoder.
        item_id: Catalogue row -> image id.
        launched: Whether another process of `fit` launched this one, and passes signals on to it.
    """
    config, folder, console = session.config, session.folder, session.console
    monitor = None if session.validation is None else f"val_{config.evaluation.monitor}"
    parts = balanced_parts(zero_shot) if config.evaluation.monitor == BALANCED else []
    choice = EpochChoice(
        first_value=zero_shot.get(config.evaluation.monitor), tolerance=config.evaluation.monitor_tolerance
    )
    checkpoints = BestAndLast(
        folder=folder, monitor=monitor, choice=choice, every_steps=config.trainer.save_every_steps
    )
    interruption = Interruption(watched=launched)
    trackers = build_trackers(session)
    images = session.images.reader
    tracking = RunTracking(
        trackers=trackers,
        choice=None if monitor is None else choice,
        first=zero_shot,
        images=CatalogueImages(picture=lambda row: images.read(row, at_least=_SHOWN_SIDE), ids=item_id),
    )
    in_order: list[pl.Callback] = [
        *([FollowSchedule()] if was_raised(session.record) else []),
        *([] if session.validation is None else [ValidateLastSteps()]),
        EpochLog(folder=folder, monitor=monitor, parts=parts, first=zero_shot, console=console),
        NonFiniteGuard(item_id=item_id, names=SETTING_NAMES),
        *_collapse_guard(config, console=console),
        *_early_stopping(config, monitor),
        checkpoints,
        interruption,
        StepLog(folder=folder, every_steps=config.tracking.every_steps, trackers=trackers),
        tracking,  # the last: W&B's end may take half a minute
    ]
    return RunCallbacks(choice=choice, checkpoints=checkpoints, interruption=interruption, in_order=in_order)


def watched(callbacks: RunCallbacks, session: RunSession, watch: Watch | None) -> RunCallbacks:
    """The callbacks with one that hands each epoch's validation figure on, once the epoch is saved.

    Args:
        callbacks: Callbacks of a run.
        session: Its session.
        watch: Told each figure; None: nobody is, nor where there is no validation.
    """
    if watch is None or session.validation is None:
        return callbacks
    told = EpochWatch(monitor=f"val_{session.config.evaluation.monitor}", watch=watch)
    place = callbacks.in_order.index(callbacks.checkpoints) + 1
    return replace(callbacks, in_order=[*callbacks.in_order[:place], told, *callbacks.in_order[place:]])


def check_trackers(config: RunConfig) -> None:
    """Check that the packages of the configured trackers are installed.

    Raises:
        SimtrainError: if one is not.
    """
    if config.tracking.tensorboard:
        with error_path("tracking"):
            TensorBoardTracker(folder=Path())


def build_trackers(session: RunSession) -> list[Tracker]:
    """Trackers of this process; empty on other ranks than 0."""
    config, folder = session.config, session.folder
    trackers: list[Tracker] = []
    if rank() > 0:
        return trackers
    if config.tracking.tensorboard:
        trackers.append(TensorBoardTracker(folder=folder))
    wandb = config.tracking.wandb
    if wandb is not None:
        settings = WandbSettings(**{**wandb.model_dump(), "tags": tuple(wandb.tags)})
        shown = {**config.model_dump(mode="json"), "data": session.record["data"]}
        trackers.append(
            WandbTracker(settings=settings, folder=folder, name=folder.name, config=shown, console=session.console)
        )
    return trackers


def build_trainer(session: RunSession, callbacks: RunCallbacks) -> pl.Trainer:
    """A trainer on the run's devices, without Lightning's own log lines and progress bars."""
    config = session.config
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # its import sets INFO: devices, adverts
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings(
        "ignore", message=".*your dataloader is not resumable.*"
    )  # CatalogData remembers its position
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # BatchNorm, held on purpose
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # every process logs the same figure
    device = run_device(config)
    placement = trainer_placement(
        session.ranks,
        device=device,
        strategy=config.trainer.strategy,
        timeout=config.trainer.rank_timeout,
    )
    return pl.Trainer(
        **{**placement, "plugins": [*placement["plugins"], WholeFileIO()]},
        precision=session.precision,  # type: ignore[arg-type]
        max_epochs=config.trainer.epochs,
        max_steps=config.trainer.max_steps or -1,
        gradient_clip_val=config.optimizer.gradient_clip_norm,
        callbacks=callbacks.in_order,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0 if session.validation is None else None,
        num_sanity_val_steps=0,  # the zero-shot evaluation has been through every validation image already
        use_distributed_sampler=False,
        benchmark=device.type == "cuda",  # batches are of one size: cuDNN may try its algorithms once
    )


def train_module(
    module: pl.LightningModule, data: pl.LightningDataModule, *, session: RunSession, callbacks: RunCallbacks
) -> signal.Signals | None:
    """Train with Lightning, from the run's last checkpoint if it is resumed; the signal that ended it, if one did.

    Raises:
        ConfigError: if the images of a step do not fit the GPU's memory.
        LostRankError: if another process of the run has ended or does not answer.
    """
    config, last = session.config, session.folder / LAST
    trainer = build_trainer(session, callbacks)
    # A run that was killed before its first step has no checkpoint: it begins again.
    checkpoint = last if session.resumed and last.exists() else None
    interruption = callbacks.interruption
    interruption.listen()
    try:
        with restoring_told(last), settled_objects():
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except (SystemExit, KeyboardInterrupt):
        return interruption.ended_by or signal.SIGINT
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise ConfigError(_out_of_memory(error, config)) from error
        if interruption.asked and (trainer.received_sigterm or not _between_processes(error)):
            return interruption.ended_by or signal.SIGTERM  # the signal reached the loading processes first
        if rank_count() > 1 and _between_processes(error):
            raise _lost(error, config) from error
        raise
    finally:
        interruption.forget()
    return None


@contextmanager
def told_how_to_go_on(folder: Path) -> Iterator[None]:
    """Add to the end of a process what to do next, if its own message does not say it."""
    try:
        yield
    except LostRankError as error:
        if "--resume" in str(error) or not (folder / LAST).exists():
            raise
        raise LostRankError(f"{error}; go on with: simtrain fit --resume {folder.name}") from error


def _early_stopping(config: RunConfig, monitor: str | None) -> list[pl.Callback]:
    patience = config.trainer.early_stopping_patience
    if patience is None or monitor is None:
        return []
    return [EarlyStopping(monitor=monitor, mode="max", patience=patience, check_on_train_epoch_end=False)]


def _collapse_guard(config: RunConfig, *, console: Console) -> list[pl.Callback]:
    if not config.trainer.stop_on_collapse:
        return []
    return [
        CollapseGuard(
            every_steps=_GUARD_STEPS, margin=config.objective.needs.margin, names=SETTING_NAMES, console=console
        )
    ]


def _out_of_memory(error: RuntimeError, config: RunConfig) -> str:
    """Settings that need less memory, the cheapest first."""
    share = config.data.batch_size // rank_count()
    now = config.data.micro_batch_size or share
    remedies = [f"data.micro_batch_size={max(1, now // 2)} (the same gradients, a third slower)"]
    if not config.trainer.activation_checkpointing:
        remedies.append("trainer.activation_checkpointing=true")
    if config.trainer.precision == "32-true":
        remedies.append("trainer.precision=auto")
    return f"data.batch_size: {str(error).splitlines()[0]}; set {', or '.join(remedies)}"


def _between_processes(error: RuntimeError) -> bool:
    message = str(error)
    return isinstance(error, torch.distributed.DistError) or any(
        word in message
        for word in ("gloo", "Gloo", "NCCL", "Connection closed by peer", "Timed out waiting", "TCPStore")
    )


def _lost(error: RuntimeError, config: RunConfig) -> LostRankError:
    reason = str(error).splitlines()[0][-160:]
    return LostRankError(
        f"process {rank()} of {rank_count()}: another process has ended, or has not answered within "
        f"trainer.rank_timeout={config.trainer.rank_timeout} seconds ({reason}); resume with: "
        f"simtrain fit --resume {config.run} (where one is only slow, with --set trainer.rank_timeout="
        f"{min(3 * config.trainer.rank_timeout, 86400)})"
    )

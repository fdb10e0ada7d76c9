"""`simtrain fit`: judge the untouched encoder, train it, keep the best."""

import logging
import os
import shutil
import signal
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping

from simtrain.build import build_data, build_encoder, build_module, build_validation
from simtrain.catalog.progress import Progress
from simtrain.catalog.store.reader import ImageReader, open_images
from simtrain.catalog.table import Catalog
from simtrain.commands.beforehand import tell_before_training
from simtrain.commands.judging import judge_encoder
from simtrain.commands.runs import (
    CONFIG_FILE,
    RUN_FILE,
    configured_catalog,
    data_fingerprint,
    environment,
    find_run,
    open_run,
    write_json,
)
from simtrain.config import RunConfig, differences, dump_yaml
from simtrain.data.embedding import inference_device
from simtrain.encoders.base import Encoder
from simtrain.errors import CheckpointError, ConfigError
from simtrain.evaluation.protocol import Evaluation, RetrievalTask
from simtrain.training.checkpoints import LAST, BestAndLast, ValidateLastSteps, WholeFileIO
from simtrain.training.progress import EpochLog, Step

_FREE_TO_CHANGE = (
    "run:",
    "checkpoints:",
    "catalog:",
    "data.workers:",
    "evaluation.batch_size:",
    "trainer.accelerator:",
)
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """How a run ended.

    Attributes:
        folder: The run's.
        ended_by: The signal that ended it early, `last.ckpt` then holds where to go on; None: it ran through.
        monitor: The validation figure that chose the best epoch; None without validation.
        zero_shot: That figure before training.
        best: Its best value.
        best_epoch: The epoch of that value; 0 is the untouched encoder.
    """

    folder: Path
    ended_by: signal.Signals | None
    monitor: str | None
    zero_shot: float | None
    best: float | None
    best_epoch: int


def fit(config: RunConfig, *, resume: bool, say: Say, progress: Progress, step: Callable[[Step], None]) -> FitResult:
    """Train as configured; everything is written to the folder `config.checkpoints`/`config.run`.

    Args:
        config: The whole run.
        resume: Go on with an interrupted run instead of beginning one.
        say: Takes each line for the user.
        progress: Shows how far the zero-shot evaluation is.
        step: Told after each training batch how far the run is.

    Raises:
        SimtrainError: for anything that the user can mend; nothing is left half-written.
    """
    if not config.trains:
        kind = config.encoder.kind
        raise ConfigError(f"encoder.kind: '{kind}' has nothing to train; judge it with simtrain evaluate")
    folder = _run_folder(config, resume=resume)
    device = inference_device(config.trainer.accelerator)
    catalog = configured_catalog(config)
    record = _resumed_record(config, catalog, folder) if resume else _new_record(config, catalog)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    last = folder / LAST
    encoder = build_encoder(config.encoder, load=not (resume and last.exists()))
    task = build_validation(config, catalog)
    images = open_images(catalog, smallest=encoder.preprocessing.image_size)
    data, groups = build_data(
        config, catalog, images=images.reader, preprocessing=encoder.preprocessing, validation=task
    )
    module = build_module(config, encoder=encoder, groups=groups, validation=task)
    tell_before_training(config, catalog, images, encoder, task, record, say=say)
    first = _zero_shot(config, images.reader, encoder, task, record, say=say, progress=progress)
    monitor = f"val_{config.evaluation.monitor}" if task is not None else None
    keeper = BestAndLast(folder=folder, monitor=monitor, first_value=first.get(config.evaluation.monitor))
    log = EpochLog(folder=folder, monitor=monitor, first=first, say=say, step=step)
    last_steps = [ValidateLastSteps()] if task is not None else []
    callbacks = [*last_steps, log, keeper, *_early_stopping(config, monitor)]
    trainer = _trainer(config, callbacks, device=device, validate=task is not None)
    if not resume:
        _make_run_folder(folder, config, record)
    began = time.perf_counter()
    ended_by = _train(trainer, module, data, resume_from=last if resume else None)
    record |= {
        "status": "interrupted" if ended_by is not None else "finished",
        "finished": _now(),
        "seconds": round(record.get("seconds", 0.0) + time.perf_counter() - began, 1),
        "best": {"epoch": keeper.best_epoch, "monitor": config.evaluation.monitor, "value": keeper.best_value},
    }
    write_json(folder / RUN_FILE, record)
    return FitResult(
        folder=folder,
        ended_by=ended_by,
        monitor=config.evaluation.monitor if task is not None else None,
        zero_shot=first.get(config.evaluation.monitor),
        best=keeper.best_value,
        best_epoch=keeper.best_epoch,
    )


def _run_folder(config: RunConfig, *, resume: bool) -> Path:
    if config.run is None:
        raise ConfigError("run: missing; name the run with --set run=NAME")
    checkpoints = Path(config.checkpoints).expanduser()
    folder = checkpoints / config.run
    if resume:
        if find_run(config.run, checkpoints=checkpoints) is None:
            open_run(config.run, checkpoints=checkpoints)  # says what is there instead
        return folder
    if folder.exists():
        raise CheckpointError(
            f"{folder}: this run exists; continue it with --resume {config.run}, or name another with --set run=NAME"
        )
    return folder


def _resumed_record(config: RunConfig, catalog: Catalog, folder: Path) -> dict[str, Any]:
    """The record of a run that goes on, if configuration and catalogue are what they were."""
    run = open_run(str(folder), checkpoints=folder.parent)
    changed = [line for line in differences(run.config, config) if not line.startswith(_FREE_TO_CHANGE)]
    if changed:
        shown = "; ".join(changed[:4]) + (f" (and {len(changed) - 4} more)" if len(changed) > 4 else "")
        raise CheckpointError(f"{folder}: the configuration is not the one that the run began with: {shown}")
    if run.record["data"]["sha256"] != data_fingerprint(catalog)["sha256"]:
        raise CheckpointError(f"{folder}: the catalogue {catalog.folder} has changed since the run began")
    return {**run.record, "status": "running", "resumed": [*run.record.get("resumed", []), _now()]}


def _new_record(config: RunConfig, catalog: Catalog) -> dict[str, Any]:
    return {
        "run": config.run,
        "status": "running",
        "started": _now(),
        **environment(),
        "data": {"catalog": str(catalog.folder.resolve()), **data_fingerprint(catalog)},
        "device": str(inference_device(config.trainer.accelerator)),
    }


def _make_run_folder(folder: Path, config: RunConfig, record: dict[str, Any]) -> None:
    """The folder with what is known before the first step, complete from the moment that it exists."""
    staging = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        staging.mkdir(parents=True)
        (staging / CONFIG_FILE).write_text(dump_yaml(config), encoding="utf-8")
        write_json(staging / RUN_FILE, record)
        staging.rename(folder)
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be made: {error.strerror}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _zero_shot(
    config: RunConfig,
    images: ImageReader,
    encoder: Encoder,
    task: RetrievalTask | None,
    record: dict[str, Any],
    *,
    say: Say,
    progress: Progress,
) -> dict[str, float]:
    """The validation figures of the untouched encoder, which go on record; a resumed run has them there."""
    if task is None:
        say("no product or label in the catalogue: nothing to validate on; the last epoch will count as the best")
        return {}
    if "zero_shot" not in record:
        found = judge_encoder(encoder, images, task, config=config, progress=progress)
        say(_zero_shot_line(found))
        record["zero_shot"] = {"split": "val", **found.to_dict()}
    return {name: float(found["mean"]) for name, found in record["zero_shot"]["metrics"].items()}


def _zero_shot_line(found: Evaluation) -> str:
    figures = "  ".join(f"{name} {found.metrics[name].mean:.3f}" for name in ("map_at_r", "recall_at_1"))
    return f"zero-shot on val ({found.queries} queries, {found.gallery} images): {figures}"


def _trainer(config: RunConfig, callbacks: list[pl.Callback], *, device: torch.device, validate: bool) -> pl.Trainer:
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # its import sets INFO: devices, adverts
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")  # CatalogData remembers its place
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # BatchNorm, held on purpose
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        precision=config.trainer.precision,
        max_epochs=config.trainer.epochs,
        max_steps=config.trainer.max_steps or -1,
        gradient_clip_val=config.optimizer.gradient_clip_norm,
        callbacks=callbacks,
        plugins=[WholeFileIO()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=None if validate else 0,
        num_sanity_val_steps=0,  # the zero-shot evaluation has been through every validation image already
        use_distributed_sampler=False,
    )


def _early_stopping(config: RunConfig, monitor: str | None) -> list[pl.Callback]:
    patience = config.trainer.early_stopping_patience
    if patience is None or monitor is None:
        return []
    return [EarlyStopping(monitor=monitor, mode="max", patience=patience, check_on_train_epoch_end=False)]


def _train(
    trainer: pl.Trainer, module: pl.LightningModule, data: pl.LightningDataModule, *, resume_from: Path | None
) -> signal.Signals | None:
    """Run Lightning's fit; the signal that ended it, if one did."""
    ended_by = signal.SIGTERM

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        # Lightning heeds SIGTERM between two steps, where the state is whole; a second Ctrl-C does not wait for that.
        nonlocal ended_by
        ended_by = signal.SIGINT
        signal.signal(signal.SIGINT, before)
        os.kill(os.getpid(), signal.SIGTERM)

    # A run that was killed before its first step has no checkpoint: it begins again.
    checkpoint = resume_from if resume_from is not None and resume_from.exists() else None
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except (SystemExit, KeyboardInterrupt):
        return ended_by
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            reason = str(error).splitlines()[0]
            raise ConfigError(f"data.batch_size: {reason}; set a smaller data.batch_size") from error
        if not trainer.received_sigterm:
            raise
        return ended_by  # the signal reached the loading processes too, and the loader has noticed first
    finally:
        signal.signal(signal.SIGINT, before)
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

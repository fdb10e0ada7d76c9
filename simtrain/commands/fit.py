"""`simtrain fit`: zero-shot evaluation, training and the best epoch, in one process or in many.

The steps are functions, and each takes what the one before it returns: `prepare_run` -> `RunSession`,
`before_training` -> `TrainingStart`, `train_run` -> `TrainingEnd`, `conclude` -> `FitResult`.
"""

import signal
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytorch_lightning as pl
import torch

from simtrain.builders.auxiliary_losses import needs_initial_encoder
from simtrain.builders.devices import check_precision, run_cards
from simtrain.builders.objective import build_module
from simtrain.builders.processes import run_process_count
from simtrain.builders.saved_encoder import load_initial_encoder, save_initial_encoder
from simtrain.builders.training_inputs import TrainingInputs
from simtrain.config import RunConfig
from simtrain.console import SILENT, Console
from simtrain.encoders.base import Encoder
from simtrain.errors import ConfigError
from simtrain.launch.processes import process_group, run_on_each
from simtrain.runs.folder import (
    FinishedRunError,
    check_run_folder,
    ended_record,
    failure_on_record,
    make_run_folder,
    write_resumed,
)
from simtrain.runs.frozen_features import frozen_data, refuse_several_processes
from simtrain.runs.preflight_report import report_few_negatives, report_launch, report_preflight
from simtrain.runs.preparation import prepare_run
from simtrain.runs.reference_embeddings import reference_embeddings, save_reference
from simtrain.runs.run import open_run, write_run_record
from simtrain.runs.run_lock import LOCK_FILE, lock_run
from simtrain.runs.session import RunSession
from simtrain.runs.teacher import relational_teacher
from simtrain.runs.text_embeddings import text_embeddings
from simtrain.runs.trainer import build_callbacks, check_trackers, told_how_to_go_on, train_module, watched
from simtrain.runs.whitening import whiten_run
from simtrain.runs.zero_shot import zero_shot_metrics
from simtrain.training.epoch_choice import EpochChoice
from simtrain.training.epoch_watch import Watch
from simtrain.training.interruption import requeue_in_slurm
from simtrain.training.rank_zero import on_rank_zero
from simtrain.training.ranks import SINGLE_PROCESS, Ranks, launched_ranks, rank


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """How a run ended.

    Attributes:
        folder: Folder of the run.
        ended_by: Signal that ended it early, and `last.ckpt` holds where to go on; None: it ran through.
        monitor: Validation metric that chose the best epoch; None without validation.
        zero_shot: Value of that metric before training, 0 to 1; None without validation.
        best: Value of that metric in the chosen epoch, 0 to 1; None without validation.
        best_epoch: The chosen epoch, from 1; 0 is the initial encoder.
    """

    folder: Path
    ended_by: signal.Signals | None
    monitor: str | None
    zero_shot: float | None
    best: float | None
    best_epoch: int


@dataclass(frozen=True, kw_only=True)
class TrainingStart:
    """What is known of a run before its first step.

    Attributes:
        session: Session of the run.
        zero_shot: Validation metrics of the initial encoder: name -> mean, 0 to 1; empty without validation.
        inputs: Inputs of the objective, all of them embedded.
        data: Training views and validation images, or the features of a frozen network.
    """

    session: RunSession
    zero_shot: dict[str, float]
    inputs: TrainingInputs
    data: pl.LightningDataModule


@dataclass(frozen=True, kw_only=True)
class TrainingEnd:
    """How the training of a run ended.

    Attributes:
        start: What was known before its first step.
        began: `time.perf_counter()` at its first step.
        ended_by: Signal that ended it early; None: it ran through.
        choice: The choice of the epoch.
    """

    start: TrainingStart
    began: float
    ended_by: signal.Signals | None
    choice: EpochChoice


def fit(config: RunConfig, *, resume: bool, console: Console, watch: Watch | None = None) -> FitResult:
    """Train as configured; everything is written to the folder `config.checkpoints`/`config.run`.

    Where torchrun or SLURM has launched this process among others, it takes its part; else it launches a process for
    each of `trainer.devices`, if those are several.

    Args:
        config: Configuration of the run.
        resume: Whether to go on with an interrupted run instead of starting one.
        console: Shows each line, and the progress of the zero-shot evaluation and of each epoch.
        watch: Told each epoch's validation figure, and may end the run; not of several processes here. None: nobody.

    Raises:
        SimtrainError: for anything that the user can mend; nothing is left half-written.
    """
    if not config.trains:
        kind = config.encoder.kind
        raise ConfigError(
            f"encoder.kind: '{kind}' has no weights to train; evaluate it with simtrain evaluate CONFIG.yaml"
        )
    count = run_process_count(config)
    check_trackers(config)
    check_precision(config)
    ranks = launched_ranks()
    report_launch(config, ranks, console=console)
    if config.trainer.freeze_encoder:
        refuse_several_processes(ranks)
        count = 1
    if ranks is None and count > 1:
        folder = check_run_folder(config, resume=resume)
        with told_how_to_go_on(folder):
            result: FitResult = run_on_each(count, _fit_launched, config, resume, console=console)
        return result
    return _fit(config, ranks or SINGLE_PROCESS, resume=resume, console=console, launched=False, watch=watch)


def _fit_launched(config: RunConfig, resume: bool, *, console: Console) -> FitResult:
    """The part of one process that `fit` has launched."""
    ranks = launched_ranks()
    assert ranks is not None
    return _fit(config, ranks, resume=resume, console=console, launched=True, watch=None)


def _fit(
    config: RunConfig, ranks: Ranks, *, resume: bool, console: Console, launched: bool, watch: Watch | None
) -> FitResult:
    shown_on = console if ranks.rank == 0 else SILENT
    trainer, cards = config.trainer, run_cards(config)
    with process_group(ranks, accelerator=trainer.accelerator, timeout=trainer.rank_timeout, cards=cards):
        try:
            session = prepare_run(config, ranks, resume=resume, console=shown_on)
        except FinishedRunError as finished:
            shown_on.line(str(finished))
            return _finished(config)
        try:
            start = before_training(session)
            end = train_run(start, launched=launched, watch=watch)
            return conclude(end)
        finally:
            session.lock.release()


def _finished(config: RunConfig) -> FitResult:
    """How a run that has finished ended, from its record."""
    checkpoints = Path(config.checkpoints).expanduser()
    run = open_run(str(checkpoints / str(config.run)), checkpoints=checkpoints)
    best = run.best
    return FitResult(
        folder=run.folder,
        ended_by=None,
        monitor=None if best is None else best.metric,
        zero_shot=None if best is None else best.zero_shot,
        best=None if best is None else best.value,
        best_epoch=0 if best is None else best.epoch,
    )


def before_training(session: RunSession) -> TrainingStart:
    """Warn, evaluate the initial encoder, and embed what the objective needs; nothing is written to the run's folder.

    Raises:
        SimtrainError: for images or initial weights that cannot be read.
    """
    on_rank_zero(lambda: report_preflight(session))
    data = frozen_data(session) if session.config.trainer.freeze_encoder else session.data
    zero_shot = zero_shot_metrics(session)
    reference = reference_embeddings(session)
    report_few_negatives(session, reference)
    inputs = replace(
        session.inputs,
        reference=reference,
        teacher=relational_teacher(session),
        start=_regularisation_target(session),
        text_embeddings=text_embeddings(session.config, session.encoder, session.inputs.texts, console=session.console),
    )
    return TrainingStart(session=session, zero_shot=zero_shot, inputs=inputs, data=data)


def train_run(start: TrainingStart, *, launched: bool, watch: Watch | None = None) -> TrainingEnd:
    """Make the run's folder, or take up its record, and train.

    Args:
        start: What `before_training` found.
        launched: Whether another process of `fit` launched this one, and passes signals on to it.
        watch: Told each epoch's validation figure, and may end the run; None: nobody.

    Raises:
        SimtrainError: for a run that failed, with the reason in its record, or a folder that cannot be written.
    """
    session = start.session
    module = build_module(session.config, encoder=session.encoder, inputs=start.inputs, validation=session.validation)
    module.item_id = [str(name) for name in session.catalog.rows["id"]].__getitem__
    usual = build_callbacks(session, zero_shot=start.zero_shot, item_id=module.item_id, launched=launched)
    callbacks = watched(usual, session, watch)
    on_rank_zero(lambda: _write_start(start))
    torch.manual_seed(session.config.seed + session.ranks.rank)  # dropout differs from process to process
    began = time.perf_counter()
    with failure_on_record(session.folder, session.record, console=session.console):
        ended_by = train_module(module, start.data, session=session, callbacks=callbacks)
    return TrainingEnd(start=start, began=began, ended_by=ended_by, choice=callbacks.choice)


def conclude(end: TrainingEnd) -> FitResult:
    """Whiten the best weights if the configuration says so, and complete the run's record.

    Raises:
        SimtrainError: if the whitening cannot be learned, or the record cannot be written.
    """
    session, zero_shot, best = end.start.session, end.start.zero_shot, end.choice.chosen
    config, monitor = session.config, session.config.evaluation.monitor
    with failure_on_record(session.folder, session.record, console=session.console):
        completed = end.ended_by is None
        whitening = whiten_run(config, session.folder, alpha=1.0, console=session.console) if completed else None
    seconds = time.perf_counter() - end.began
    if rank() == 0:
        record = ended_record(session.record, seconds=seconds, ended_by=end.ended_by)
        record["best"] = {
            "epoch": best.epoch,
            "monitor": monitor,
            "value": best.value,
            "zero_shot": zero_shot.get(monitor),
            "highest": asdict(end.choice.highest),
        }
        if whitening is not None:
            record["whitening"] = whitening
        write_run_record(session.folder, record)
        requeued = requeue_in_slurm(end.ended_by) if end.ended_by is not None else None
        if requeued is not None:
            session.console.line(requeued)
    session.lock.release()
    return FitResult(
        folder=session.folder,
        ended_by=end.ended_by,
        monitor=monitor if zero_shot else None,
        zero_shot=zero_shot.get(monitor),
        best=best.value,
        best_epoch=best.epoch,
    )


def _regularisation_target(session: RunSession) -> Encoder | None:
    """The encoder with its initial weights, for an objective that holds it near to them; None for any other."""
    if not needs_initial_encoder(session.config):
        return None
    return session.encoder if session.begins else load_initial_encoder(session.config.encoder, session.folder)


def _write_start(start: TrainingStart) -> None:
    """Make the folder of a new run, complete from the moment that it exists; write the record of a resumed one."""
    session = start.session
    if session.resumed:
        write_resumed(session.folder, session.record, session.config)
        return

    def add_files(staging: Path) -> None:
        session.lock.moved_to(staging / LOCK_FILE)
        lock_run(session.lock, session.folder, console=session.console)
        save_initial_encoder(session.encoder, staging)
        if start.inputs.reference is not None:
            save_reference(start.inputs.reference, staging)

    make_run_folder(session.folder, session.config, session.record, add_files=add_files)
    session.lock.moved_to(session.folder / LOCK_FILE)

"""`simtrain fit`: judge the untouched encoder, train it, keep the best; in one process or in many."""

import copy
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from simtrain.builders import (
    TrainingInputs,
    build_data,
    build_module,
    build_text_validation,
    build_texts,
    build_validation,
    load_initial_encoder,
    needs_initial_encoder,
    save_initial_encoder,
)
from simtrain.builders.devices import run_precision, run_process_count
from simtrain.catalog.store.reader import open_images
from simtrain.config import RunConfig
from simtrain.console import SILENT, Console
from simtrain.encoders.base import Encoder
from simtrain.errors import ConfigError, SimtrainError
from simtrain.launch.processes import process_group, run_on_each
from simtrain.modules.base import RetrievalModule, catalogue_ids
from simtrain.runs.folder import (
    begun_record,
    check_run_folder,
    ended_record,
    goes_on,
    make_run_folder,
    resumed_record,
)
from simtrain.runs.frozen_features import alone, frozen_data, with_last_layer
from simtrain.runs.initial_encoder import build_initial_encoder, settle_normalisation
from simtrain.runs.preflight_report import tell_before_training
from simtrain.runs.run import configured_catalog, write_run_record
from simtrain.runs.teacher import check_teacher, relational_teacher
from simtrain.runs.text_embeddings import text_embeddings
from simtrain.runs.trainer import Watchers, check_trackers, make_trainer, train
from simtrain.runs.whitening import whiten_run
from simtrain.runs.zero_shot import keep_reference, reference_embeddings, zero_shot_figures
from simtrain.training.checkpoints import LAST
from simtrain.training.interruption import requeue_in_slurm
from simtrain.training.ranks import SINGLE_PROCESS, Ranks, broadcast_from_rank_zero, launched_ranks, on_rank_zero, rank


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


def fit(config: RunConfig, *, resume: bool, console: Console) -> FitResult:
    """Train as configured; everything is written to the folder `config.checkpoints`/`config.run`.

    Where torchrun or SLURM has launched this process among others, it takes its part; else it launches a process for
    each of `trainer.devices`, if those are several.

    Args:
        config: The whole run.
        resume: Go on with an interrupted run instead of beginning one.
        console: Takes each line, and shows how far the zero-shot evaluation and each epoch of training are.

    Raises:
        SimtrainError: for anything that the user can mend; nothing is left half-written.
    """
    if not config.trains:
        kind = config.encoder.kind
        raise ConfigError(f"encoder.kind: '{kind}' has nothing to train; judge it with simtrain evaluate")
    count = run_process_count(config)
    check_trackers(config)
    run_precision(config)
    ranks = launched_ranks()
    if config.trainer.freeze_encoder:
        count = alone(ranks)
    if ranks is None and count > 1:
        check_run_folder(config, resume=resume)
        result: FitResult = run_on_each(count, _fit_among, config, resume, console=console)
        return result
    return _fit(config, ranks or SINGLE_PROCESS, resume=resume, console=console, watched=False)


def _fit_among(config: RunConfig, resume: bool, *, console: Console) -> FitResult:
    """The part of one process that `fit` has launched."""
    ranks = launched_ranks()
    assert ranks is not None
    return _fit(config, ranks, resume=resume, console=console, watched=True)


def _fit(
    config: RunConfig,
    ranks: Ranks,
    *,
    resume: bool,
    console: Console,
    watched: bool,
) -> FitResult:
    with process_group(ranks, accelerator=config.trainer.accelerator, timeout=config.trainer.rank_timeout):
        first = ranks.rank == 0
        return _run(
            config,
            ranks,
            resume=resume,
            console=console if first else SILENT,
            watched=watched,
        )


def _run(
    config: RunConfig,
    ranks: Ranks,
    *,
    resume: bool,
    console: Console,
    watched: bool,
) -> FitResult:
    resume = resume or broadcast_from_rank_zero(goes_on(config))
    folder = on_rank_zero(lambda: check_run_folder(config, resume=resume))
    config, weights = on_rank_zero(lambda: settle_normalisation(config, folder, resume=resume, console=console))
    catalog = configured_catalog(config)
    record = on_rank_zero(
        lambda: (
            resumed_record(config, catalog, folder, ranks, console=console)
            if resume
            else begun_record(config, catalog, ranks, weights=weights)
        )
    )
    pl.seed_everything(config.seed, workers=True, verbose=False)
    last = folder / LAST
    begins = not (resume and broadcast_from_rank_zero(last.exists()))
    encoder = build_initial_encoder(config, folder, begins=begins, console=console)
    config = with_last_layer(config, encoder)
    task = build_validation(config, catalog)
    images = open_images(catalog, smallest=max(encoder.training_image_size, encoder.preprocessing.image_size))
    texts = build_texts(config, catalog)
    data: pl.LightningDataModule
    data, groups = build_data(config, catalog, images=images.reader, encoder=encoder, validation=task, texts=texts)
    inputs = TrainingInputs(
        groups=groups,
        duplicate_groups=torch.from_numpy(catalog.groups(["duplicate_group"])),
        reference=torch.zeros(1, 1),
        teacher=torch.zeros(1, 1),
        texts=texts,
        validation_texts=build_text_validation(config, catalog, task),
    )
    _try_out(config, encoder, inputs)
    on_rank_zero(lambda: check_teacher(config, catalog, encoder))
    on_rank_zero(lambda: tell_before_training(config, catalog, images, encoder, task, texts, record, console=console))
    if config.trainer.freeze_encoder:
        data = frozen_data(config, catalog, encoder, folder, task=task, texts=texts, begins=begins, console=console)
    zero_shot = zero_shot_figures(
        config, images.reader, encoder, task, record, texts=inputs.validation_texts, console=console
    )
    reference = reference_embeddings(config, catalog, images.reader, encoder, folder, begins=begins, console=console)
    known = replace(
        inputs,
        reference=reference,
        teacher=relational_teacher(config, catalog, encoder, folder, begins=begins, console=console),
        start=_start(config, encoder, folder, begins=begins),
        text_embeddings=text_embeddings(config, encoder, texts, console=console),
    )
    module = build_module(config, encoder=encoder, inputs=known, validation=task)
    module.item_id = catalogue_ids([str(name) for name in catalog.rows["id"]])
    watchers = Watchers.of(
        config,
        folder,
        record,
        images.reader,
        module.item_id,
        zero_shot,
        validate=task is not None,
        console=console,
        watched=watched,
    )
    trainer = make_trainer(config, ranks, watchers, validate=task is not None)

    def keep(staging: Path) -> None:
        save_initial_encoder(encoder, staging)
        if reference is not None:
            keep_reference(reference, staging)

    if not resume:
        on_rank_zero(lambda: make_run_folder(folder, config, record, keep=keep))
    torch.manual_seed(config.seed + ranks.rank)  # dropout differs from process to process
    return _trained(config, folder, record, trainer, module, data, watchers, zero_shot, resume=resume, console=console)


def _trained(
    config: RunConfig,
    folder: Path,
    record: dict[str, Any],
    trainer: pl.Trainer,
    module: RetrievalModule,
    data: pl.LightningDataModule,
    watchers: Watchers,
    zero_shot: dict[str, float],
    *,
    resume: bool,
    console: Console,
) -> FitResult:
    """Train, and write down how it ended."""
    if resume:
        on_rank_zero(lambda: write_run_record(folder, record))
    began = time.perf_counter()
    try:
        ended_by = train(trainer, module, data, watchers, config=config, resume_from=folder / LAST if resume else None)
        whitening = None if ended_by is not None else whiten_run(config, folder, alpha=1.0, console=console)
    except SimtrainError as error:
        if rank() == 0:
            failed = {"status": "failed", "reason": str(error)}
            write_run_record(folder, {**record, **failed})
        raise
    monitor, keeper = config.evaluation.monitor, watchers.keeper
    seconds = time.perf_counter() - began
    if rank() == 0:
        ended = ended_record(record, seconds=seconds, ended_by=ended_by)
        best = {
            "epoch": keeper.best_epoch,
            "monitor": monitor,
            "value": keeper.best_value,
            "zero_shot": zero_shot.get(monitor),
        }
        found = {} if whitening is None else {"whitening": whitening}
        write_run_record(folder, {**ended, "best": best, **found})
        requeued = requeue_in_slurm(ended_by) if ended_by is not None else None
        if requeued is not None:
            console.line(requeued)
    return FitResult(
        folder=folder,
        ended_by=ended_by,
        monitor=monitor if zero_shot else None,
        zero_shot=zero_shot.get(monitor),
        best=keeper.best_value,
        best_epoch=keeper.best_epoch,
    )


def _try_out(config: RunConfig, encoder: Encoder, inputs: TrainingInputs) -> None:
    """Find what objective and network refuse before anything that takes long; leaves random numbers as they were."""
    with torch.random.fork_rng(devices=[]):
        build_module(config, encoder=copy.deepcopy(encoder), inputs=inputs, validation=None)


def _start(config: RunConfig, encoder: Encoder, folder: Path, *, begins: bool) -> Encoder | None:
    """What the run's encoder is held to: itself before the first step."""
    if not needs_initial_encoder(config):
        return None
    return encoder if begins else load_initial_encoder(config.encoder, folder)

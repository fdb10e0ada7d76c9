"""Preparation of a training run: folder, record, encoder, data and objective, checked before any embedding."""

import copy
from typing import Any

import pytorch_lightning as pl
import torch

from simtrain.builders.data import build_data
from simtrain.builders.devices import agreed_embedding_precision, agreed_training_precision, run_device
from simtrain.builders.judged_catalog import judged_catalog
from simtrain.builders.levels import build_levels
from simtrain.builders.objective import build_module
from simtrain.builders.texts import build_text_validation, build_texts
from simtrain.builders.training_inputs import TrainingInputs
from simtrain.builders.validation import build_validation
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig
from simtrain.console import Console
from simtrain.data.changed_pictures import open_judged_images
from simtrain.encoders.base import Encoder
from simtrain.locks import FileLock
from simtrain.runs.folder import begun_record, check_run_folder, is_requeued, resumed_record
from simtrain.runs.frozen_features import with_last_layer
from simtrain.runs.initial_encoder import build_initial_encoder, settle_normalisation
from simtrain.runs.run import configured_catalog
from simtrain.runs.run_lock import LOCK_FILE, lock_run
from simtrain.runs.session import RunSession
from simtrain.runs.teacher import check_teacher
from simtrain.training.file_names import LAST
from simtrain.training.rank_zero import on_rank_zero
from simtrain.training.ranks import Ranks, broadcast_from_rank_zero


def prepare_run(config: RunConfig, ranks: Ranks, *, resume: bool, console: Console) -> RunSession:
    """Settle and check everything that needs no embedding; nothing is written but the lock of a run that is resumed.

    Args:
        config: Configuration of the run.
        ranks: Number of this process, and how many there are.
        resume: Whether to go on with an interrupted run.
        console: Shows each line.

    Raises:
        SimtrainError: for a run that another process trains, a folder that cannot be written to, settings that do not
            suit catalogue or encoder, or weights that cannot be loaded.
    """
    resume = resume or broadcast_from_rank_zero(is_requeued(config))
    folder = on_rank_zero(lambda: check_run_folder(config, resume=resume))
    lock = FileLock(path=folder / LOCK_FILE)
    try:
        if resume:
            on_rank_zero(lambda: lock_run(lock, folder, console=console))
        return _session(config, ranks, lock=lock, resume=resume, console=console)
    except BaseException:
        lock.release()
        raise


def _session(config: RunConfig, ranks: Ranks, *, lock: FileLock, resume: bool, console: Console) -> RunSession:
    folder = lock.path.parent
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
    catalog = judged_catalog(catalog, config.relevances, folds=config.fold is not None)
    begins = not (resume and broadcast_from_rank_zero((folder / LAST).exists()))
    encoder = build_initial_encoder(config, folder, begins=begins, console=console)
    config = with_last_layer(config, encoder)
    agreed_embedding_precision(config, encoder)
    validation = build_validation(config, catalog)
    images = open_judged_images(catalog, smallest=max(encoder.training_image_size, encoder.preprocessing.image_size))
    texts = build_texts(config, catalog)
    data, groups = build_data(
        config, catalog, images=images.reader, encoder=encoder, validation=validation, texts=texts
    )
    inputs = TrainingInputs(
        groups=groups,
        duplicate_groups=torch.from_numpy(catalog.groups(["duplicate_group"])),
        reference=torch.zeros(1, 1),
        teacher=torch.zeros(1, 1),
        levels=build_levels(config, catalog),
        texts=texts,
        validation_texts=build_text_validation(config, catalog, validation),
    )
    _check_objective(config, catalog, encoder, inputs)
    precision = _training_precision(config, encoder, record, console=console)
    return RunSession(
        config=config,
        ranks=ranks,
        folder=folder,
        lock=lock,
        record={**record, "precision": precision},
        resumed=resume,
        begins=begins,
        catalog=catalog,
        images=images,
        encoder=encoder,
        precision=precision,
        validation=validation,
        inputs=inputs,
        data=data,
        console=console,
    )


def _training_precision(config: RunConfig, encoder: Encoder, record: dict[str, Any], *, console: Console) -> str:
    """The arithmetic of training; a resumed run goes on in the one that was chosen for it."""
    begun = record.get("precision")
    if begun is not None and config.trainer.precision == "auto" and record["device"] == str(run_device(config)):
        return str(begun)
    precision, told = agreed_training_precision(config, encoder)
    if told is not None:
        other, name = ("bf16-mixed", "bf16") if precision == "32-true" else ("32-true", "float32")
        console.line(f"{told}; for {name}: --set trainer.precision={other}")
    return precision


def _check_objective(config: RunConfig, catalog: Catalog, encoder: Encoder, inputs: TrainingInputs) -> None:
    """Build the objective on a copy of the encoder, to find early what it refuses; random numbers stay as they were."""
    with torch.random.fork_rng(devices=[]):
        build_module(config, encoder=copy.deepcopy(encoder), inputs=inputs, validation=None)
    on_rank_zero(lambda: check_teacher(config, catalog, encoder))

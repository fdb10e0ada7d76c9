"""Run folder: creation, checks before resuming, and the record in `run.json`."""

import os
import re
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simtrain.builders.devices import run_device
from simtrain.builders.relevance import qrels_hashes
from simtrain.builders.weights_file import WeightsFile
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig, differences, dump_yaml
from simtrain.console import Console
from simtrain.errors import CheckpointError, ConfigError, first_line, system_reason
from simtrain.failures import mendable
from simtrain.files import staging_folder
from simtrain.output_folders import why_not_writable
from simtrain.runs.initial_encoder import with_normalisation_of
from simtrain.runs.own_code_record import changed_code, code_of_run
from simtrain.runs.raised_epochs import RAISED, raised_epochs, raised_line, without_raised_epochs, write_raised
from simtrain.runs.run import (
    CONFIG_FILE,
    data_fingerprint,
    environment,
    find_run,
    open_run,
    write_run_record,
)
from simtrain.training.interruption import requeued_in_slurm
from simtrain.training.ranks import Ranks, rank

_FREE_TO_CHANGE = (
    "run:",
    "checkpoints:",
    "catalog:",
    "data.workers:",
    "data.micro_batch_size:",
    "evaluation.batch_size:",
    "trainer.accelerator:",
    "trainer.devices:",
    "trainer.strategy:",
    "trainer.rank_timeout:",
    "trainer.save_every_steps:",
    "trainer.activation_checkpointing:",
    "trainer.stop_on_collapse:",
    "tracking.",
)


class FinishedRunError(CheckpointError):
    """A run that was to be resumed has finished; it stays as it is, and that is no failure."""


def check_run_folder(config: RunConfig, *, resume: bool) -> Path:
    """The run's folder, which must exist to resume a run, and must not exist to start one; it can be written to.

    Raises:
        SimtrainError: if the folder is missing, exists already, or cannot be made or written to.
    """
    if config.run is None:
        raise ConfigError("run: missing; name the run with --set run=NAME")
    checkpoints = Path(config.checkpoints).expanduser()
    folder = checkpoints / config.run
    if resume:
        if find_run(config.run, checkpoints=checkpoints) is None:
            open_run(config.run, checkpoints=checkpoints)  # raises, with the runs that exist
        _check_writable(folder)
        return folder
    if folder.exists():
        raise CheckpointError(
            f"{folder}: this run exists; continue it with --resume {config.run}, or name another with --set run=NAME"
        )
    _check_writable(folder)
    return folder


def _check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to, before anything is embedded."""
    reason = why_not_writable(folder)
    if reason is not None:
        made = "cannot be made: " if reason.endswith("is a file") else ""
        raise CheckpointError(f"{folder}: {made}{reason}; set checkpoints=FOLDER")


def is_requeued(config: RunConfig) -> bool:
    """Whether SLURM has requeued this job: the command that started the run then resumes it."""
    if not requeued_in_slurm() or config.run is None:
        return False
    checkpoints = Path(config.checkpoints).expanduser()
    folder = find_run(config.run, checkpoints=checkpoints)
    if folder is None:
        return False
    record = open_run(str(folder), checkpoints=checkpoints).record
    return record.get("slurm_job") == os.environ.get("SLURM_JOB_ID")


def resumed_record(
    config: RunConfig, catalog: Catalog, folder: Path, ranks: Ranks, *, console: Console
) -> dict[str, Any]:
    """The record of a run to resume.

    Raises:
        CheckpointError: if its configuration or catalogue has changed.
        FinishedRunError: if it has finished.
    """
    run = open_run(str(folder), checkpoints=folder.parent)
    name = shlex.quote(run.argument)
    changed = [
        line
        for line in differences(with_normalisation_of(run.config, run.config), config)
        if not line.startswith(_FREE_TO_CHANGE)
    ]
    changed = without_raised_epochs(changed, run.config, config)
    if changed:
        shown = "; ".join(changed[:4]) + (f" (and {len(changed) - 4} more)" if len(changed) > 4 else "")
        raise CheckpointError(
            f"{folder}: the configuration has changed since the run began: {shown}; a run goes on as it began, but "
            "for more trainer.epochs; for other settings start a new one from its weights: "
            f"simtrain fit CONFIG.yaml --set init_from={name} --set run=NAME"
        )
    if run.record["data"]["sha256"] != data_fingerprint(catalog)["sha256"]:
        raise CheckpointError(f"{folder}: the catalogue {catalog.folder} has changed since the run began")
    for path, sha256 in qrels_hashes(config.relevances).items():
        if run.record.get("qrels", {}).get(path) != sha256:
            raise CheckpointError(f"{folder}: the judged pairs in {path} have changed since the run began")
    raised = raised_epochs(folder, run.config, config)
    if run.record["status"] == "finished" and raised is None:
        more = 2 * run.config.trainer.epochs
        raise FinishedRunError(
            f"{folder} has finished; there is nothing to resume. For more epochs: simtrain fit --resume {name} --set "
            f"trainer.epochs={more}, whose learning rate rises again to where a run of {more} epochs has it\n"
            f"or a new run from its best weights: simtrain fit CONFIG.yaml --set init_from={name} --set run=NAME"
        )
    if raised is not None:
        console.line(raised_line(raised, config))
    for line in changed_code(run.record):
        console.line(line)
    before = run.record.get("processes", 1)
    if before != ranks.size:
        console.line(
            f"resumed in {ranks.size} processes instead of {before}: batches and losses stay the same, "
            "random numbers of dropout do not"
        )
    resumed = [*run.record.get("resumed", []), _now()]
    record = {key: value for key, value in run.record.items() if key != "reason"}  # why it failed before
    longer = {RAISED: [*record.get(RAISED, []), raised]} if raised is not None else {}
    return {**record, **longer, "status": "running", "resumed": resumed, "processes": ranks.size}


def begun_record(config: RunConfig, catalog: Catalog, ranks: Ranks, *, weights: WeightsFile | None) -> dict[str, Any]:
    """The record of a new run, with the content of its weights file where it has one."""
    record = {
        "run": config.run,
        "status": "running",
        "started": _now(),
        **environment(),
        "data": {"catalog": str(catalog.folder.resolve()), **data_fingerprint(catalog)},
        "encoder_weights": weights.to_dict() if weights is not None else None,
        "device": str(run_device(config)),
        "processes": ranks.size,
        **({"qrels": hashes} if (hashes := qrels_hashes(config.relevances)) else {}),
    }
    job = os.environ.get("SLURM_JOB_ID")
    return {**record, "slurm_job": job} if job is not None else record


def ended_record(record: dict[str, Any], *, seconds: float, ended_by: signal.Signals | None) -> dict[str, Any]:
    """The record after `seconds` more of training."""
    return {
        **record,
        "status": "finished" if ended_by is None else "interrupted",
        "ended_by": None if ended_by is None else ended_by.name,
        "finished": _now(),
        "seconds": round(record.get("seconds", 0.0) + seconds, 1),
    }


@contextmanager
def failure_on_record(folder: Path, record: dict[str, Any], *, console: Console) -> Iterator[None]:
    """Write to a run's record why it failed; its own error is the one to raise, also where that cannot be written.

    Args:
        folder: Folder of the run.
        record: Content of its `run.json`.
        console: Told if the record cannot be written.
    """
    try:
        yield
    except Exception as error:
        found = mendable(error)
        reason = str(found) if found is not None else f"{type(error).__name__}: {first_line(error)}"
        if rank() == 0:
            try:
                write_run_record(folder, {**record, "status": "failed", "reason": reason})
            except CheckpointError as second:
                console.line(f"warning: {second}: it does not say that the run has failed")
        raise


def make_run_folder(
    folder: Path, config: RunConfig, record: dict[str, Any], *, add_files: Callable[[Path], None]
) -> None:
    """Create the run folder with configuration and record, complete from the moment that it exists.

    Args:
        folder: Folder to create; it must not exist.
        config: The run's configuration.
        record: The run's record; which code of the user's own it trained with is added.
        add_files: Writes the initial encoder and other files into the folder that it is given.
    """
    record.update(code_of_run(config))  # now that it was imported
    try:
        with staging_folder(folder) as staging:
            (staging / CONFIG_FILE).write_text(dump_yaml(config), encoding="utf-8")
            write_run_record(staging, record)
            add_files(staging)
            staging.rename(folder)
    except CheckpointError as error:  # of a file in the folder that was to become this one
        raise CheckpointError(re.sub(rf"\.{re.escape(folder.name)}\.\d+\.tmp", folder.name, str(error))) from None
    except OSError as error:
        if folder.exists():
            raise CheckpointError(
                f"{folder}: another simtrain fit has begun this run meanwhile; name another with --set run=NAME"
            ) from None
        raise CheckpointError(f"{folder}: cannot be made: {system_reason(error)}") from None


def write_resumed(folder: Path, record: dict[str, Any], config: RunConfig) -> None:
    """Write the record of a run that is resumed, and its number of epochs where it was given more.

    Raises:
        CheckpointError: if one cannot be written.
    """
    write_raised(folder, record, config.trainer.epochs)
    write_run_record(folder, record)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

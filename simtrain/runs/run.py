"""Runs opened by name or folder: configuration, record, catalogue, count of test readings."""

import importlib.metadata
import platform
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simtrain.catalog.changed_rows import given_rows
from simtrain.catalog.table import CATALOG_FILE, Catalog, read_catalog
from simtrain.config import RunConfig, apply_overrides, parse_run_config, read_yaml
from simtrain.console import Console
from simtrain.errors import CatalogError, CheckpointError, nearest
from simtrain.files import sha256_of_file, write_json
from simtrain.locks import written_by_one
from simtrain.mistaken import mistaken
from simtrain.runs.record import read_record, unfinished_warning
from simtrain.runs.run_lock import with_present_status
from simtrain.version import VERSION

CONFIG_FILE = "config.yaml"
DEFAULT_CHECKPOINTS = Path("checkpoints")
"""Where runs are looked for by name."""
RUN_FILE = "run.json"
TEST_READINGS = "test_readings"
"""In a run's record: how often the figures of its test split were read."""
_LIBRARIES = (
    "torch", "torchvision", "pytorch-lightning", "pytorch-metric-learning", "timm", "albumentations",
    "sentence-transformers", "transformers", "faiss-cpu", "numpy", "pillow",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BestEpoch:
    """The epoch whose weights a run's encoder has.

    Attributes:
        epoch: Number of the epoch, from 1; 0 is the untouched encoder.
        metric: The validation metric that chose it.
        value: Value of the metric, 0 to 1; None: the run had no validation.
        zero_shot: Value of the metric for the untouched encoder, 0 to 1; None: it was not measured.
        highest: Value of the metric in the epoch where it was highest; None: that is this epoch.
        highest_epoch: Number of that epoch; None: it is this one.
    """

    epoch: int
    metric: str
    value: float | None
    zero_shot: float | None
    highest: float | None = None
    highest_epoch: int | None = None

    def __str__(self) -> str:
        """The value on val and where it was highest, as a phrase; for a run with validation."""
        if self.highest is None:
            return f"best {self.metric} on val: {self.value:.3f} in epoch {self.epoch}"
        highest = f"the highest ({self.highest:.3f} in epoch {self.highest_epoch})"
        return f"{self.metric} on val: {self.value:.3f} in epoch {self.epoch}, which val cannot tell from {highest}"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of `simtrain fit`.

    Attributes:
        folder: Folder of the run.
        config: Configuration of the run, every default filled in.
        record: Content of `run.json`; its `status` is `killed` where that says `running` and no process trains it.
        own_catalog: The catalogue that it was trained on, as its configuration names it.
        own_fold: The fold that it was trained with; None: the catalogue's own splits.
    """

    folder: Path
    config: RunConfig
    record: dict[str, Any]
    own_catalog: str
    own_fold: int | None

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def best(self) -> BestEpoch | None:
        """The epoch whose weights the encoder has; None before the run has ended once."""
        best = self.record.get("best")
        if best is None:
            return None
        highest = best.get("highest")
        differs = highest is not None and highest["epoch"] != best["epoch"]
        return BestEpoch(
            epoch=int(best["epoch"]),
            metric=str(best["monitor"]),
            value=best["value"],
            zero_shot=best.get("zero_shot"),
            highest=highest["value"] if differs else None,
            highest_epoch=int(highest["epoch"]) if differs else None,
        )

    @property
    def ended_by(self) -> signal.Signals | None:
        """The signal that interrupted it; None: it is not interrupted."""
        name = self.record.get("ended_by") if self.record.get("status") == "interrupted" else None
        return signal.Signals[name] if name is not None else None

    def __str__(self) -> str:
        status = self.record.get("status")
        if status in ("interrupted", "killed"):
            return f"{status}; resume with: simtrain fit --resume {shlex.quote(self.argument)}"
        lines, best = [], self.best
        if best is not None and best.value is not None and best.zero_shot is not None:
            kept = "" if best.epoch else "  (no epoch was better than the untouched encoder, which is kept)"
            lines.append(f"{best}, zero-shot {best.zero_shot:.3f}{kept}")
        from simtrain.runs.interpolation_record import mix_is_outdated  # which needs torch

        verb = "interpolate" if mix_is_outdated(self.folder) else "evaluate"
        return "\n".join([*lines, f"run: {self.folder}", f"next: simtrain {verb} {shlex.quote(self.argument)}"])

    @property
    def argument(self) -> str:
        """What the run is called on a command line in the working folder."""
        return self.folder.name if self.folder.parent == DEFAULT_CHECKPOINTS else str(self.folder)


def open_run(name: str, *, checkpoints: Path, overrides: Sequence[str] = ()) -> Run:
    """Open a run by its name in `checkpoints`, or by its folder, with `key=value` overrides of its configuration.

    Raises:
        CheckpointError: if it is not there, with the nearest name that is, or its record is damaged.
        ConfigError: if its configuration is damaged, or an override does not go with it.
    """
    folder = find_run(name, checkpoints=checkpoints)
    if folder is None:
        names = sorted(path.parent.name for path in checkpoints.glob(f"*/{CONFIG_FILE}"))
        known = f"; runs there: {', '.join(names)}" if names else ""
        missing = f"{name}: no such run in {checkpoints}{nearest(name, names) or known}"
        raise CheckpointError(mistaken(name, expected="run") or missing)
    path = folder / CONFIG_FILE
    tree = _with_former_defaults(read_yaml(path))
    own = parse_run_config(tree, where=str(path))
    config = parse_run_config(apply_overrides(tree, overrides), where=str(path)) if overrides else own
    record = with_present_status(folder, read_record(folder / RUN_FILE))
    return Run(folder=folder, config=config, record=record, own_catalog=own.catalog, own_fold=own.fold)


def _with_former_defaults(tree: dict[str, Any]) -> dict[str, Any]:
    """A run's settings, where those that its version did not have yet are as it behaved."""
    augmentation = tree.get("augmentation")
    if not isinstance(augmentation, dict) or "engine" in augmentation:
        return tree
    return {**tree, "augmentation": {**augmentation, "engine": "albumentations"}}


def evaluation_file(split: str) -> str:
    """Name of the file of `simtrain evaluate`, one for each split; that of `test` has the plain name."""
    return "evaluation.json" if split == "test" else f"evaluation_{split}.json"


def find_run(name: str, *, checkpoints: Path) -> Path | None:
    """The folder of a run by its name in `checkpoints`, or by its folder; None if there is none."""
    for folder in (checkpoints / name, Path(name).expanduser()):
        if "\0" not in name and (folder / CONFIG_FILE).is_file():
            return folder
    return None


def read_run_catalog(run: Run) -> Catalog:
    """The catalogue to evaluate or export a run with.

    Raises:
        CheckpointError: if the run's own catalogue is no longer what it was trained on: what it calls `test` may have
            been trained on; or if another fold is asked for, whose queries may have been. Another catalogue, named with
            `--set catalog=`, is a choice and not checked.
    """
    try:
        catalog = configured_catalog(run.config)
    except CatalogError as error:
        if Path(run.config.catalog).expanduser().exists():
            raise
        raise CatalogError(f"{error}; if it has moved, name its folder with --set catalog=FOLDER") from None
    if is_own_catalog(catalog, run) and run.record["data"]["sha256"] != data_fingerprint(catalog)["sha256"]:
        raise CheckpointError(
            f"{run.folder}: the catalogue {catalog.folder} has changed since this run was trained, and its splits with "
            "it; prepare it as it was, or name another with --set catalog=FOLDER"
        )
    if is_own_catalog(catalog, run) and run.config.fold != run.own_fold:
        asked, own = (
            "the catalogue's own splits" if fold is None else f"fold {fold}" for fold in (run.config.fold, run.own_fold)
        )
        raise CheckpointError(
            f"{run.folder}: trained with {own}: its training images are among the queries of {asked}; leave the "
            "setting 'fold' out"
        )
    return catalog


def is_own_catalog(catalog: Catalog, run: Run) -> bool:
    """Whether a catalogue is the one that the run was trained on: its folder, under whatever name, or its content."""
    folder = catalog.folder.resolve()
    trained_on = Path(run.own_catalog).expanduser().resolve(), Path(run.record["data"]["catalog"]).resolve()
    return folder in trained_on or run.record["data"]["sha256"] == data_fingerprint(catalog)["sha256"]


def configured_catalog(config: RunConfig) -> Catalog:
    """The catalogue of a configuration, with its fold as the test split where it names one."""
    catalog = read_catalog(Path(config.catalog))
    return catalog if config.fold is None else catalog.with_fold(config.fold)


def data_fingerprint(catalog: Catalog) -> dict[str, Any]:
    """What data a run saw: the catalogue file's hash and its counts."""
    digest = sha256_of_file(catalog.folder / CATALOG_FILE)
    rows = given_rows(catalog)
    counts = rows["split"].value_counts()
    return {
        "sha256": digest,
        "images": len(rows),
        "splits": {str(k): int(v) for k, v in sorted(counts.items())},
    }


def report_unfinished(run: Run | None, console: Console) -> None:
    """Say of a run that is about to be used that it has not finished, or is the untouched encoder."""
    warning = None if run is None else unfinished_warning(run.record, name=shlex.quote(run.argument))
    if warning is not None:
        console.line(warning)


def count_test_reading(run: Run) -> int:
    """Count in a run's record that the figures of its test split are read, and say how often they have been.

    Raises:
        CheckpointError: if the record cannot be written.
    """
    path = run.folder / RUN_FILE
    with written_by_one(path, error=CheckpointError):
        record = read_record(path)  # as it is now
        count = int(record.get(TEST_READINGS, 0)) + 1
        write_json(path, {**record, TEST_READINGS: count}, error=CheckpointError)
    return count


def environment() -> dict[str, Any]:
    """Versions behind a run's figures."""
    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "simtrain": VERSION,
        "python": platform.python_version(),
        "libraries": versions,
        "git": _git_commit(),
    }


def write_run_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write a run's `run.json`, whole or not at all; test readings that were counted meanwhile stay counted.

    Args:
        folder: The run's folder.
        record: All of its content, as plain values.

    Raises:
        CheckpointError: if it cannot be written.
    """
    path = folder / RUN_FILE
    with written_by_one(path, error=CheckpointError):
        write_json(path, {**record, **_test_readings(path)}, error=CheckpointError)


def _test_readings(path: Path) -> dict[str, Any]:
    """The count of a record on disk; empty where there is none yet, or it cannot be read."""
    with suppress(CheckpointError):
        record = read_record(path)
        return {TEST_READINGS: record[TEST_READINGS]} if TEST_READINGS in record else {}
    return {}


def _git_commit() -> dict[str, Any] | None:
    """The commit of the folder that the command runs in, if it is a git checkout."""
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False)
        changes = subprocess.run(
            ["git", "status", "--porcelain"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"commit": commit.stdout.strip(), "dirty": bool(changes.stdout.strip())} if commit.returncode == 0 else None

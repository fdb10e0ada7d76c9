"""`simtrain runs`: the table of runs, two of them beside each other, and the deletion of one."""

import math
import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simtrain.config import differences
from simtrain.errors import CheckpointError, nearest, system_reason
from simtrain.files import remove_leftovers
from simtrain.locks import FileLock, LockHeldError
from simtrain.phrases import NOTHING, between, percent, signed_percent
from simtrain.runs.overview import Figure, RunOverview, overview, overviews
from simtrain.runs.run import CONFIG_FILE, RUN_FILE, Run
from simtrain.runs.run_lock import LOCK_FILE
from simtrain.runs.study import JOURNAL_FILE
from simtrain.tables import Alignment, text_table

_SHORT = 8
_UNIMPORTANT = ("run:", "checkpoints:")


@dataclass(frozen=True, kw_only=True)
class RunTable:
    """The runs of a folder.

    Attributes:
        checkpoints: The folder.
        runs: Its runs, those begun last at the end.
        sweeps: Folders of sweeps below it, whose trials are runs of their own.
    """

    checkpoints: Path
    runs: Sequence[RunOverview]
    sweeps: Sequence[Path] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "checkpoints": str(self.checkpoints),
            "runs": [run.to_dict() for run in self.runs],
            "sweeps": [str(sweep) for sweep in self.sweeps],
        }

    def __str__(self) -> str:
        sweeps = [
            f"{sweep.name}: a sweep; its trials: simtrain runs --checkpoints {shlex.quote(str(sweep))}"
            for sweep in self.sweeps
        ]
        if not self.runs and sweeps:
            return "\n".join(sweeps)
        if not self.runs:
            return f"no runs in {self.checkpoints}; one is made with: simtrain fit CONFIG.yaml"
        columns: list[tuple[str, Alignment]] = [
            ("run", "left"), ("state", "left"), ("encoder", "left"), ("objective", "left"), ("epochs", "right"),
            ("metric", "left"), ("zero-shot %", "right"), ("val %", "right"), ("test %", "right"), ("time", "right"),
            ("data", "left"), ("code", "left"),
        ]  # fmt: skip
        lines = [text_table(columns, [_row(run) for run in self.runs])]
        lines += [f"{run.name}: {run.state}: {run.reason}" for run in self.runs if run.reason]
        if any(figure.stale for run in self.runs for figure in (run.val, run.test) if figure is not None):
            lines.append("* of an earlier checkpoint or of other data: evaluate the run again")
        if any(run.test is not None for run in self.runs):
            lines.append("choose runs by val; test is for the last word on the one that was chosen")
        return "\n".join([*lines, *sweeps])


@dataclass(frozen=True, kw_only=True)
class RunDifference:
    """Two runs beside each other.

    Attributes:
        first: One.
        second: The other.
        settings: Settings that differ, `key: first -> second`.
    """

    first: RunOverview
    second: RunOverview
    settings: list[str]

    @property
    def same_data(self) -> bool:
        """Whether both saw the same catalogue, to the byte."""
        return self.first.data == self.second.data

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "first": self.first.to_dict(),
            "second": self.second.to_dict(),
            "settings": self.settings,
            "same_data": self.same_data,
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        first, second = self.first, self.second
        yield f"settings that differ ({first.name} -> {second.name}):" if self.settings else "no settings differ"
        yield from (f"  {line}" for line in self.settings)
        columns: list[tuple[str, Alignment]] = [
            ("", "left"), (first.name, "right"), (second.name, "right"), ("difference", "right"),
        ]  # fmt: skip
        yield text_table(columns, list(_compared(first, second)))
        if self.same_data:
            yield f"data: the same catalogue ({first.data[:_SHORT]})"
        else:
            yield (
                f"data: other catalogues ({_data(first)} and {_data(second)}): their figures are of other images and "
                "cannot be compared"
            )
        if first.metric != second.metric:
            yield f"metric: {first.metric} and {second.metric}: their figures cannot be compared"
        yield "whether a difference is more than chance: simtrain compare CATALOG --run " + " --run ".join(
            (first.name, second.name)
        )


def list_runs(checkpoints: Path) -> RunTable:
    """The runs of a folder, damaged ones too, and its sweeps."""
    sweeps = sorted(path.parent for path in checkpoints.glob(f"*/{JOURNAL_FILE}"))
    return RunTable(checkpoints=checkpoints, runs=overviews(checkpoints), sweeps=sweeps)


def compare_settings(first: Run, second: Run) -> RunDifference:
    """Settings, figures and data of two runs beside each other."""
    changed = [line for line in differences(first.config, second.config) if not line.startswith(_UNIMPORTANT)]
    return RunDifference(first=overview(first), second=overview(second), settings=changed)


@contextmanager
def run_to_delete(name: str, *, checkpoints: Path) -> Iterator["DeletableRun"]:
    """A run that nobody trains, held so that nobody begins to while the block runs.

    Args:
        name: Its name in the folder, and no path.
        checkpoints: Folder of the runs.

    Raises:
        CheckpointError: if there is no such run, it is a link, or a process trains it.
    """
    folder = _deletable_folder(name, checkpoints)
    lock = FileLock(path=folder / LOCK_FILE)
    try:
        lock.acquire(without=lambda _: None, tries=1)
    except LockHeldError as error:
        raise CheckpointError(f"{folder}: this run is being trained by {error}; end it first") from None
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be deleted: {system_reason(error)}") from None
    try:
        files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and path != lock.path]
        yield DeletableRun(folder=folder, files=len(files), size=sum(path.stat().st_size for path in files), lock=lock)
    finally:
        lock.release()


@dataclass(frozen=True, kw_only=True)
class DeletableRun:
    """A run that `run_to_delete` holds.

    Attributes:
        folder: Its folder.
        files: Number of its files.
        size: Their size in bytes.
        lock: Of the folder, held.
    """

    folder: Path
    files: int
    size: int
    lock: FileLock

    def delete(self) -> None:
        """Delete the whole folder: it is renamed in one step, so that no half of a run is ever seen, and then removed.

        Raises:
            CheckpointError: if it cannot be.
        """
        aside = self.folder.with_name(f".{self.folder.name}.{os.getpid()}.tmp")
        try:
            remove_leftovers(self.folder)
            self.folder.rename(aside)
            self.lock.moved_to(aside / LOCK_FILE)
            shutil.rmtree(aside)
        except OSError as error:
            raise CheckpointError(f"{self.folder}: cannot be deleted: {system_reason(error)}") from None

    def __str__(self) -> str:
        return f"{self.folder}: {self.files} files, {self.size / 1e6:.1f} MB"


def _deletable_folder(name: str, checkpoints: Path) -> Path:
    folder = checkpoints / name
    if not name or Path(name).name != name or "\0" in name:
        raise CheckpointError(f"{name}: give the name of a run in {checkpoints}, no path; see them: simtrain runs")
    if folder.is_symlink():
        raise CheckpointError(f"{folder}: is a link to another folder; remove the link yourself if you mean it")
    if (folder / JOURNAL_FILE).is_file():
        raise CheckpointError(
            f"{name}: a sweep, not a run; delete its trials with: simtrain runs delete TRIAL --checkpoints "
            f"{shlex.quote(str(folder))}, or all of it with: rm -r {shlex.quote(str(folder))}"
        )
    if not ((folder / CONFIG_FILE).is_file() and (folder / RUN_FILE).is_file()):
        names = sorted(path.parent.name for path in checkpoints.glob(f"*/{CONFIG_FILE}"))
        raise CheckpointError(f"{name}: no such run in {checkpoints}{nearest(name, names)}")
    return folder


def _row(run: RunOverview) -> list[str]:
    done, wanted = run.epochs
    damaged = run.state == "damaged"
    return [
        run.name,
        run.state,
        run.encoder,
        run.objective,
        "" if damaged else f"{done}/{wanted}",
        "" if damaged else run.metric,
        percent(run.zero_shot),
        _figure(run.val),
        _figure(run.test),
        "" if damaged else time_words(run.seconds),
        run.data[:_SHORT],
        " ".join(part for part in (run.version, run.git) if part),
    ]


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return NOTHING
    known = figure.low is not None and figure.high is not None
    interval = f" ({between(figure.low or 0.0, figure.high or 0.0)})" if known else ""
    return f"{percent(figure.mean)}{interval}{'*' if figure.stale else ''}"


def _compared(first: RunOverview, second: RunOverview) -> Iterator[list[str]]:
    name = first.metric if first.metric == second.metric else "figure"
    comparable = first.metric == second.metric and first.data == second.data
    pairs: list[tuple[str, float | None, float | None, str, str]] = [
        ("zero-shot", first.zero_shot, second.zero_shot, percent(first.zero_shot), percent(second.zero_shot)),
        ("val", _value(first.val), _value(second.val), _figure(first.val), _figure(second.val)),
        ("test", _value(first.test), _value(second.test), _figure(first.test), _figure(second.test)),
    ]
    for split, one, other, shown, shown_other in pairs:
        known = comparable and one is not None and other is not None
        yield [f"{name} {split} %", shown, shown_other, signed_percent((other or 0.0) - (one or 0.0)) if known else ""]
    yield ["best epoch", *(str(NOTHING if run.best_epoch is None else run.best_epoch) for run in (first, second)), ""]
    yield ["epochs", *(f"{run.epochs[0]}/{run.epochs[1]}" for run in (first, second)), ""]
    yield ["time", time_words(first.seconds), time_words(second.seconds), ""]
    yield ["state", first.state, second.state, ""]
    yield ["code", *(" ".join(filter(None, (run.version, run.git))) for run in (first, second)), ""]


def _value(figure: Figure | None) -> float | None:
    return None if figure is None else figure.mean


def _data(run: RunOverview) -> str:
    return f"{run.data[:_SHORT]}{'' if run.images is None else f', {run.images} images'}"


def time_words(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 05 min`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = math.floor(seconds / 60 + 0.5)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"

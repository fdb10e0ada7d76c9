"""Overview of the runs in a folder: state, encoder, objective, epochs, figures of val and test, data, version."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simtrain.config import RunConfig
from simtrain.config.metrics import METRIC_WORDS
from simtrain.errors import SimtrainError, first_line
from simtrain.runs.run import CONFIG_FILE, Run, evaluation_file, open_run
from simtrain.training.file_names import BEST, METRICS_FILE

_USUAL_METRIC = "map_at_r"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A metric of a run on a split.

    Attributes:
        mean: Its mean, 0 to 1.
        low: Lower end of its interval; None: there is none, or the run was not evaluated on this split.
        high: Upper end, likewise.
        stale: Whether it is of an earlier checkpoint, or of other data, than the run's own.
    """

    mean: float
    low: float | None
    high: float | None
    stale: bool


@dataclass(frozen=True, kw_only=True)
class RunOverview:
    """A run beside others.

    Attributes:
        name: Name of its folder.
        state: `finished`, `interrupted`, `failed`, `killed`, `running` or `damaged`.
        reason: Why it failed or is damaged; None: neither.
        encoder: Kind and model, and the image size where it is set.
        objective: Kind, and what is positive where that is set.
        epochs: Epochs that were trained, and those of its configuration.
        best_epoch: Epoch whose weights it has; 0 is the untouched encoder; None: none yet.
        metric: Metric of the figures.
        zero_shot: That metric on val before training, 0 to 1; None: not measured.
        val: On val, of the best epoch; None: no validation.
        test: On test, as `simtrain evaluate` wrote it; None: not evaluated.
        test_readings: How often the figures of test were read.
        seconds: Time of training.
        started: When it began, in UTC.
        data: SHA-256 of the catalogue's table.
        images: Number of images of the catalogue.
        version: Version of simtrain.
        git: Commit of the folder that it was started in, `+` behind it where files had changed; None: no checkout.
    """

    name: str
    state: str
    reason: str | None
    encoder: str
    objective: str
    epochs: tuple[int, int]
    best_epoch: int | None
    metric: str
    zero_shot: float | None
    val: Figure | None
    test: Figure | None
    test_readings: int
    seconds: float
    started: str
    data: str
    images: int | None
    version: str
    git: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "epochs": {"done": self.epochs[0], "wanted": self.epochs[1]}}


def overviews(checkpoints: Path) -> list[RunOverview]:
    """Every run in a folder, those begun last at the end; one whose files are damaged says so."""
    names = [path.parent.name for path in sorted(checkpoints.glob(f"*/{CONFIG_FILE}"))]
    found = [_overview_or_damage(name, checkpoints) for name in names if not name.startswith(".")]
    return sorted(found, key=lambda one: one.started)


def overview(run: Run) -> RunOverview:
    """What a run's folder says of it."""
    record, config, best = run.record, run.config, run.best
    metric = config.evaluation.monitor if config.evaluation.monitor in METRIC_WORDS else _USUAL_METRIC
    epochs = _epochs(run.folder)
    return RunOverview(
        name=run.folder.name,
        state=str(record["status"]),
        reason=record.get("reason"),
        encoder=_encoder(config),
        objective=_objective(config),
        epochs=(max((int(row["epoch"]) for row in epochs), default=0), config.trainer.epochs),
        best_epoch=None if best is None else best.epoch,
        metric=metric,
        zero_shot=_mean((record.get("zero_shot") or {}).get("metrics", {}).get(metric)),
        val=_evaluated(run, "val", metric) or _of_epoch(epochs, None if best is None else best.epoch, metric),
        test=_evaluated(run, "test", metric),
        test_readings=int(record.get("test_readings", 0)),
        seconds=float(record.get("seconds", 0.0)),
        started=str(record.get("started", "")),
        data=str(record["data"]["sha256"]),
        images=record["data"].get("images"),
        version=str(record.get("simtrain", "")),
        git=_git(record.get("git")),
    )


def _overview_or_damage(name: str, checkpoints: Path) -> RunOverview:
    try:
        return overview(open_run(str(checkpoints / name), checkpoints=checkpoints))
    except (SimtrainError, KeyError, TypeError, ValueError) as error:
        return RunOverview(
            name=name, state="damaged", reason=first_line(error), encoder="", objective="", epochs=(0, 0),
            best_epoch=None, metric=_USUAL_METRIC, zero_shot=None, val=None, test=None, test_readings=0, seconds=0.0,
            started="", data="", images=None, version="", git=None,
        )  # fmt: skip


def _encoder(config: RunConfig) -> str:
    encoder = config.encoder
    network = getattr(encoder, "image", encoder)
    what = getattr(network, "model", None) or getattr(network, "target", None)
    size = getattr(network, "image_size", None)
    return " ".join([encoder.kind, *([str(what)] if what else []), *([f"{size} px"] if size else [])])


def _objective(config: RunConfig) -> str:
    objective = config.objective
    loss = getattr(objective, "loss", None)
    parts = [getattr(loss, "name", None), getattr(objective, "positive", None), getattr(objective, "target", None)]
    added = [f"+ {name}" for name in ("distill", "texts") if getattr(objective, name, None) is not None]
    return " ".join([objective.kind, *(str(part) for part in parts if part is not None), *added])


def _epochs(folder: Path) -> list[dict[str, str]]:
    """The rows of the run's table of epochs; none where it cannot be read."""
    try:
        rows = list(csv.DictReader(io.StringIO((folder / METRICS_FILE).read_text(encoding="utf-8"))))
        return [row for row in rows if row["epoch"].isdecimal()]
    except (OSError, ValueError, KeyError, AttributeError, csv.Error):
        return []


def _of_epoch(epochs: list[dict[str, str]], best: int | None, metric: str) -> Figure | None:
    for row in epochs:
        value = row.get(f"val_{metric}")
        if best is not None and int(row["epoch"]) == best and value:
            return Figure(mean=float(value), low=None, high=None, stale=False)
    return None


def _evaluated(run: Run, split: str, metric: str) -> Figure | None:
    """The figure that `simtrain evaluate` wrote to the run's folder; None: it did not, or it cannot be read."""
    path = run.folder / evaluation_file(split)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        interval = content["metrics"][metric]
        other = content["data"]["sha256"] != run.record["data"]["sha256"]
        earlier = (run.folder / BEST).stat().st_mtime_ns > path.stat().st_mtime_ns
        return Figure(
            mean=float(interval["mean"]), low=interval["low"], high=interval["high"], stale=bool(other or earlier)
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _mean(interval: object) -> float | None:
    mean = interval.get("mean") if isinstance(interval, Mapping) else None
    return float(mean) if isinstance(mean, int | float) else None


def _git(commit: object) -> str | None:
    if not isinstance(commit, Mapping) or not commit.get("commit"):
        return None
    return f"{str(commit['commit'])[:8]}{'+' if commit.get('dirty') else ''}"

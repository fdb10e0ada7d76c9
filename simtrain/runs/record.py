"""The record of a run, `run.json`: read and checked, and what it says of how the run ended."""

import signal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from simtrain.errors import CheckpointError
from simtrain.files import read_json


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _Data(_Part):
    sha256: str
    catalog: str

    @field_validator("catalog")
    @classmethod
    def _is_a_path(cls, path: str) -> str:
        if "\0" in path:
            raise ValueError("is no path: it holds a null character")
        return path


class _Highest(_Part):
    epoch: int
    value: float | None


class _Best(_Part):
    epoch: int
    monitor: str
    value: float | None
    zero_shot: float | None = None
    highest: _Highest | None = None


class _Record(_Part):
    """What other commands rely on; `run.json` holds more."""

    status: str
    data: _Data
    best: _Best | None = None
    ended_by: str | None = None
    reason: str = ""
    resumed: list[str] = []
    seconds: float = 0.0
    processes: int = 1
    test_readings: int = 0
    zero_shot: dict[str, Any] | None = None

    @field_validator("ended_by")
    @classmethod
    def _is_a_signal(cls, name: str | None) -> str | None:
        if name is not None and name not in signal.Signals.__members__:
            raise ValueError("is no signal")
        return name


def read_record(path: Path) -> dict[str, Any]:
    """A run's `run.json`.

    Raises:
        CheckpointError: if it cannot be read, or lacks something or holds something else than `fit` writes.
    """
    record = read_json(path, error=CheckpointError)
    try:
        _Record.model_validate(record)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        problem = f"{first['msg'][0].lower()}{first['msg'][1:]}"
        raise CheckpointError(f"{path}: damaged: {key}: {problem}") from None
    return record


def unfinished_warning(record: dict[str, Any], *, name: str) -> str | None:
    """Warning that a run has not finished, or that its encoder is the untouched one; None: neither.

    Args:
        record: The run's record.
        name: The run's name or folder, for the message.
    """
    status, best = record["status"], record.get("best")
    kept = "" if best is None else f"; its best weights so far, of epoch {best['epoch']}, are used"
    match status:
        case "interrupted":
            return f"warning: {name} was interrupted{kept}; resume with: simtrain fit --resume {name}"
        case "failed":
            return f"warning: {name} failed: {record.get('reason', '')}{kept}"
        case "killed":
            return f"warning: {name} was killed{kept}; resume with: simtrain fit --resume {name}"
        case "running":
            return f"warning: {name} has not ended: it trains, or was killed{kept}"
    if best is not None and best["epoch"] == 0:
        return f"warning: {name}: no epoch was better than the untouched encoder, which is what is used"
    return None

"""The record of a run: damaged ones are named, and what is said of runs that have not finished."""

import json
from pathlib import Path
from typing import Any

import pytest

from simtrain.errors import CheckpointError
from simtrain.runs.record import read_record, unfinished_warning

WHOLE: dict[str, Any] = {
    "status": "finished",
    "data": {"catalog": "/shop", "sha256": "ab"},
    "best": {"epoch": 2, "monitor": "map_at_r", "value": 0.5, "zero_shot": 0.4},
}


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "run.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_whole_record_is_read_with_all_of_it(tmp_path: Path) -> None:
    assert read_record(written(tmp_path, {**WHOLE, "more": 1})) == {**WHOLE, "more": 1}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "not JSON, or damaged: "),
        ("[]", "damaged: holds list where an object should be"),
        ({}, "damaged: status: field required"),
        ({**WHOLE, "data": None}, "damaged: data: input should be"),
        ({**WHOLE, "data": {"catalog": "/shop"}}, "damaged: data.sha256: field required"),
        ({**WHOLE, "data": {"catalog": "a\0b", "sha256": "ab"}}, "damaged: data.catalog: value error, is no path"),
        ({**WHOLE, "best": {"epoch": "x", "monitor": "m", "value": 0.5}}, "damaged: best.epoch: input should be"),
        ({**WHOLE, "ended_by": "SIGNOTHING"}, "damaged: ended_by: value error, is no signal"),
        ({**WHOLE, "test_readings": "often"}, "damaged: test_readings: input should be"),
        ({**WHOLE, "zero_shot": 7}, "damaged: zero_shot: input should be"),
    ],
)
def test_damaged_record_is_named(tmp_path: Path, content: object, told: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(CheckpointError) as caught:
        read_record(path)
    assert str(caught.value).startswith(f"{path}: {told}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        (
            {"status": "interrupted"},
            "warning: a was interrupted; its best weights so far, of epoch 2, are used; resume with: simtrain fit "
            "--resume a",
        ),
        ({"status": "failed", "reason": "loss is nan", "best": None}, "warning: a failed: loss is nan"),
        (
            {"status": "killed", "best": None},
            "warning: a was killed; resume with: simtrain fit --resume a",
        ),
        ({"status": "running", "best": None}, "warning: a has not ended: it trains, or was killed"),
        (
            {"best": {"epoch": 0, "monitor": "m", "value": 0.4}},
            "warning: a: no epoch was better than the untouched encoder, which is what is used",
        ),
    ],
)
def test_what_is_said_of_a_run(change: dict[str, Any], words: str | None) -> None:
    assert unfinished_warning({**WHOLE, **change}, name="a") == words

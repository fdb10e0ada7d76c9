"""The table of runs, two of them beside each other, and the deletion of one."""

import json
import os
from pathlib import Path

import pytest
from small_checkpoints import made_run

from simtrain.commands.runs import compare_settings, list_runs, run_to_delete, time_words
from simtrain.errors import CheckpointError
from simtrain.locks import FileLock
from simtrain.runs.run import open_run

SHA = "fe9e209ee82ad7d0aa9340dccb6ab438599b5258682768ed9309c30a8bc2fb80"


def test_the_table_of_runs(tmp_path: Path) -> None:
    folder = made_run(tmp_path, "one", seconds=1000, git={"commit": "0123456789", "dirty": False})
    evaluation = {"metrics": {"map_at_r": {"mean": 0.5, "low": 0.41, "high": 0.6}}, "data": {"sha256": SHA}}
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    stamp = (folder / "best.ckpt").stat().st_mtime_ns + 10**9
    os.utime(folder / "evaluation.json", ns=(stamp, stamp))
    words = str(list_runs(tmp_path)).split()
    for word in ("one", "finished", "2/2", "map_at_r", "66.7", "50.0", "(41.0", "60.0)", "fe9e209e", "01234567"):
        assert word in words
    assert "17 min" in str(list_runs(tmp_path))
    assert str(list_runs(tmp_path)).endswith("choose runs by val; test is for the last word on the one that was chosen")


def test_no_runs_say_how_one_is_made(tmp_path: Path) -> None:
    assert str(list_runs(tmp_path)) == f"no runs in {tmp_path}; one is made with: simtrain fit CONFIG.yaml"


def test_sweeps_are_named_with_the_way_to_their_trials(tmp_path: Path) -> None:
    (tmp_path / "my sweep").mkdir()
    (tmp_path / "my sweep" / "study.journal").write_text("")
    line = f"my sweep: a sweep; its trials: simtrain runs --checkpoints '{tmp_path / 'my sweep'}'"
    assert str(list_runs(tmp_path)) == line
    assert list_runs(tmp_path).to_dict()["sweeps"] == [str(tmp_path / "my sweep")]
    made_run(tmp_path, "one")
    assert str(list_runs(tmp_path)).splitlines()[-1] == line
    made_run(tmp_path / "my sweep", "trial-0")
    assert [run.name for run in list_runs(tmp_path / "my sweep").runs] == ["trial-0"]


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    made_run(tmp_path, "one", status="failed", reason="the loss is not finite")
    assert "one: failed: the loss is not finite" in str(list_runs(tmp_path)).splitlines()


def test_the_table_as_plain_values(tmp_path: Path) -> None:
    made_run(tmp_path, "one")
    content = list_runs(tmp_path).to_dict()
    assert content["checkpoints"] == str(tmp_path)
    (one,) = content["runs"]
    assert (one["name"], one["epochs"], one["data"]) == ("one", {"done": 2, "wanted": 2}, SHA)
    assert one["val"] == {"mean": 0.666667, "low": None, "high": None, "stale": False}


def pair(tmp_path: Path, **second: object) -> tuple[Path, Path]:
    return made_run(tmp_path, "one"), made_run(tmp_path, "two", **second)


def opened_difference(tmp_path: Path) -> str:
    runs = [open_run(name, checkpoints=tmp_path) for name in ("one", "two")]
    return str(compare_settings(*runs))


def test_settings_that_differ(tmp_path: Path) -> None:
    _, two = pair(tmp_path)
    config = two / "config.yaml"
    config.write_text(config.read_text().replace("seed: 0", "seed: 3").replace("run: finished", "run: two"))
    lines = opened_difference(tmp_path).splitlines()
    assert lines[:2] == ["settings that differ (one -> two):", "  seed: 0 -> 3"]
    assert "data: the same catalogue (fe9e209e)" in lines
    assert lines[-1] == "whether a difference is more than chance: simtrain compare CATALOG --run one --run two"


def test_the_same_settings(tmp_path: Path) -> None:
    pair(tmp_path)
    assert opened_difference(tmp_path).splitlines()[0] == "no settings differ"


def test_other_data_is_told_and_no_difference_shown(tmp_path: Path) -> None:
    pair(tmp_path, data={"sha256": "ab" * 32, "catalog": "x", "images": 9})
    shown = opened_difference(tmp_path)
    assert (
        "data: other catalogues (fe9e209e, 48 images and abababab, 9 images): their figures are of other images and "
        "cannot be compared"
    ) in shown.splitlines()
    val = next(line for line in shown.splitlines() if " val %" in line)
    assert val.split() == ["map_at_r", "val", "%", "66.7", "66.7"]


def test_a_difference_of_figures_on_the_same_data(tmp_path: Path) -> None:
    _, two = pair(tmp_path)
    best = {"epoch": 1, "monitor": "map_at_r", "value": 0.458333}
    record = json.loads((two / "run.json").read_text())
    (two / "run.json").write_text(json.dumps({**record, "best": best}))
    val = next(line for line in opened_difference(tmp_path).splitlines() if " val %" in line)
    assert val.split() == ["map_at_r", "val", "%", "66.7", "45.8", "-20.8"]


def test_deletion_takes_the_whole_folder_and_nothing_else(tmp_path: Path) -> None:
    one, two = pair(tmp_path)
    with run_to_delete("one", checkpoints=tmp_path) as run:
        files = [path for path in one.rglob("*") if path.is_file() and path.name != ".lock"]
        assert str(run) == f"{one}: {len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB"
        run.delete()
    assert [path.name for path in tmp_path.iterdir()] == ["two"]
    assert (two / "best.ckpt").is_file()


def test_a_run_that_is_looked_at_and_not_deleted_stays_as_it_was(tmp_path: Path) -> None:
    folder = made_run(tmp_path, "one")
    before = sorted(path.name for path in folder.iterdir())
    with run_to_delete("one", checkpoints=tmp_path):
        pass
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_run_that_is_trained_is_not_deleted(tmp_path: Path) -> None:
    folder = made_run(tmp_path, "one")
    lock = FileLock(path=folder / ".lock")
    lock.acquire(without=lambda _: None)
    try:
        with pytest.raises(CheckpointError) as caught, run_to_delete("one", checkpoints=tmp_path):
            pass
    finally:
        lock.release()
    assert str(caught.value).startswith(f"{folder}: this run is being trained by process {os.getpid()} on ")
    assert str(caught.value).endswith("; end it first")
    assert (folder / "best.ckpt").is_file()


@pytest.mark.parametrize("name", ["../one", "one/", "/etc", "..", ".", "", "a/../one"])
def test_a_path_is_no_name_of_a_run(tmp_path: Path, name: str) -> None:
    made_run(tmp_path, "one")
    with pytest.raises(CheckpointError) as caught, run_to_delete(name, checkpoints=tmp_path / "runs"):
        pass
    told = str(caught.value)
    assert "no path; see them: simtrain runs" in told or "no such run" in told
    assert (tmp_path / "one" / "best.ckpt").is_file()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "elsewhere", "one")
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / "one").symlink_to(folder)
    with pytest.raises(CheckpointError) as caught, run_to_delete("one", checkpoints=checkpoints):
        pass
    assert str(caught.value) == (
        f"{checkpoints / 'one'}: is a link to another folder; remove the link yourself if you mean it"
    )


def test_a_folder_that_is_no_run_is_not_deleted(tmp_path: Path) -> None:
    made_run(tmp_path, "one")
    (tmp_path / "on").mkdir()
    with pytest.raises(CheckpointError) as caught, run_to_delete("on", checkpoints=tmp_path):
        pass
    assert str(caught.value) == f"on: no such run in {tmp_path}; did you mean 'one'?"
    assert (tmp_path / "on").is_dir()


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.3, "0 s"), (119, "119 s"), (150, "3 min"), (7199, "2 h 00 min"), (11100, "3 h 05 min")]
)
def test_time_in_words(seconds: float, expected: str) -> None:
    assert time_words(seconds) == expected

"""`simtrain runs` on the command line."""

import json
from pathlib import Path

from small_checkpoints import made_run
from small_commands import Command


def test_runs_are_shown(simtrain: Command, tmp_path: Path):
    made_run(tmp_path / "checkpoints", "one")
    status, shown, _ = simtrain("runs")
    assert status == 0
    assert "finished" in shown.split()


def test_runs_as_json(simtrain: Command, tmp_path: Path):
    made_run(tmp_path / "elsewhere", "one")
    status, shown, _ = simtrain("runs", "--checkpoints", "elsewhere", "--json")
    assert status == 0
    assert [run["name"] for run in json.loads(shown)["runs"]] == ["one"]


def test_two_runs_beside_each_other(simtrain: Command, tmp_path: Path):
    made_run(tmp_path / "checkpoints", "one")
    made_run(tmp_path / "checkpoints", "two")
    status, shown, _ = simtrain("runs", "diff", "one", "two")
    assert (status, shown.splitlines()[0]) == (0, "no settings differ")
    assert json.loads(simtrain("runs", "diff", "one", "two", "--json")[1])["same_data"] is True


def test_a_run_that_is_not_there_names_the_nearest(simtrain: Command, tmp_path: Path):
    made_run(tmp_path / "checkpoints", "first")
    status, _, told = simtrain("runs", "diff", "first", "frist")
    assert (status, told) == (2, "error: frist: no such run in checkpoints; did you mean 'first'?\n")


def test_a_run_is_not_deleted_unasked(simtrain: Command, tmp_path: Path):
    folder = made_run(tmp_path / "checkpoints", "one")
    status, _, told = simtrain("runs", "delete", "one")
    assert status == 2
    assert told == "error: checkpoints/one: not deleted: nobody can be asked here; add --yes\n"
    assert (folder / "best.ckpt").is_file()


def test_a_run_is_deleted(simtrain: Command, tmp_path: Path):
    folder = made_run(tmp_path / "checkpoints", "one")
    status, shown, _ = simtrain("runs", "delete", "one", "--yes")
    assert (status, shown.splitlines()[-1]) == (0, "deleted: checkpoints/one")
    assert not folder.exists()

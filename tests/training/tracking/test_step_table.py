"""The table of steps: gaps, kills and resumptions."""

from pathlib import Path

import pytest

from simtrain.errors import CheckpointError
from simtrain.training.tracking.step_table import STEPS_FILE, StepTable


def test_a_line_that_a_kill_cut_short_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / STEPS_FILE
    path.write_text("step,loss\n1,0.5\n2,0.4\n3,0.")
    table = StepTable(path)
    table.resume_from(3)
    table.append({"step": 3, "loss": 0.25})
    assert path.read_text() == "step,loss\n1,0.5\n2,0.4\n3,0.25\n"


def test_a_figure_that_comes_later_gets_its_column(tmp_path: Path) -> None:
    table = StepTable(tmp_path / STEPS_FILE)
    table.append({"step": 1, "loss": 0.5})
    table.append({"step": 2, "loss": 0.4, "loss_label": 0.1})
    table.append({"step": 3, "loss": 0.3})
    assert (tmp_path / STEPS_FILE).read_text() == "step,loss,loss_label\n1,0.5,\n2,0.4,0.1\n3,0.3,\n"


def test_a_run_that_begins_keeps_no_row_of_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / STEPS_FILE
    path.write_text("step,loss\n1,0.5\n")
    StepTable(path).resume_from(0)
    assert not path.exists()


@pytest.mark.parametrize("content", ["<html>\nx\n", "step,loss\n1\n", "step,loss\n1,2,3\n", f"step\n{'9' * 5000}\n"])
def test_a_damaged_table_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "steps.csv").write_text(content)
    with pytest.raises(
        CheckpointError, match=r"steps\.csv: damaged: ValueError: line 2 is no row with a number in the column"
    ):
        StepTable(tmp_path / "steps.csv").resume_from(4)

"""Work of the first process, for which the others wait."""

import pytest
import rank_workflows

from simtrain.console import SILENT
from simtrain.errors import SimtrainError
from simtrain.launch.processes import run_on_each
from simtrain.training.rank_zero import on_rank_zero


@pytest.mark.slow
@pytest.mark.usefixtures("preloaded_processes")
@pytest.mark.parametrize("processes", [2, 4])
def test_the_others_wait_for_work_that_outlasts_the_timeout(processes: int) -> None:
    found = run_on_each(processes, rank_workflows.impatient, "patient_work", 5.0, console=SILENT)
    assert found == [["done", "done"]] * processes


def test_alone_an_error_is_raised_as_it_is() -> None:
    def refuse() -> None:
        raise SimtrainError("no")

    with pytest.raises(SimtrainError, match=r"^no$"):
        on_rank_zero(refuse)

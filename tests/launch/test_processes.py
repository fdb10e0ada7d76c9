"""Processes launched on this machine."""

import pytest
import rank_workflows

from simtrain.console import SILENT
from simtrain.errors import SimtrainError
from simtrain.launch.processes import run_on_each

pytestmark = pytest.mark.slow


def test_an_error_of_one_process_is_raised_and_ends_the_others() -> None:
    with pytest.raises(SimtrainError, match=r"^the second one leaves$"):
        run_on_each(2, rank_workflows.joined, "lost_in_a_gather", console=SILENT)

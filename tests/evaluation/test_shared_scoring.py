"""Processes that share the queries of a task have the scores of one."""

import numpy as np
import pytest
import rank_workflows

from simtrain.console import SILENT
from simtrain.launch.processes import run_on_each


@pytest.mark.slow
@pytest.mark.usefixtures("preloaded_processes")
@pytest.mark.parametrize("processes", [2, 3])
def test_every_process_has_the_scores_of_the_whole(processes: int) -> None:
    pairs = run_on_each(processes, rank_workflows.joined, "shared_scores", console=SILENT)
    shared, whole = pairs[::2], pairs[1::2]
    assert len(shared) == processes
    for found, expected in zip(shared, whole, strict=True):
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_one_process_scores_alone() -> None:
    alone, expected = rank_workflows.shared_scores()
    assert alone["rows"].tolist() == list(range(30))
    assert alone["lone"] == expected["lone"] == 10

"""What the processes of a run tell each other: two and four real ones."""

import pytest
import rank_workflows
import torch

from simtrain.console import SILENT
from simtrain.errors import SimtrainError
from simtrain.launch.processes import run_on_each
from simtrain.training.ranks import Ranks, launch_message, launched_ranks

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("preloaded_processes")]
WEIGHTS = [[0.1675, 0.2676, 0.3678, 0.4679, 0.5680], [0.5763, 0.6742, 0.7721, 0.8700, 0.9679]]


def test_processes_tell_each_other() -> None:
    found = run_on_each(2, rank_workflows.joined, "conversation", console=SILENT)
    assert found == {
        "gather": [[0.0], [1.0], [10.0], [11.0]],
        "sum_over_ranks": [[1.0, 1.0], [2.0, 2.0], [1.0, 1.0]],
        "any_no": False,
        "any_last": True,
        "broadcast_from_rank_zero": "process 0",
        "gather_objects": [0, 1],
        "on_rank_zero": "done by 0",
    }


def test_alone_everything_is_a_matter_of_course() -> None:
    assert rank_workflows.conversation() == {
        "gather": [[0.0], [1.0]],
        "sum_over_ranks": [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]],
        "any_no": False,
        "any_last": True,
        "broadcast_from_rank_zero": "process 0",
        "gather_objects": [0],
        "on_rank_zero": "done by 0",
    }


def test_each_process_has_the_whole_gradient_of_its_own_rows() -> None:
    """d/dx of (1 + 2 + 3 + 4) · 1 · 2 · 2 · 2 is 80 / x; doubled, because data-parallel training halves it."""
    found = run_on_each(2, rank_workflows.joined, "own_row_gradients", console=SILENT)
    assert found == [[2 * 80 / 1, 2 * 80 / 2], [2 * 80 / 2, 2 * 80 / 2]]


@pytest.mark.parametrize("processes", [2, 4])
def test_a_linear_map_learns_what_the_whole_batch_teaches(processes: int) -> None:
    found = run_on_each(processes, rank_workflows.joined, "trained_linear", 8 // processes, console=SILENT)
    torch.testing.assert_close(torch.tensor(found), torch.tensor(WEIGHTS), rtol=1e-3, atol=0)


def test_a_gather_without_gradient_learns_something_else() -> None:
    found = torch.tensor(run_on_each(2, rank_workflows.joined, "trained_linear", 4, False, console=SILENT))
    assert not torch.allclose(found, torch.tensor(WEIGHTS), rtol=1e-3, atol=0)


def test_one_process_learns_the_same() -> None:
    found = torch.tensor(rank_workflows.trained_linear(8))
    torch.testing.assert_close(found, torch.tensor(WEIGHTS), rtol=1e-3, atol=0)


def test_ranks_are_read_from_torchruns_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": 5, "LOCAL_RANK": 1, "WORLD_SIZE": 8, "LOCAL_WORLD_SIZE": 4}.items():
        monkeypatch.setenv(name, str(value))
    found = launched_ranks()
    assert found == Ranks(rank=5, size=8, local_rank=1, local_size=4)
    assert found is not None
    assert found.nodes == 2


def test_ranks_are_read_from_slurms_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    slurm = {"JOB_NAME": "train", "NTASKS": 8, "NNODES": 2, "PROCID": 6, "LOCALID": 2}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    assert launched_ranks() == Ranks(rank=6, size=8, local_rank=2, local_size=4)


def test_uneven_slurm_tasks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"JOB_NAME": "train", "NTASKS": 3, "NNODES": 2, "PROCID": 0, "LOCALID": 0}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    with pytest.raises(SimtrainError, match=r"^SLURM: 3 tasks on 2 nodes; give each node as many: --ntasks-per-node$"):
        launched_ranks()


def test_a_process_that_nobody_launched_is_alone() -> None:
    assert launched_ranks() is None


def test_slurm_with_ntasks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NTASKS": "4", "PROCID": "1", "LOCALID": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert launched_ranks() == Ranks(rank=1, size=4, local_rank=1, local_size=4)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"RANK": "0", "WORLD_SIZE": "two", "LOCAL_RANK": "0"}, "WORLD_SIZE=two: the environment of a launcher takes"),
        ({"RANK": "5", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, "RANK=5, WORLD_SIZE=2, LOCAL_RANK=0 and LOCAL_WORLD_"),
    ],
)
def test_environment_that_does_not_add_up_is_told(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SimtrainError) as caught:
        launched_ranks()
    assert str(caught.value).startswith(told)
    assert str(caught.value).endswith("to run alone: unset RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE")


def test_left_over_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    ranks = launched_ranks()
    assert ranks is not None
    assert launch_message(ranks, timeout=600) == (
        "process 0 of 2 (RANK=0, WORLD_SIZE=2, LOCAL_RANK=0); the others have 600 s to join; to run alone: unset RANK "
        "WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE"
    )

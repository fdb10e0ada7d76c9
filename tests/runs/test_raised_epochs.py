"""More epochs for a run that is resumed."""

from pathlib import Path
from typing import Any

import pytest
from small_checkpoints import made_run

from simtrain.config import RunConfig, load_run_config, parse_run_config
from simtrain.errors import CheckpointError
from simtrain.runs.raised_epochs import raised_epochs, raised_line, was_raised, without_raised_epochs, write_raised


def config(epochs: int, **trainer: Any) -> RunConfig:
    tree = {"catalog": "a", "encoder": {"kind": "resnet"}, "objective": {"kind": "simclr"}}
    return parse_run_config({**tree, "trainer": {"epochs": epochs, **trainer}}, where="test")


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        (config(3), config(5), ["seed: 0 -> 1"]),
        (config(5), config(3), ["seed: 0 -> 1", "trainer.epochs: 1 -> 2"]),
        (config(3, max_steps=9), config(5, max_steps=9), ["seed: 0 -> 1", "trainer.epochs: 1 -> 2"]),
    ],
)
def test_more_epochs_are_no_refused_change(before: RunConfig, after: RunConfig, left: list[str]) -> None:
    assert without_raised_epochs(["seed: 0 -> 1", "trainer.epochs: 1 -> 2"], before, after) == left


def test_what_the_record_keeps(tmp_path: Path) -> None:
    folder = made_run(tmp_path, "one")
    (folder / "last.ckpt").touch()
    assert raised_epochs(folder, config(2), config(6)) == {"from": 2, "to": 6, "after": 2}
    assert raised_epochs(folder, config(2), config(2)) is None


def test_a_run_without_its_last_checkpoint_cannot_go_on(tmp_path: Path) -> None:
    folder = made_run(tmp_path, "one")
    with pytest.raises(CheckpointError) as caught:
        raised_epochs(folder, config(2), config(6))
    assert str(caught.value) == (
        f"{folder}: last.ckpt is not there any more, so that it cannot go on; start a new run from its best weights: "
        f"simtrain fit CONFIG.yaml --set init_from={folder} --set run=NAME"
    )


def test_what_the_rate_does_is_told() -> None:
    # The cosine of 10 epochs with a warm-up of 1: after 4 of them a third of the way, 0.5 · (1 + cos 60°) = 0.75.
    assert raised_line({"from": 4, "to": 10, "after": 4}, config(10)) == (
        "trainer.epochs: 4 -> 10: after epoch 4 the learning rate goes from 0.0 % to 75.0 % of its peak, where a run "
        "of 10 epochs has it, and falls to 0 at the new end; the epochs so far were trained by the shorter schedule, "
        "so that this is not a run of that length from its beginning"
    )


def test_the_stored_configuration_changes_in_its_epochs_alone(tmp_path: Path) -> None:
    folder = made_run(tmp_path, "one")
    before = load_run_config(folder / "config.yaml", [])
    write_raised(folder, {}, 9)
    assert load_run_config(folder / "config.yaml", []) == before
    write_raised(folder, {"epochs_raised": [{"from": 2, "to": 9, "after": 2}]}, 9)
    after = load_run_config(folder / "config.yaml", [])
    assert after.trainer.epochs == 9
    assert after.model_copy(update={"trainer": before.trainer}) == before


def test_runs_that_were_made_longer() -> None:
    assert was_raised({"epochs_raised": [{"from": 3, "to": 5, "after": 3}]})
    assert not was_raised({})

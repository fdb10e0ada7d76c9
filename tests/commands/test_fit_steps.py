"""Order of the four steps of a training run."""

import inspect
import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import get_type_hints

import pytest
import torch
from recording_console import RecordingConsole

from simtrain.commands.fit import FitResult, before_training, conclude, fit, train_run
from simtrain.config import RunConfig
from simtrain.console import SILENT
from simtrain.errors import CheckpointError
from simtrain.runs.preparation import prepare_run
from simtrain.training.ranks import SINGLE_PROCESS
from simtrain.training.saved_weights import read_module_state

MakeConfig = Callable[..., RunConfig]


def test_each_step_takes_what_the_one_before_it_gives() -> None:
    steps = [prepare_run, before_training, train_run, conclude]
    for step, following in pairwise(steps):
        first = next(iter(inspect.signature(following).parameters))
        assert get_type_hints(following)[first] == get_type_hints(step)["return"]
    assert get_type_hints(conclude)["return"] is FitResult


def test_the_steps_one_after_the_other_are_the_command(make_config: MakeConfig) -> None:
    torch.manual_seed(7)  # whatever was drawn before does not matter
    session = prepare_run(make_config(run="steps"), SINGLE_PROCESS, resume=False, console=SILENT)
    start = before_training(session)
    assert not session.folder.exists()
    end = train_run(start, launched=False)
    result = conclude(end)
    whole = fit(make_config(run="whole"), resume=False, console=SILENT)
    assert (result.best, result.best_epoch, result.zero_shot) == (whole.best, whole.best_epoch, whole.zero_shot)
    one, other = read_module_state(result.folder / "last.ckpt"), read_module_state(whole.folder / "last.ckpt")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_embedded(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    console, folder = RecordingConsole(), tmp_path / "file" / "runs" / "small"
    message = f"{folder}: cannot be made: {tmp_path / 'file'} is a file; set checkpoints=FOLDER"
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        fit(make_config(checkpoints=str(tmp_path / "file" / "runs")), resume=False, console=console)
    assert (console.lines, console.bars) == ([], [])


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_without_write_access_is_refused_before_anything_is_embedded(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, resume: bool
) -> None:
    config, console = make_config(checkpoints=str(tmp_path / "runs")), RecordingConsole()
    refused = tmp_path
    if resume:
        refused = fit(config, resume=False, console=SILENT).folder
    monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == refused and mode & os.W_OK))
    message = f"{tmp_path / 'runs' / 'small'}: {refused} cannot be written to; set checkpoints=FOLDER"
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        fit(config, resume=resume, console=console)
    assert (console.lines, console.bars) == ([], [])


def test_warnings_come_before_the_zero_shot_metrics_and_these_before_the_first_epoch(make_config: MakeConfig) -> None:
    order = list[str]()
    console = RecordingConsole(on_line=order.append, on_bar=order.append)
    fit(make_config(augmentation={"preset": "simclr"}), resume=False, console=console)
    begins = ["warning: ", "embedding images", "zero-shot on val", "epoch 1/"]
    places = [next(place for place, text in enumerate(order) if text.startswith(begin)) for begin in begins]
    assert places == sorted(places)
